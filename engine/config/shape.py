"""What every section of a config is made of: its base, and how a field is described."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Meta

RATE_MAX = 1_000_000  # in a second: each is remembered as long
# The longest time is a year: what is meant to be for ever is said by another option
MOST: Mapping[str, int] = {"s": 31_536_000, "ms": 31_536_000_000, "orders/s": RATE_MAX}


class Struct(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of every section."""


def doc(
    text: str,
    *,
    unit: str | None = None,
    least: str | None = None,
    above: str | None = None,
    most: str | None = None,
    **limits: Any,
) -> Meta:
    """Describe a field: meaning, unit, and limits (the named ones are for exact decimals).

    A number that has a least and no largest has its unit's.
    """
    if unit is not None and unit in MOST and "ge" in limits:
        limits.setdefault("le", MOST[unit])
    extra = {"least": least, "above": above, "most": most}
    decimal_limits = {name: value for name, value in extra.items() if value is not None}
    return Meta(
        description=text,
        extra_json_schema={"x-unit": unit} if unit else None,
        extra=decimal_limits or None,
        **limits,
    )
