"""What every section of a config is made of: its base, and how a field is described."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Meta


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
    """Describe a field: meaning, unit, and limits (the named ones are for exact decimals)."""
    extra = {"least": least, "above": above, "most": most}
    decimal_limits = {name: value for name, value in extra.items() if value is not None}
    return Meta(
        description=text,
        extra_json_schema={"x-unit": unit} if unit else None,
        extra=decimal_limits or None,
        **limits,
    )
