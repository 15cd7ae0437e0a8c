"""A strategy that asks for what the run does not have is told, or ended: it waits for nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from nautilus_trader.persistence import ParquetDataCatalog

from tests.data import asking
from tests.unit.backtest_kit import START_NS, perpetual, run, trade, write_catalog

PERP = "BTCUSDT.TEST"
ASKING = "tests.data.asking:Asking"
KNOWN = "expected an instrument of this run (BTCUSDT.TEST), "
ENDS = {
    "other book": f"{KNOWN}NO_SUCH.TEST came; add it to the instruments of [venues.test]",
    "other depth": KNOWN,
    "other interval": KNOWN,
    "other trades": KNOWN,
    "other quotes": KNOWN,
    "other status": KNOWN,
    "other instrument": KNOWN,
    "other history": KNOWN,
    "other bars": KNOWN,
    "other venue": f"{KNOWN}BTCUSDT.NOWHERE came: the config has no venue NOWHERE; add",
    "venue's instruments": "expected a venue of this run (TEST), NOWHERE came; add [venues.nowhere",
    "mark bars": "BTCUSDT.TEST-1-SECOND-MARK-INTERNAL came: no bar is built of MARK",
    "ready-made bars": "nothing that the strategy subscribed will come: bars BTCUSDT.TEST-12-",
    "composite alone": "subscribe BTCUSDT.TEST-1-SECOND-LAST-INTERNAL too",
    "mark prices": "has no mark prices of BTCUSDT.TEST; it has book deltas, instruments, quotes,",
}
TOLD = {
    "trades, mark prices": "mark prices of BTCUSDT.TEST: the catalog ",
    "trades, closing prices": "closing prices of BTCUSDT.TEST: the catalog ",
    "book, ready-made bars": "has no ready-made bars; ask for INTERNAL ones",
    "book, composite alone": "subscribe BTCUSDT.TEST-1-SECOND-LAST-INTERNAL too",
    "trades, history": "trades of BTCUSDT.TEST: a backtest answers no requests for history",
}
FINE = ["book", "trades", "quotes", "second bars", "mid bars", "own data", "nothing"]


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("wants") / "catalog"
    return write_catalog(root, perpetual(PERP), seconds=12, seed=11)


def asked(tmp_path: Path, catalog: Path, asks: str):
    return run(tmp_path, catalog, ASKING, {"instrument_id": PERP, "asks": asks})


@pytest.mark.parametrize("asks", ENDS)
def test_what_can_never_come_ends_the_run(tmp_path: Path, catalog: Path, asks: str) -> None:
    result = asked(tmp_path, catalog, asks)
    assert result.exit_code == 10
    (fault,) = result.summary.faults
    assert (fault.callback, fault.error) == ("on_start", "ValueError")
    assert ENDS[asks] in fault.message
    if asks.startswith(("other", "venue", "mark bars")):
        assert fault.place.startswith(asking.__file__)


@pytest.mark.parametrize("asks", TOLD)
def test_what_is_missing_beside_other_data_is_told(
    tmp_path: Path, catalog: Path, asks: str, caplog: pytest.LogCaptureFixture
) -> None:
    result = asked(tmp_path, catalog, asks)
    assert result.exit_code == 0
    (note,) = result.summary.notes
    assert note.startswith("DATA-MISSING: Test-001 asked for ")
    assert TOLD[asks] in note
    assert note in caplog.text


@pytest.mark.parametrize("asks", [*FINE, "second bars, composite"])
def test_what_comes_is_no_finding(tmp_path: Path, catalog: Path, asks: str) -> None:
    result = asked(tmp_path, catalog, asks)
    assert result.exit_code == 0
    assert result.summary.notes == []
    bars = result.parts.strategies[0].bars
    assert bars > 10 if "bars" in asks else bars == 0


def test_bars_of_trades_that_were_not_recorded(tmp_path: Path) -> None:
    root = tmp_path / "catalog"
    write_catalog(tmp_path / "whole", perpetual(PERP), seconds=12, seed=11)
    whole = ParquetDataCatalog(str(tmp_path / "whole"))
    root.mkdir()
    books = ParquetDataCatalog(str(root))
    books.write_instruments([perpetual(PERP)])
    books.write_order_book_deltas(whole.query_order_book_deltas([PERP]))
    result = asked(tmp_path, root, "second bars")
    assert result.exit_code == 10
    assert "has no trades of BTCUSDT.TEST" in result.summary.outcome
    beside = asked(tmp_path, root, "book, second bars")
    assert beside.exit_code == 0
    assert "has no trades of BTCUSDT.TEST" in beside.summary.notes[0]


def test_a_book_that_was_not_recorded(tmp_path: Path) -> None:
    root = tmp_path / "catalog"
    root.mkdir()
    trades = ParquetDataCatalog(str(root))
    trades.write_instruments([perpetual(PERP)])
    trades.write_trade_ticks(
        [trade(perpetual(PERP), 100, START_NS + at * 10**9, at, "0.100") for at in range(20)]
    )
    result = asked(tmp_path, root, "book")
    assert result.exit_code == 10
    assert "has no book deltas of BTCUSDT.TEST" in result.summary.outcome
