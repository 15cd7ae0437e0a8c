"""Credentials: read by reference, never printed."""

from __future__ import annotations


class Secret:
    """A credential's text. It has no repr, is not comparable, picklable or iterable."""

    __slots__ = ("_text", "source")

    def __init__(self, text: str, source: str) -> None:
        self._text = text
        self.source = source  # the reference it came from, safe to print

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"Secret({self.source})"

    def __reduce__(self) -> str:
        raise TypeError("a Secret cannot be pickled")
