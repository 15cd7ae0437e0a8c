"""Numbers that went through a binary float on their way into a file.

A program that computes a price as ticks x tick size writes 100.30000000000001 for 100.3: a price at
which nothing ever stood. A double holds every decimal of up to 15 digits apart from the others, so
a number of more digits, which is the text of a double, and lies a few of that double's smallest
steps from a decimal of at most `DIGITS_MAX` digits, is that decimal. One further off is what it
says, and so is one that no double writes so (18 decimals of a token, told exactly).
"""

from __future__ import annotations

import math
from decimal import Context, Decimal

from fairlead.engine.recording.importers.binance_wire import Numbers

ULPS = 4  # rounding of tick size, product and a sum or two; what was added up often is further off
DIGITS_MAX = 14  # of more, several decimals lie within ULPS of a double
DIGITS_EXACT = 15
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
    short = Decimal(f"{value:.{DIGITS_MAX - 1}e}")
    if short == told or abs(short - exact) > ULPS * Decimal(math.ulp(value)):
        return text
    return f"{short.normalize():f}"


class FloatNumbers(Numbers):
    """Of files that programs made, as far as they may have computed with floats."""

    def __missing__(self, text: str) -> int:
        short = meant(text)
        raw = super().__missing__(short)
        if short is not text:
            self.noise += 1
            self[text] = raw
        return raw
