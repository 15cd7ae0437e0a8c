"""A run's orders as a kept run has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fairlead.engine.observe.orders_file import json_lines, order_rows


def order_lines(cache: Any, markets: Mapping[str, Any] | None = None) -> bytes:
    """One JSON object an order."""
    return json_lines(order_rows(cache.orders(), markets))
