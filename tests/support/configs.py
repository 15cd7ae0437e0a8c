"""Run configs for tests, against a served simulated venue."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from tests.support.processes import Venue

# Option of each adapter -> field of the line that its simulated venue prints.
VENUE_KEYS = {
    "oceanex": {"http_url": "rest", "ws_url": "ws", "app_key": "app_key"},
    "piexgo": {"http_url": "rest", "ws_url": "ws"},
    "poloniex": {
        "http_url": "rest",
        "ws_url": "public_ws",
        "private_ws_url": "private_ws",
    },
    "zerocap": {"http_url": "rest", "ws_url": "ws"},
}

_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z")  # TOML has it without quotes

# A gate that lets a test's strategy do as it likes, and a desk that is quick to prove an order.
ROOMY_RISK = """
[risk]
max_order_notional = "100000 USDT"
max_open_orders = 400
max_orders_per_second = 200
price_collar_bps = "1000"
"""
QUICK_DESK = """
[execution]
poll_ms = 100
absent_quarantine_secs = 1.0
"""
ROOMY = ROOMY_RISK + QUICK_DESK
# An ordered stop on a machine whose cores are all busy.
PATIENT_STOP = """
[run]
stop_timeout_secs = 30
"""


def write(
    folder: Path,
    served: Venue,
    *,
    strategies: list[dict[str, Any]],
    name: str = "test",
    instruments: tuple[str, ...] = ("BTC_USDT",),
    more: str = "",
    options: dict[str, Any] | None = None,
) -> Path:
    """A config for one venue; `strategies` are tables of id, path and params.

    `options` are the adapter's, besides those that the served venue tells.
    """
    line = served.line
    key = str(line["venue"])
    urls = {option: line[field] for option, field in VENUE_KEYS[key].items()}
    ids = [f"{one}.{key.upper()}" for one in instruments]
    text = [
        f"name = {json.dumps(name)}",
        f"[venues.{key}]",
        f"adapter = {json.dumps(key)}",
        f"instruments = {json.dumps(ids)}",
        f"options = {inline(urls | line.get('options', {}) | (options or {}))}",
        f"credentials = {inline(line['credentials'])}",
    ]
    for strategy in strategies:
        text += [
            "[[strategies]]",
            f"id = {json.dumps(strategy['id'])}",
            f"path = {json.dumps(strategy['path'])}",
            f"params = {inline(strategy.get('params', {}))}",
        ]
    if "[run]" not in more:
        text.append(PATIENT_STOP)
    path = folder / f"{name}.toml"
    path.write_text("\n".join([*text, more, ""]))
    return path


def inline(table: dict[str, Any]) -> str:
    return "{ " + ", ".join(f"{json.dumps(k)} = {_value(v)}" for k, v in table.items()) + " }"


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return inline(value)
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    is_moment = isinstance(value, str) and _MOMENT.fullmatch(value) is not None
    return str(value) if is_moment else json.dumps(value)
