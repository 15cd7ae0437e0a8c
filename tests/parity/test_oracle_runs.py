"""No fill that could not have happened: backtests of every shipped strategy, judged."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from fairlead.engine.matching import fill_model
from fairlead.engine.matching.kernel_book import KernelMarket
from fairlead.engine.recording.importers.binance import import_binance
from tests.parity import generate
from tests.parity.markets import RANDOM, SHIPPED, fills_of, judge_market, judge_run
from tests.parity.markets import config_text as config_of_market
from tests.parity.tape import of_file
from tests.support.configs import inline
from tests.support.processes import ROOT

# The others: `python -m tests.parity.markets`. In 181 a best quote comes after trades that ran
# through what is behind it; in 195 a level is told again between two fired stops of one nanosecond.
SEEDS = (*range(1, 9), 181, 195)
DATA = ROOT / ".." / "shared" / "data"
SAMPLES = ROOT / "tests" / "data" / "recording"
PARAMS: Mapping[str, Mapping[str, Any]] = {
    "trend": {"bar": "1-SECOND-LAST", "fast": 3, "slow": 12, "atr": 10, "channel_atr": "0.3"},
    "breakout": {"bar": "2-SECOND-LAST", "lookback": 3, "stop_bps": "3", "limit_bps": "5"},
    "bracketed": {
        "bar": "2-SECOND-LAST",
        "lookback": 3,
        "stop_bps": "2",
        "limit_bps": "20",
        "target_bps": "3",
    },
    "maker": {"half_spread_bps": "0.2", "requote_bps": "0.1", "requote_ms": 200},
}


class Recorded(NamedTuple):
    """`unit` is the random orders' smallest size, `share` how many there are of them; 0: none."""

    file: Path
    instrument: str
    account: str
    unit: str
    share: str


SPOT, USDM = "BTCUSDT.BINANCE", "BTCUSDT-PERP.BINANCE"
RECORDED = {
    "spot": Recorded(DATA / "binance_spot_btcusdt_20240809.gz", SPOT, "cash", "0.0001", "0.005"),
    "usdm": Recorded(DATA / "binance_usdm_btcusdt_20240808.gz", USDM, "margin", "0.001", "0"),
    "sample": Recorded(SAMPLES / "binance_usdm_400.gz", USDM, "margin", "0.001", "0.3"),
}

# The whole of them take a minute; the sample is their first lines.
NAMES = ["sample", *(pytest.param(one, marks=pytest.mark.long) for one in ("spot", "usdm"))]


@pytest.mark.parametrize("seed", SEEDS)
def test_every_fill_in_a_seeded_market_could_have_been(seed: int, tmp_path: Path) -> None:
    """200 of them: python -m tests.parity.markets --seeds 1..200"""
    judged = list(judge_market(seed, tmp_path))
    assert {one.strategy for one in judged} == {*SHIPPED, RANDOM}
    assert [one.outcome for one in judged if one.outcome != "ok"] == []
    assert [str(violation) for one in judged for violation in one.found] == []


@pytest.mark.parametrize("seed", [1, 4])
def test_a_book_is_the_same_copied_or_told(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no order heard of a part of a run, its book is copied from the kernel's cache."""
    source, catalog = tmp_path / "market.txt", tmp_path / "catalog"
    source.write_bytes(b"\n".join(generate.lines(seed)) + b"\n")
    import_binance(source, catalog)
    tapes = of_file(source)
    copied: list[int] = []
    jump = KernelMarket.jump

    def counted(self: KernelMarket, book: Any, events: Any, lasts: Any) -> None:
        copied.append(len(events))
        jump(self, book, events, lasts)

    monkeypatch.setattr(KernelMarket, "jump", counted)
    text = config_of_market(seed, "breakout", sorted(tapes), catalog) + "chunk_size = 1000\n"
    orders, outcome, found = judge_run("told", text, tapes, tmp_path)
    assert (outcome, found, copied) == ("ok", [], [])
    monkeypatch.setattr(fill_model, "JUMP_MIN", 1)
    assert judge_run("copied", text, tapes, tmp_path)[1:] == (outcome, found)
    told = (tmp_path / "told.orders.jsonl").read_bytes()
    assert (tmp_path / "copied.orders.jsonl").read_bytes() == told
    assert fills_of(orders)
    assert sum(copied) > 100


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_fill_in_a_recording_could_have_been(name: str, tmp_path: Path) -> None:
    """Every shipped strategy and random orders in one run."""
    recorded = RECORDED[name]
    if not recorded.file.exists():
        pytest.skip(f"{recorded.file.name} is not beside the repository; the samples run")
    import_binance(recorded.file, tmp_path / "catalog")
    text = config_text(recorded, tmp_path / "catalog")
    orders, outcome, found = judge_run("all", text, of_file(recorded.file), tmp_path)
    assert outcome == "ok"
    assert fills_of(orders) > 5
    assert [str(violation) for violation in found] == []


def config_text(recorded: Recorded, catalog: Path) -> str:
    name = recorded.instrument
    runs = []
    for strategy, (path, _) in SHIPPED.items():
        quantity = f"{10 * float(recorded.unit):.5f}"
        params = {"instrument_id": name, "order_quantity": quantity, **PARAMS[strategy]}
        if strategy == "maker":
            params["max_inventory"] = f"{100 * float(recorded.unit):.5f}"
        runs.append((strategy, path, params))
    given = {"instrument_ids": name, "seed": 1, "unit": recorded.unit, "share": recorded.share}
    runs.append((RANDOM, "tests.parity.random_orders:RandomOrders", given))
    strategies = "".join(
        f'[[strategies]]\nid = "{one}-{at}"\npath = "{path}"\nparams = {inline(params)}\n'
        for at, (one, path, params) in enumerate(runs)
    )
    return f"""
name = "judged"
[venues.binance]
adapter = "recorded"
instruments = ["{name}"]
account_type = "{recorded.account}"
fees = {{ maker = "0.0002", taker = "0.0005" }}
{strategies}
[risk]
max_orders_per_second = 1000
max_open_orders = 1000
off = ["SELF_CROSS", "STALE_REFERENCE", "PRICE_COLLAR"]
[simulated]
balances = ["10000000 USDT", "100 BTC"]
latency_ms = "5"
[backtest]
catalog = "{catalog}"
"""
