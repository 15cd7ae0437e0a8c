"""What a notebook is promised: the shipped ones run, and a catalog is DataFrames."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from nautilus_trader.model import BookAction, OrderSide
from nautilus_trader.persistence import ParquetDataCatalog

import fairlead
from fairlead.engine.errors import FairleadError
from fairlead.engine.research.columns import COLUMNS
from tests.unit import backtest_kit as kit

pytest.importorskip("pandas")
ROOT = Path(__file__).resolve().parents[3]
NOTEBOOKS = sorted((ROOT / "backtests").glob("*.ipynb"))
PERP = "BTCUSDT.TEST"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])
def test_a_shipped_notebook_runs(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cell by cell, from an empty folder; it is shipped without outputs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    names: dict[str, Any] = {}
    for cell in json.loads(path.read_text())["cells"]:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            exec(compile("".join(cell["source"]), f"{path.name}:{cell['id']}", "exec"), names)
    assert len(names["run"].fills) == names["run"].summary["fills"] > 0


def test_there_are_two() -> None:
    assert len(NOTEBOOKS) == 2


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root: Path = tmp_path_factory.mktemp("frames") / "catalog"
    return kit.write_catalog(root, kit.perpetual(PERP), seconds=20, seed=3)


def test_a_book_by_time_is_that_of_plain_dicts(catalog: Path) -> None:
    found = fairlead.Catalog(catalog).book(PERP, every_secs=0.5, levels=2)
    assert [*found.columns][:5] == ["ts", "bid_1", "bid_size_1", "ask_1", "ask_size_1"]
    sides: dict[OrderSide, dict[Decimal, Decimal]] = {OrderSide.BUY: {}, OrderSide.SELL: {}}
    deltas = ParquetDataCatalog(str(catalog)).query_order_book_deltas([PERP])
    at = 0
    for row in found.itertuples():
        while at < len(deltas) and deltas[at].ts_init <= row.ts.value:
            delta, at = deltas[at], at + 1
            if delta.action == BookAction.CLEAR:
                for levels in sides.values():
                    levels.clear()
                continue
            price = delta.order.price.as_decimal()
            if delta.action == BookAction.DELETE:
                sides[delta.order.side].pop(price, None)
            else:
                sides[delta.order.side][price] = delta.order.size.as_decimal()
        bid, ask = max(sides[OrderSide.BUY]), sorted(sides[OrderSide.SELL])
        assert (row.bid_1, row.ask_1, row.ask_2) == (float(bid), float(ask[0]), float(ask[1]))
        assert row.ask_size_2 == float(sides[OrderSide.SELL][ask[1]])
    assert len(found) == 41


def test_trades_of_a_span_and_what_there_is_not(catalog: Path, tmp_path: Path) -> None:
    data = fairlead.Catalog(catalog)
    assert data.instruments == [PERP]
    trades = data.trades(PERP)
    some = data.trades(PERP, "2023-11-14 22:13:25", trades.ts_init.iloc[-1].to_pydatetime())
    assert 0 < len(some) < len(trades)
    assert str(some.ts_init.iloc[0]) >= "2023-11-14 22:13:25"
    assert set(trades.aggressor) == {"BUY", "SELL"}
    assert len(data.gaps()) == 0
    with pytest.raises(FairleadError, match="has no QuoteTick of"):
        data.quotes(PERP)
    with pytest.raises(FairleadError, match="CATALOG-BOOK"):
        data.book(PERP, levels=0)
    with pytest.raises(FairleadError):
        fairlead.Catalog(tmp_path / "none")


def test_a_backtest_in_memory_and_with_a_change(catalog: Path, tmp_path: Path) -> None:
    config = kit.loaded(tmp_path, catalog, kit.MAKER, {**kit.MAKER_PARAMS, "allow_short": True})
    run = fairlead.backtest(config)
    assert run.folder is None
    assert run.damage() == []
    assert [name for name in COLUMNS if len(getattr(run, name)) != len(run.rows(name))] == []
    assert not (tmp_path / "state" / "runs").exists()
    other = fairlead.backtest(str(config.path), {"simulated.latency_ms": 30})
    assert other.config["simulated"]["latency_ms"] == "30"
    assert other.manifest.inputs != run.manifest.inputs
    again = fairlead.changed(fairlead.changed(config, {"run.seed": 2}), {"run.seed": 1})
    assert fairlead.backtest(again).manifest.orders_digest == run.manifest.orders_digest
