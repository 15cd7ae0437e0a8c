"""A cash account on NautilusTrader's own client, which tells no positions: NautilusTrader takes
that for flat, and makes up what would close them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fairlead.engine.errors import Exit
from tests.live.desk import summary
from tests.live.holding import CHECK_SECS, FORCED
from tests.live.native import SPOT, Native
from tests.support.patience import PATIENCE_SECS
from tests.support.processes import run, venue

pytestmark = pytest.mark.slow

SIZE = "0.010"
RISK = f"[risk]\nmax_position = {{ '{SPOT}' = '0.011' }}\nprice_collar_bps = 600"
HOLDING = {
    "id": "Holding-1",
    "path": "tests.live.holding:Holding",
    "params": {"instrument_id": SPOT, "quantity": SIZE},
}


@pytest.fixture
def native(tmp_path: Path) -> Iterator[Native]:
    with venue("binance", tmp_path / "venue", "--seed", "9") as served:
        yield Native(served, tmp_path, SPOT)


def held(native: Native, secs: str, code: int = Exit.OK, **env: str) -> Any:
    config = native.config(HOLDING, more=RISK)
    ended = run("live", config, "--for", secs, "--json", env=env, timeout_secs=PATIENCE_SECS)
    assert ended.returncode == code, ended.stderr[-3000:]
    return ended


def is_as_the_venue_has_it(native: Native) -> None:
    """One buy, and of it what the fee left."""
    booked = [json.loads(body) for (body,) in native.rows("SELECT body FROM fills")]
    true = native.fills_at_venue()
    assert [(one["side"], Decimal(one["quantity"])) for one in booked] == [("BUY", Decimal(SIZE))]
    assert [Decimal(one["price"]) for one in booked] == [Decimal(one["price"]) for one in true]
    assert native.position() == Decimal(SIZE) * Decimal("0.999")
    assert Decimal(SIZE) == native.position_at_venue()


def test_positions_that_no_venue_tells_are_compared_with_none(native: Native) -> None:
    """Longer than several of its checks: on a real run they are 30 s apart."""
    ended = held(native, "14", **{CHECK_SECS: "2"})
    is_as_the_venue_has_it(native)
    assert "NATIVE" not in ended.stderr
    assert summary(ended)["fees"] == {"BTC": "0.00001000"}
    again = held(native, "1")  # nothing differs at a start, and nothing more is bought
    assert "BALANCE-DRIFT" not in again.stderr
    is_as_the_venue_has_it(native)


def test_a_cash_account_is_none_with_margin_whatever_the_config_says(native: Native) -> None:
    """Its positions would be compared with what nobody tells."""
    native.account_type = "margin"
    ended = held(native, "2", Exit.CONFIG)
    assert "NATIVE-ACCOUNT" in ended.stderr
    assert 'write account_type = "cash"' in ended.stderr
    assert native.fills_at_venue() == []


def test_what_nautilustrader_makes_up_is_not_booked_and_holds_trading(native: Native) -> None:
    """Whatever has it make one up: the check is forced upon the run here."""
    ended = held(native, "14", Exit.KILLED, **{CHECK_SECS: "2", FORCED: "1"})
    assert f"{SPOT}: NATIVE-MADE-UP" in ended.stderr  # why it is halted
    is_as_the_venue_has_it(native)
    (note,) = [one for one in summary(ended)["notes"] if "NATIVE-MADE-UP" in one]
    assert f"{SPOT}" in note
    assert "not booked" in note
