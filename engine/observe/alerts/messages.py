"""What goes from the run to its courier, and what the courier tells of it: lines of JSON.

The courier (`fairlead.engine.observe.alerts.courier`) is a process of its own: whatever an
endpoint does, it takes no time of the run's.
"""

from __future__ import annotations

from typing import Literal

import msgspec

LINE_BYTES_MAX = 4_096  # a pipe takes such a line whole, or not at all (PIPE_BUF)
TITLE_CHARS_MAX = 120
BODY_CHARS_MAX = 900

Kind = Literal["info", "success", "warning", "failure"]  # apprise's


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One message to some endpoints. What is urgent is the last to be thrown away."""

    to: tuple[str, ...]
    title: str
    body: str
    kind: Kind = "info"
    is_urgent: bool = False


class Hello(msgspec.Struct, frozen=True, kw_only=True):
    """The courier's first line. `orphan` is sent where the run goes without a word; `stuck` where
    its loop has not turned for so long that the run's watch says so, or, where that is held up,
    too, for `stuck_secs`; and `turned` once it does again."""

    endpoints: dict[str, str]
    orphan: Message
    stuck: Message
    turned: Message
    stuck_secs: float


class Word(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Every other line: a message, a sign of the loop, that it stands still, or the run's end in
    order."""

    message: Message | None = None
    is_end: bool = False
    is_stuck: bool = False
