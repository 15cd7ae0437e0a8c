"""What became of the messages to one endpoint of alerts."""

from __future__ import annotations

import msgspec


class Delivery(msgspec.Struct, kw_only=True):
    """What became of an endpoint's messages, as counted by the courier since its start."""

    endpoint: str
    sent: int = 0
    failed: int = 0  # attempts
    lost: int = 0  # messages that were given up, or found no room
    waiting: int = 0
    trouble: str = ""  # why the last attempt failed; empty after one that did not
