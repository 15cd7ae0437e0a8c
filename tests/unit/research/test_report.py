"""The report: numbers by hand, one file that needs no network, nothing of it taken for markup."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from fairlead.engine.cli.app import app
from fairlead.engine.errors import Exit, FairleadError
from fairlead.engine.research import extra, numbers, report
from fairlead.engine.research.columns import NOT_TOLD
from fairlead.engine.research.page import _mark_outs
from fairlead.engine.research.runs import Run
from fairlead.engine.run.backtest import run_backtest
from fairlead.engine.run.config import load
from tests.unit.backtest_kit import perpetual, write_catalog
from tests.unit.observe.test_same_bytes import PERP, all_strategies

SECOND_NS = 1_000_000_000


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    """Two runs that differ in one parameter, kept beside each other."""
    folder: Path = tmp_path_factory.mktemp("reported")
    catalog = write_catalog(folder / "catalog", perpetual(PERP), seconds=60, seed=5)
    file = all_strategies(folder, catalog)
    for changes in ({}, {"simulated.latency_ms": "7"}):
        result = run_backtest(load(file, changes))
        result.record().keep(folder / "state")
        result.dispose()
    return [Run.at(path) for path in sorted((folder / "state" / "runs").iterdir())]


def test_a_report_is_one_file_that_asks_for_nothing(runs: list[Run], tmp_path: Path) -> None:
    pytest.importorskip("plotly")
    html, told = report.write_report(runs[0], runs[1], tmp_path / "r" / "page.html")
    assert html == tmp_path / "r" / "page.html"
    page = html.read_text()
    markup = re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
    assert not re.search(r"(src|href)=|@import|url\(", markup)
    assert "<script src" not in page
    assert page.count("class='chart'") + page.count('class="chart"') >= 3
    for part in ("What it rests on", "Equity and drawdown", "price, orders and fills", "Execution"):
        assert part in markup
    assert runs[0].manifest.command.replace("&", "&amp;") in markup
    found = json.loads(told.read_text())
    assert found["compare"]["differs"] == [
        {"key": "simulated.latency_ms", "this": "1", "other": "7"}
    ]
    assert found["compare"]["same_data"] is True
    assert found["strip"]["trials"] == 2
    assert found["net"] == runs[0].summary["net"]


def test_figures_agree_with_the_summary(runs: list[Run]) -> None:
    told, summary = report.report(runs[0]), runs[0].summary
    execution = told["execution"]
    assert sum(one["orders"] for one in execution) == summary["orders"]
    assert sum(one["fills"] for one in execution) == summary["fills"]
    assert sum(one["makers"] for one in execution) == summary["maker_fills"]
    with_fills = sum(one["with_fills"] for one in execution)
    assert with_fills / sum(one["sent"] for one in execution) == pytest.approx(
        summary["fill_ratio"]
    )
    turnover = sum(float(one["turnover"]) for one in summary["instruments"])
    assert sum(one["turnover"] for one in execution) == pytest.approx(turnover)
    net = float(summary["net"]["USDT"])
    (worth,) = told["worth"]
    assert worth["pnl"] == pytest.approx(net, abs=0.01)
    for rows in (told["by_hour"], told["by_day"]):
        assert sum(row["pnl"]["USDT"] for row in rows) == pytest.approx(worth["pnl"])
        assert sum(row["fills"] for row in rows) == summary["fills"]
    assert worth["returns"]["secs"] == 1


def test_the_command_writes_it_into_the_runs_folder(runs: list[Run]) -> None:
    pytest.importorskip("plotly")
    folder = runs[0].folder
    assert folder is not None
    words = ["--in", str(folder.parent)]
    done = CliRunner().invoke(app, ["report", runs[0].id, *words])
    assert done.exit_code == 0, done.output
    assert done.output.split() == [str(folder / "report.html"), str(folder / "report.json")]
    assert runs[0].damage() == []
    done = CliRunner().invoke(app, ["report", str(folder), "--json", "--compare", "last", *words])
    assert json.loads(done.output)["compare"]["same_orders"] is False


def test_without_plotly_the_numbers_are_written_and_the_extra_is_named(
    runs: list[Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = extra.import_module

    def lacking(name: str) -> Any:
        if name.startswith("plotly"):
            raise ImportError(name)
        return real(name)

    monkeypatch.setattr(extra, "import_module", lacking)
    monkeypatch.setattr(report, "has", lambda name: name != "plotly")
    html, told = report.write_report(runs[0])
    assert html is None
    assert json.loads(told.read_text())["net"] == runs[0].summary["net"]
    assert runs[0].folder is not None
    done = CliRunner().invoke(app, ["report", str(runs[0].folder)])
    assert done.exit_code == Exit.USAGE
    assert "pip install 'fairlead[research]'" in done.output


def test_no_text_of_a_run_is_taken_for_markup(runs: list[Run]) -> None:
    pytest.importorskip("plotly")
    from fairlead.engine.research.page import page_of

    evil = "</script><img onerror=x>"
    told = report.report(runs[0])
    told["strip"]["name"] = told["strip"]["command"] = told["strip"]["outcome"] = evil
    told["notes"] = [evil]
    took = {"count": 36, "p50_ns": 16_700_000, "p99_ns": 20_000_000, "max_ns": 21_000_000}
    told["strip"]["arrivals"] = {**took, "late": 36, "late_p50_ns": 1, "late_max_ns": 2}
    told["gate"]["denials"] = {evil: 1}
    told["execution"][0]["strategy"] = told["strategies"][0]["strategy"] = evil
    told["gaps"] = [
        {"from_ns": 0, "to_ns": 1, "instrument": evil, "kind": evil, "reason": evil, "count": 0}
    ]
    page = page_of(told, runs[0], None)
    assert "<img" not in page
    assert "36 commands: p50 16.7 ms, p99 20 ms, max 21 ms" in page
    assert "&lt;img onerror=x&gt;" in page


def test_an_unwritable_place_is_said(runs: list[Run], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FairleadError, match="OUT-UNWRITABLE"):
        report.write_report(runs[0], None, tmp_path / "file" / "page.html")


# By hand


def fill(ts: int, side: str, quantity: str, price: str, **more: Any) -> dict[str, Any]:
    sign = 1 if side == "BUY" else -1
    value = float(quantity) * float(price)
    return {
        "ts_event": ts * SECOND_NS,
        "strategy": "S-1",
        "instrument": "BTC_USDT.X",
        "side": side,
        "quantity": quantity,
        "price": price,
        "quote": "USDT",
        "value": str(value),
        "moved": str(sign * float(quantity)),
        "cash": str(-sign * value - 0.1),
        **more,
    }


def test_trades_go_from_flat_to_flat_and_a_turn_is_two() -> None:
    fills = [
        fill(1, "BUY", "1", "100"),
        fill(2, "BUY", "1", "102"),
        fill(3, "SELL", "3", "104"),  # closes two, opens one short
        fill(9, "BUY", "1", "101"),
        fill(10, "BUY", "1", "100"),  # stays open
    ]
    one, two = numbers.trades(fills)
    assert (one["side"], one["largest"], one["fills"]) == ("long", 2, 3)
    assert one["pnl"] == pytest.approx(2 * 104 - 202 - 0.2 - 0.1 * 2 / 3)
    assert (two["side"], two["opened"], two["closed"]) == ("short", 3 * SECOND_NS, 9 * SECOND_NS)
    assert two["pnl"] == pytest.approx(104 - 101 - 0.1 / 3 - 0.1)
    told = numbers.of_trades([one, two])["USDT"]
    assert (told["won"], told["profit_factor"], told["pnl"]["count"]) == (1, None, 2)


TWO = [  # a gain of 0.02 BTC less fees, losses of 30 and 20 USDT
    fill(1, "BUY", "10", "0.03", instrument="ETH_BTC.X", quote="BTC", cash="-0.3"),
    fill(2, "SELL", "10", "0.032", instrument="ETH_BTC.X", quote="BTC", cash="0.32"),
    fill(3, "BUY", "10", "200", cash="-2000"),
    fill(4, "SELL", "10", "197", cash="1970"),
    fill(5, "BUY", "10", "200", cash="-2000"),
    fill(3700, "SELL", "10", "198", cash="1980"),
]


def test_trades_and_turnover_of_two_currencies_are_not_added() -> None:
    told = numbers.of_trades(numbers.trades(TWO))
    assert list(told) == ["BTC", "USDT"]
    bitcoin, dollars = told["BTC"], told["USDT"]
    assert (bitcoin["pnl"]["count"], dollars["pnl"]["count"]) == (1, 2)
    assert bitcoin["pnl"]["mean"] == bitcoin["gain"] == pytest.approx(0.02)
    assert (bitcoin["won"], bitcoin["loss"], bitcoin["profit_factor"]) == (1, None, None)
    assert dollars["pnl"]["mean"] == dollars["loss"] == pytest.approx(-25)
    assert (dollars["won"], dollars["gain"], dollars["profit_factor"]) == (0, None, 0)
    assert bitcoin["shuffled"] is None
    assert dollars["shuffled"]["fall"] == pytest.approx(50)
    assert numbers.of_trades([]) == {}
    first, second = numbers.by_hour([], TWO)
    assert first["turnover"] == pytest.approx({"BTC": 0.62, "USDT": 5970})
    assert second["turnover"] == pytest.approx({"USDT": 1980})


def test_page_and_comparison_name_the_currencies_of_trades_and_turnover(
    runs: list[Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("plotly")
    from fairlead.engine.research.page import page_of

    more = dict.fromkeys(("queue_ns", "mid_decided", "mid_1s", "mid_10s", "mid_60s"))
    fills = [{**one, **more, "liquidity": "TAKER"} for one in TWO]
    orders = [
        {"strategy": "S-1", "instrument": name, "status": "FILLED", "filled": "10"}
        for name in ("BTC_USDT.X", "ETH_BTC.X")
    ]
    told = report.report(runs[0])
    closed = numbers.trades(fills)
    told["execution"] = numbers.execution(orders, fills)
    told["by_hour"] = numbers.by_hour([], fills)
    told["trades"] = {"by_currency": numbers.of_trades(closed), "list": closed}
    told["compare"] = report.compared(told, report.report(runs[1]), runs[0], runs[1])
    figures = {one["name"]: one["this"] for one in told["compare"]["figures"]}
    assert (figures["turnover BTC"], figures["turnover USDT"]) == pytest.approx((0.62, 7950))
    assert (figures["mean trade BTC"], figures["mean trade USDT"]) == pytest.approx((0.02, -25))
    assert figures["trades"] == 3
    assert {"turnover", "mean trade"}.isdisjoint(figures)
    turned = report.compared(report.report(runs[1]), told, runs[1], runs[0])["figures"]
    (found,) = (one for one in turned if one["name"] == "mean trade BTC")
    assert (found["this"], found["other"]) == (None, pytest.approx(0.02)), "the other's alone"
    page = page_of(told, runs[0], None)
    for text in (
        "<td>0.62 BTC</td>",
        "<td>7,950 USDT</td>",
        "<td>0.62 BTC, 5,970 USDT</td>",
        "1 closed, mean +0.02 BTC, 100% gained",
        "2 closed, mean -25 ± 5 USDT, 0% gained, profit factor 0.00",
        "was 50 USDT.",
    ):
        assert text in page, text


def test_dust_of_a_fee_in_base_does_not_keep_a_trade_open() -> None:
    bought = fill(1, "BUY", "1", "100", moved="0.999", cash="-100", least="0.01")
    sold = fill(2, "SELL", "0.998", "110", moved="-0.998", cash="109.78", least="0.01")
    (one,) = numbers.trades([bought, sold])
    assert one["pnl"] == pytest.approx(109.78 - 100 + 0.001 * 110)


def test_a_small_part_of_a_large_position_is_no_dust_and_keeps_its_trade_open() -> None:
    """What can be sold is held, as the gate counts it: four thousandths of it, too."""
    bought = fill(1, "BUY", "1.000", "100")
    sold = fill(2, "SELL", "0.996", "110")
    assert numbers.trades([bought, sold]) == []
    (one,) = numbers.trades([bought, sold, fill(3, "SELL", "0.004", "90")])
    assert (one["fills"], one["closed"]) == (3, 3 * SECOND_NS)


def test_first_executions_below_the_least_order_end_no_trade() -> None:
    fills = [fill(at, "BUY", "0.001", "100", least="0.01") for at in range(1, 12)]
    (one,) = numbers.trades([*fills, fill(20, "SELL", "0.011", "110", least="0.01")])
    assert (one["opened"], one["fills"]) == (SECOND_NS, 12)


def test_mark_outs_and_slippage_are_signed_by_side() -> None:
    base = {"mid_1s": "101", "mid_10s": None, "mid_60s": "99", "liquidity": "TAKER"}
    more = {**base, "mid_decided": "99.5", "queue_ns": None}
    fills = [fill(1, "BUY", "1", "100", **more), fill(1, "SELL", "1", "100", **more)]
    orders = [
        {"strategy": "S-1", "instrument": "BTC_USDT.X", "status": "FILLED", "filled": "1"}
        | {"ts_accepted": 2_000_000, "ts_init": 1_000_000}
    ]
    (told,) = numbers.execution(orders, fills)
    assert [numbers.mark_out(one, 1) for one in fills] == [pytest.approx(100), pytest.approx(-100)]
    assert told["mark_outs"]["all"]["1s"] == {
        "mean": 0,
        "error": pytest.approx(100),
        "count": 2,
        "unknown": 0,
    }
    assert (
        told["mark_outs"]["all"]["10s"]["count"] == told["mark_outs"]["maker"]["1s"]["count"] == 0
    )
    assert told["slippage_bps"]["mean"] == pytest.approx(0)
    assert told["accepted_ms"]["median"] == 1


def test_drawdown_is_the_deepest_fall_from_a_peak() -> None:
    assert numbers.drawdown([100, 120, 90, 130, 110]) == (30, 0.25)
    assert numbers.drawdown([1, 2, 3]) == (0, None)


def test_returns_have_standard_errors_and_no_more_than_the_run_can_tell() -> None:
    values = [100 + (at % 2) for at in range(61)]
    rows = [{"ts": at * SECOND_NS, "equity": str(value)} for at, value in enumerate(values)]
    told = numbers.returns(rows)
    assert told is not None
    assert told["secs"] == 1
    assert told["bps"]["count"] == 60
    assert told["bps"]["mean"] == pytest.approx((100 - 1e4 / 101) / 2, rel=1e-6)
    assert told["ratio_error"] == pytest.approx(
        ((1 + told["ratio"] ** 2 / 2) / 60) ** 0.5, rel=1e-9
    )
    assert numbers.returns(rows[:20]) is None
    assert numbers.by_time(rows[:5], "equity", 2) == [100, 100, 100]
    assert numbers.by_time(rows[:4], "equity", 2) == [100, 100], "a second is no two"


def test_a_run_in_memory_asks_for_a_file_and_takes_its_name_as_text(
    runs: list[Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("plotly")
    html, _ = report.write_report(runs[0], html=str(tmp_path / "named.html"))
    assert html == tmp_path / "named.html"
    monkeypatch.setattr(runs[1], "folder", None)
    with pytest.raises(FairleadError, match="name a file") as raised:
        report.write_report(runs[1])
    assert raised.value.code == "REPORT-NOWHERE"


def test_what_a_venue_does_not_tell_of_liquidity_is_not_told_as_taken() -> None:
    more = {"mid_decided": None, "queue_ns": None, "mid_10s": None, "mid_60s": None}
    untold = fill(1, "BUY", "1", "100", liquidity=NOT_TOLD, mid_1s="101", **more)
    orders = [
        {"strategy": "S-1", "instrument": "BTC_USDT.X", "status": "FILLED", "filled": "1"}
        | {"ts_accepted": 2_000_000, "ts_init": 1_000_000}
    ]
    (told,) = numbers.execution(orders, [untold])
    assert (told["maker_share"], told["makers"], told["takers"]) == (None, None, None)
    shown = _mark_outs([told])
    assert "<td>all</td>" in shown
    assert "(1)" in shown
    maker = fill(1, "BUY", "1", "100", liquidity="MAKER", mid_1s="101", **more)
    (told,) = numbers.execution(orders, [maker])
    assert (told["maker_share"], told["makers"], told["takers"]) == (1.0, 1, 0)
    assert "<td>all</td>" not in _mark_outs([told])
