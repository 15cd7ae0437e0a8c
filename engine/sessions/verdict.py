"""The words of a verdict."""

from __future__ import annotations

import msgspec

TERMINAL = {"FILLED", "CANCELED", "EXPIRED", "REFUSED"}


class Violation(msgspec.Struct, frozen=True):
    """A promise that did not hold. `subject` is an order id where there is one."""

    code: str
    subject: str
    detail: str
