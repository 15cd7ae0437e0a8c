"""A Binance recording drives the simulated Binance: its trades and book come out again."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from itertools import groupby
from pathlib import Path

import pytest

from fairlead.adapters.binance.simulator import BinanceSimOptions, BinanceSimulator
from fairlead.adapters.simulation.replay import CatalogReplay, Print
from fairlead.engine.recording.importers.binance import import_binance
from tests.venues.binance.kit import START_NS, Stream, get, run
from tests.venues.binance.test_streams import built, true_book

DATA = Path(__file__).resolve().parents[2] / "data" / "recording"
RECORDED = {"usdm": "binance_usdm_400.gz", "spot": "binance_spot_400.gz"}
ROUTES = {
    "usdm": ("BTCUSDT-PERP", "/usdm/ws", "/fapi/v1"),
    "spot": ("BTCUSDT", "/ws", "/api/v3"),
}


@pytest.fixture(params=["usdm", "spot"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def runs(trades: Iterable[tuple[Decimal, Decimal]]) -> list[tuple[Decimal, Decimal]]:
    """Trades at one price after each other, in one."""
    groups = groupby(trades, key=lambda trade: trade[0])
    return [(price, sum((size for _, size in group), Decimal(0))) for price, group in groups]


def test_a_recording_goes_in_and_comes_out(tmp_path: Path, kind: str) -> None:
    catalog = tmp_path / "catalog"
    report = import_binance(DATA / RECORDED[kind], catalog, depth=1)
    (instrument,) = report.instruments
    source = CatalogReplay(catalog, instrument.id)
    market, path, api = ROUTES[kind]
    at = BinanceSimulator(
        BinanceSimOptions(active_markets=(), replay_at_end="stop"),
        now_ns=START_NS,
        replay=source,
        replay_market=market,
    )
    stream = Stream(at, path)
    stream.subscribe("btcusdt@trade", "btcusdt@depth@100ms")
    depth = get(at, f"{api}/depth", symbol="BTCUSDT", limit=1000)
    run(at, 5.0, step_ms=10)
    prints = [item for item in source.items() if isinstance(item, Print)]
    told = runs((Decimal(one["p"]), Decimal(one["q"])) for one in stream.of("trade"))
    # What comes before the recording's first book is done as the venue opens; a print that is more
    # than the level shows is told as two.
    assert told[1:] == runs((one.price, one.size) for one in prints)[1 - len(told) :]
    assert len(told) > 5
    mine = built(depth, stream.of("depthUpdate"), is_spot=kind == "spot")
    for side, truth in zip(mine, true_book(at, api), strict=True):
        assert {price: side.get(price) for price in truth} == truth
