"""Numbers that went through a binary float on their way into a file.

A program that computes a price as ticks x tick size writes 100.30000000000001 for 100.3: a price at
which nothing ever stood. A double holds every decimal of up to 15 digits apart from the others, so
a number of more digits, which is the text of a double, and lies a few of that double's smallest
steps from a decimal of so many, is that decimal (`NEAR`). One further off is what it says, and so
is one that no double writes so (18 decimals of a token, told exactly).
"""

from __future__ import annotations

import math
from decimal import Context, Decimal

from fairlead.engine.recording.importers.binance_wire import KNOWN_MAX, Numbers

DIGITS_EXACT = 15
# Digits of the decimal, and steps that it may be off: rounding of tick size and product take 2, a
# sum or two 4, where no other decimal of as many digits is as near. Long sums are further off
NEAR = ((14, 4), (15, 2))
_CHARS_MAX = 48
_WIDE = Context(prec=64)  # for every digit that a text of `_CHARS_MAX` may have


def meant(text: str) -> str:
    """The decimal that a number stands for; the text itself where it is that, or is no number."""
    if len(text) <= DIGITS_EXACT + 1 or len(text) > _CHARS_MAX:
        return text
    digits = text.replace(".", "", 1)
    if not (digits.isascii() and digits.isdecimal()) or len(digits.lstrip("0")) <= DIGITS_EXACT:
        return text
    told = Decimal(text)
    value = float(told)
    exact = Decimal(value)
    if not value or exact.quantize(told, context=_WIDE) != told:
        return text
    for places, steps in NEAR:
        short = Decimal(f"{value:.{places - 1}e}")
        if short != told and abs(short - exact) <= steps * Decimal(math.ulp(value)):
            return f"{short.normalize():f}"
    return text


class FloatNumbers(Numbers):
    """Of files that programs made, as far as they may have computed with floats.

    Texts that stand for another number are kept apart, and so looked up here each time: `noise`
    counts the numbers of the file, not how many different ones there are.
    """

    def __init__(self, most: int) -> None:
        super().__init__(most)
        self._meant: dict[str, int] = {}

    def __missing__(self, text: str) -> int:
        raw = self._meant.get(text)
        if raw is None:
            short = meant(text)
            raw = super().__missing__(short)
            if short is text:
                return raw
            if len(self._meant) >= KNOWN_MAX:
                self._meant.clear()
            self._meant[text] = raw
        self.noise += 1
        return raw
