"""What a card says of an adapter."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Result(StrEnum):
    PASSED = "passed"
    FAILED = "FAILED"
    NOT_OFFERED = "not offered"


class Verdict(msgspec.Struct, frozen=True):
    """What one card saw of one adapter."""

    card: str
    asks: str
    result: Result
    seen: str

    @property
    def is_failed(self) -> bool:
        return self.result is Result.FAILED


class Broken(Exception):
    """What a card must not see."""


class NotOffered(Exception):
    """The adapter does not do this, and says so; why it can't be shown."""


def require(is_so: bool, otherwise: str) -> None:
    """Raises Broken."""
    if not is_so:
        raise Broken(otherwise)
