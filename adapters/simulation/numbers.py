"""Numbers of a request, as every simulated venue reads them: ASCII digits within bounds, or none.

Python's own readers take what no venue does (`0.0_12`, Arabic digits, blanks around, `Infinity`,
1.9 and true as whole numbers), and `int` raises for 5,000 digits.
"""

from __future__ import annotations

import re
from decimal import Decimal

WHOLE_MAX = 2**63 - 1
_EXACT_MAX = 10**40
_WHOLE = re.compile(r"-?[0-9]{1,19}")
_EXACT = re.compile(r"-?[0-9]{1,40}(?:\.[0-9]{1,40})?(?:[eE][+-]?[0-9]{1,2})?")


def whole(value: object) -> int | None:
    """A whole number of 64 bits, of JSON or as text; None for anything else."""
    if isinstance(value, str):
        value = int(value) if _WHOLE.fullmatch(value) else None
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > WHOLE_MAX:
        return None
    return value


def natural(value: object) -> int | None:
    """As `whole`, without a sign."""
    found = whole(value)
    return None if found is None or found < 0 or str(value).startswith("-") else found


def exact(value: object) -> Decimal | None:
    """A number of JSON, or its text; None for anything else, and beyond 40 digits."""
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        return None
    if isinstance(value, int):
        return Decimal(value) if abs(value) < _EXACT_MAX else None
    text = str(value)
    return Decimal(text) if _EXACT.fullmatch(text) else None
