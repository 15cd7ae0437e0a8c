"""`fairlead venues` tells of every venue that is offered what its Capabilities say."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from fairlead.adapters import registry
from fairlead.engine.cli.app import app
from fairlead.engine.config.capabilities import Described, described, markdown, rows
from fairlead.engine.errors import Exit
from fairlead.engine.orders.model import Capabilities, Kind, Tif, TriggerSource
from fairlead.engine.run.native import found
from tests.unit.config_stub import STUB

LEAST = Capabilities(kinds=frozenset({Kind.LIMIT}), time_in_force=frozenset({Tif.FOK}))


def told(*words: str) -> str:
    found = CliRunner().invoke(app, ["venues", *words])
    assert found.exit_code == Exit.OK, found.output
    return found.stdout


def told_of(**changes: Any) -> dict[str, str]:
    able = msgspec.structs.replace(LEAST, **changes)
    return dict(rows(described("test", able, has_simulator=False, keyed_data=False)))


@pytest.mark.parametrize("name", registry.names())
def test_a_venue_is_as_its_capabilities_are(name: str) -> None:
    able = registry.spec(name).capabilities
    (found,) = msgspec.json.decode(told(name, "--json"), type=list[Described])
    assert set(found.native) == able.kinds
    assert set(found.held) == able.held
    assert set(found.time_in_force) == able.time_in_force
    flags = found.post_only, found.modify, found.client_order_ids, found.private_stream
    assert flags == (able.post_only, able.replace, able.client_order_ids, able.private_stream)
    assert (found.reports_fills, found.order_fees) == (able.reports_fills, able.order_fees)
    assert found.book_depths == able.book_depths
    assert found.bar_minutes == able.bar_minutes
    assert found.has_simulator
    lines = told(name).splitlines()
    assert lines[0] == name
    for what, text in rows(found):
        assert any(line.split(what)[-1].strip() == text for line in lines if what in line)
        assert f"| {what} | {text} |" in markdown(found)


def test_all_are_told_in_one() -> None:
    names = (*registry.names(), *found.names())
    assert tuple(one["name"] for one in json.loads(told("--json"))) == names
    blocks = told().split("\n\n")
    assert tuple(block.splitlines()[0] for block in blocks) == names


@pytest.mark.parametrize("name", registry.only_simulated())
def test_a_venue_that_is_only_simulated_says_where_to_trade_it(name: str) -> None:
    every = CliRunner().invoke(app, ["venues"])
    assert f'{name} (adapter = "nautilus:{name}")' in every.stderr
    one = CliRunner().invoke(app, ["venues", name])
    assert one.exit_code == Exit.USAGE
    assert f"nautilus:{name}" in one.output
    assert registry.simulator(name)


@pytest.mark.parametrize("name", found.names())
def test_one_of_nautilustraders_own_is_told_with_what_it_lacks(name: str) -> None:
    (one,) = json.loads(told(name, "--json"))
    assert one["market_data"] or one["execution"]
    text = told(name)
    assert text.startswith(name)
    assert "no raw frames" in text
    for credential in one["credentials"]:
        assert credential in text


def test_an_adapter_kept_elsewhere_is_told_too() -> None:
    with registry.registered(STUB):
        assert STUB.name in told()


def test_a_name_that_nobody_offers_is_wrong_usage() -> None:
    found = CliRunner().invoke(app, ["venues", "nowhere"])
    assert found.exit_code == Exit.USAGE
    assert "nowhere" in found.output


# Each capability changes just the row that tells it.
CHANGES: dict[str, tuple[str, dict[str, Any], str]] = {
    "kinds": ("orders of the venue", {"kinds": frozenset(Kind)}, "STOP_MARKET"),
    "held": (
        "held by the engine",
        {"held": frozenset({Kind.STOP_LIMIT}), "trigger_sources": (TriggerSource.MID,)},
        "STOP_LIMIT; fired by mid",
    ),
    "hold_passed": ("held by the engine", {"hold_passed": True}, "not proven to lie ahead"),
    "holds_limits": ("held by the engine", {"holds_limits": True}, "limits by config"),
    "time_in_force": ("time in force", {"time_in_force": frozenset(Tif)}, "GTC, IOC, FOK"),
    "post_only": ("post-only", {"post_only": True}, "yes"),
    "replace": ("modify", {"replace": True}, "replaced"),
    "lists_stops": ("open orders", {"lists_stops": False}, "but for stops that wait"),
    "client_order_ids": ("lost order", {"client_order_ids": True}, "our id"),
    "batch_submit_max": ("in one request", {"batch_submit_max": 7}, "7 new"),
    "batch_cancel_max": ("in one request", {"batch_cancel_max": 7}, "7 cancels"),
    "batch_query_max": ("in one request", {"batch_query_max": 7}, "7 queries"),
    "book_depths": ("book", {"book_depths": (5, 10)}, "5, 10"),
    "sequenced_books": ("book", {"sequenced_books": True}, "sequenced"),
    "public_trades": ("streamed trades", {"public_trades": False}, "no"),
    "clears": ("a new order", {"clears": True}, "clears"),
    "bracket_targets": (
        "an entry with its exits",
        {"bracket_targets": 3},
        "in one call, with a stop and up to 3 targets",
    ),
    "cancels": ("cancel", {"cancels": False}, "closing a position ends"),
    "pays_positions": ("orders and balances", {"pays_positions": True}, "been paid for"),
    "ticker": ("book", {"ticker": True}, "last price is polled"),
    "bar_minutes": ("streamed bars", {"bar_minutes": (1, 5)}, "1, 5 minutes"),
    "private_stream": ("orders and balances", {"private_stream": True}, "pushed"),
    "reports_fills": ("executions", {"reports_fills": True}, "ids and fees"),
    "order_fees": ("executions", {"order_fees": True}, "fee by order"),
    "public_fees": ("fee rates without a key", {"public_fees": True}, "yes"),
    "max_order_lag_secs": ("an order can appear late by", {"max_order_lag_secs": 9.0}, "9 s"),
}
SILENT = {"trigger_sources", "tier_price"}  # told with what is held; a function


@pytest.mark.parametrize("name", CHANGES)
def test_a_capability_is_told_in_its_row(name: str) -> None:
    row, changes, words = CHANGES[name]
    before, after = told_of(), told_of(**changes)
    assert {what for what in after if after[what] != before[what]} == {row}
    assert words in after[row]
    assert words not in before[row] or words == "sequenced"


def test_every_capability_is_told() -> None:
    assert set(CHANGES) | SILENT == {one.name for one in msgspec.structs.fields(Capabilities)}
