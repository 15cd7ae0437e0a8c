"""A result names what it rests on, and its hashes change with what could change the result."""

from __future__ import annotations

import json
import shutil
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from nautilus_trader.model import NautilusDataType
from nautilus_trader.persistence import ParquetDataCatalog
from rich.console import Console

from fairlead.engine.config.loaded import LoadedConfig
from fairlead.engine.config.model import Backtest
from fairlead.engine.config.resolved import resolve
from fairlead.engine.observe.assumptions import (
    Assumptions,
    FeeRates,
    StrategyUsed,
    canonical,
    digest,
    params_told,
)
from fairlead.engine.observe.assumptions import rows as assumed_rows
from fairlead.engine.observe.summary import RunSummary
from fairlead.engine.observe.table import rows, table
from fairlead.engine.run.assumed import assumptions, strategy_used
from fairlead.engine.run.backtest import run_backtest
from fairlead.engine.run.config import load
from tests.unit.backtest_kit import (
    MAKER,
    MAKER_PARAMS,
    START_NS,
    config,
    config_text,
    loaded,
    perpetual,
    run,
    spot,
    write_catalog,
)

PERP = "BTCUSDT.TEST"
OCEANEX = "BTC_USDT.OCEANEX"
TRADING: dict[str, Any] = {**MAKER_PARAMS, "allow_short": True}


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("assumed") / "catalog"
    return write_catalog(root, perpetual(PERP), seconds=20, seed=11)


def of(folder: Path, catalog: Path, params: Any = TRADING, **more: Any) -> Assumptions:
    found = run(folder, catalog, MAKER, params, **more).summary.assumptions
    assert found is not None
    return found


def used(ready: LoadedConfig) -> list[StrategyUsed]:
    strategies = resolve(ready, "backtest").require().strategies
    return [strategy_used(ready, one) for one in strategies]


def at(seconds: float) -> str:
    moment = datetime.fromtimestamp(START_NS / 1e9, UTC) + timedelta(seconds=seconds)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f") + "Z"


# What is named


def test_everything_is_named_in_json_file_and_table(tmp_path: Path, catalog: Path) -> None:
    result = run(tmp_path, catalog, MAKER, TRADING, latency_ms="7.50")
    written = result.record().write(tmp_path / "out")
    told = json.loads((tmp_path / "out" / "summary.json").read_text())["assumptions"]
    assert told == json.loads(written.json())["assumptions"]
    assert told["execution"] == {
        "latency_ms": "7.50",
        "queue_position": True,
        "liquidity_consumption": True,
    }
    (fees,) = told["fees"].values()
    assert (fees["maker"], fees["taker"], fees["source"]) == ("0.0002", "0.0005", "config")
    assert told["marks"] == {PERP: "mid of the book"}
    assert told["data"]["folder"] == str(catalog)
    assert told["data"]["files"] == 2
    (strategy,) = told["strategies"]
    assert strategy["params"]["order_quantity"] == "0.01"
    assert strategy["params"]["stale_ms"] == 3000, "a default"
    assert "stale_ms" not in strategy["given"]
    assert set(told["versions"]) == {"fairlead", "nautilus-trader", "python"}
    shown = dict(rows(result.summary))
    assert shown["execution"].startswith("latency 7.5 ms, queue position on")
    assert shown["fee rates"] == "0.0002 maker, 0.0005 taker (config)"
    assert shown["marks"] == "mid of the book"
    assert "order_quantity 0.01" in shown["parameters"]
    assert told["inputs"][:12] in shown["inputs"]
    assert told["data"]["sha256"][:12] in shown["inputs"]
    assert "nautilus-trader" in shown["versions"]


def test_the_table_of_two_runs_is_brief(tmp_path: Path, catalog: Path) -> None:
    summary = run(tmp_path, catalog, MAKER, TRADING).summary
    console = Console(width=200, record=True, file=(tmp_path / "screen").open("w"))
    console.print(table([summary, summary]))
    told = console.export_text()
    assert "latency 1 ms" in told
    assert "half_spread_bps" not in told


@pytest.mark.parametrize(
    ("info", "fees", "text"),
    [
        (
            {"buy_fee": "0.002", "sell_fee": "0.0010", "buy_fee_in_base": True},
            None,
            "0.002 buy, 0.001 sell (recorded, a buyer pays in base)",
        ),
        ({"maker_fee": "0", "taker_fee": "0.001"}, None, "0 maker, 0.001 taker (recorded)"),
        (None, '"none"', 'none (fees = "none")'),
    ],
)
def test_where_fee_rates_come_from(
    tmp_path: Path, info: dict[str, Any] | None, fees: str | None, text: str
) -> None:
    root = write_catalog(tmp_path / "c", spot(OCEANEX, info), seconds=5)
    more = {"instrument": OCEANEX, "adapter": "oceanex", "account": "cash", "fees": fees}
    assert str(of(tmp_path, root, MAKER_PARAMS, **more).fees[OCEANEX]) == text


def test_a_mark_by_trades_or_by_nothing_is_named_so(tmp_path: Path) -> None:
    ready = loaded(tmp_path, tmp_path, MAKER, TRADING)
    trades = SimpleNamespace(
        instrument=lambda _: perpetual(PERP),
        top_of_book=lambda _: None,
        quote=lambda _: None,
        trade=lambda _: object(),
    )
    assert assumptions(ready, trades, used(ready), fees_from="venue").marks == {PERP: "last trade"}
    nothing = SimpleNamespace(**{**vars(trades), "trade": lambda _: None})
    assert assumptions(ready, nothing, used(ready), fees_from="venue").marks == {PERP: "no mark"}
    unknown = SimpleNamespace(**{**vars(trades), "instrument": lambda _: None})
    found = assumptions(ready, unknown, used(ready), fees_from="venue")
    assert (found.marks, found.fees) == ({}, {})


def test_a_live_run_has_no_simulated_execution_or_fees(tmp_path: Path) -> None:
    ready = loaded(tmp_path, tmp_path, MAKER, TRADING)
    cache = SimpleNamespace(instrument=lambda _: perpetual(PERP), top_of_book=lambda _: object())
    found = assumptions(ready, cache, used(ready), fees_from="venue", simulated=False)
    assert (found.execution, found.fees, found.data) == (None, {}, None)
    shown = dict(assumed_rows(found))
    assert shown["execution"] == "at the venue, at its fees"
    assert "order_quantity 0.01" in shown["parameters"], "the result names them in every mode"
    assert found.config
    assert found.strategies


def test_instruments_of_one_name_on_two_venues_are_told_apart(tmp_path: Path) -> None:
    ready = loaded(tmp_path, tmp_path, MAKER, TRADING)
    cache = SimpleNamespace(instrument=lambda _: perpetual(PERP), top_of_book=lambda _: object())
    found = assumptions(ready, cache, used(ready), fees_from="venue", simulated=False)
    marks = {"BTC_USDT.A": "mid of the book", "BTC_USDT.B": "last trade"}
    fees = {name: FeeRates(maker=Decimal(1), taker=Decimal(2), source=name) for name in marks}
    told = list(assumed_rows(msgspec.structs.replace(found, marks=marks, fees=fees)))
    assert [text for name, text in told if name == "marks"] == [
        "BTC_USDT.A: mid of the book",
        "BTC_USDT.B: last trade",
    ]
    rates = [text.partition(":")[0] for name, text in told if name == "fee rates"]
    assert rates == list(marks)


# The hashes


def test_equal_inputs_give_equal_hashes_and_results(tmp_path: Path, catalog: Path) -> None:
    first, second = (run(tmp_path, catalog, MAKER, TRADING).summary for _ in range(2))
    assert first.assumptions == second.assumptions
    assert first.orders_digest == second.orders_digest


def test_form_and_comments_of_the_config_change_nothing(tmp_path: Path, catalog: Path) -> None:
    text = config_text(catalog, MAKER, TRADING, latency_ms="5")
    file = tmp_path / "run.toml"
    hashes = set()
    for changed in (
        text,
        "# a comment\n" + text.replace("\n", "\n\n"),
        text.replace('latency_ms = "5"', "latency_ms = 5"),
        text.replace('latency_ms = "5"', 'latency_ms = "5.00"'),
        text.replace('"100000 USDT"', '"100000.0 USDT"'),
        text.replace('order_quantity = "0.010"', 'order_quantity = "0.01"'),
        text.replace("fees = { maker = ", "fees = { maker =   "),
        text + f"chunk_size = {Backtest().chunk_size}\n",  # what it is without being said
        text.replace("requote_ms = 100", "stale_ms = 3000\nrequote_ms = 100"),  # a default, said
    ):
        file.write_text(changed)
        found = run_backtest(load(file)).summary.assumptions
        assert found is not None
        hashes.add((found.config, found.data.sha256 if found.data else "", found.inputs))
    assert len(hashes) == 1


@pytest.mark.parametrize(
    "changed",
    [
        {"params": {**TRADING, "order_quantity": "0.020"}},
        {"params": {**TRADING, "stale_ms": 2999}},
        {"fees": '{ maker = "0.0002", taker = "0.0006" }'},
        {"fees": '"none"'},
        {"latency_ms": "2"},
        {"balances": ("100001 USDT",)},
        {"risk": "max_open_orders = 7"},
        {"backtest": "chunk_size = 2000"},
    ],
    ids=str,
)
def test_each_change_of_the_config_changes_its_hash(
    tmp_path: Path, catalog: Path, changed: dict[str, Any]
) -> None:
    before, after = of(tmp_path, catalog), of(tmp_path, catalog, **changed)
    assert before.config != after.config
    assert before.inputs != after.inputs
    assert before.data == after.data


def test_a_changed_row_changes_the_hash_of_the_data(tmp_path: Path, catalog: Path) -> None:
    before = of(tmp_path, catalog)
    for kind in ("trades", "order_book_deltas"):
        changed = tmp_path / kind
        shutil.copytree(catalog, changed)
        store = ParquetDataCatalog(str(changed))
        row = _last(store, kind)
        moved = type(row).from_dict({**row.to_dict(), "ts_event": row.ts_event + 1})
        (folder,) = (changed / "data" / kind).iterdir()
        everything = _all(store, kind)[:-1]
        shutil.rmtree(folder)
        _write(ParquetDataCatalog(str(changed)), kind, [*everything, moved])
        after = of(tmp_path, changed)
        assert before.config != after.config, "the folder is another"
        assert before.data is not None
        assert after.data is not None
        assert before.data.sha256 != after.data.sha256


def _all(store: ParquetDataCatalog, kind: str) -> list[Any]:
    ask = store.query_trade_ticks if kind == "trades" else store.query_order_book_deltas
    return list(ask([PERP]))


def _last(store: ParquetDataCatalog, kind: str) -> Any:
    return _all(store, kind)[-1]


def _write(store: ParquetDataCatalog, kind: str, found: list[Any]) -> None:
    (store.write_trade_ticks if kind == "trades" else store.write_order_book_deltas)(found)


def test_a_changed_fee_of_the_data_changes_the_hash(tmp_path: Path) -> None:
    more = {"instrument": OCEANEX, "adapter": "oceanex", "account": "cash", "fees": None}
    hashes = set()
    for fee in ("0.001", "0.0011"):
        info = {"maker_fee": fee, "taker_fee": "0.002"}
        root = write_catalog(tmp_path / fee, spot(OCEANEX, info), seconds=5)
        found = of(tmp_path, root, MAKER_PARAMS, **more)
        assert found.data is not None
        hashes |= {found.data.sha256, found.inputs}
    assert len(hashes) == 4


def test_a_copy_elsewhere_is_the_same_data(tmp_path: Path, catalog: Path) -> None:
    shutil.copytree(catalog, tmp_path / "copy")
    before, after = of(tmp_path, catalog), of(tmp_path, tmp_path / "copy")
    assert before.data is not None
    assert after.data is not None
    assert before.data.folder != after.data.folder
    assert before.data.sha256 == after.data.sha256


def test_the_range_and_the_book_at_its_start_are_part_of_the_data(
    tmp_path: Path, catalog: Path
) -> None:
    inside = {"backtest": f"start = {at(8)}\nend = {at(15)}"}
    found = [of(tmp_path, catalog, **inside) for _ in range(2)]
    assert found[0] == found[1]
    other = of(tmp_path, catalog, backtest=f"start = {at(9)}\nend = {at(15)}")
    assert found[0].data is not None
    assert other.data is not None
    whole = of(tmp_path, catalog)
    assert whole.data is not None
    assert len({one.data.sha256 for one in (found[0], other, whole) if one.data}) == 3
    assert found[0].data.start_ns == START_NS + 8_000_000_000


def test_a_row_before_the_start_that_the_book_was_rebuilt_from_counts(
    tmp_path: Path, catalog: Path
) -> None:
    """In two files, of which the range needs the second one only."""
    hashes = set()
    for quantity in (None, "9.000"):
        root = tmp_path / f"split-{quantity}"
        store = _split(catalog, root, quantity)
        assert len(store.get_intervals(NautilusDataType.OrderBookDelta, PERP)) == 2
        found = of(tmp_path, root, backtest=f"start = {at(10)}")
        assert found.data is not None
        hashes.add(found.data.sha256)
    assert len(hashes) == 2


def _split(catalog: Path, root: Path, quantity: str | None) -> ParquetDataCatalog:
    """The catalog with its deltas in two files, cut at 10 s.

    `quantity` is what the last level set before that has, in place of its own.
    """
    cut = START_NS + 10_000_000_000
    shutil.copytree(catalog, root)
    (folder,) = (root / "data" / "order_book_deltas").iterdir()
    deltas = _all(ParquetDataCatalog(str(root)), "order_book_deltas")
    shutil.rmtree(folder)
    if quantity is not None:
        before = (at for at, row in enumerate(deltas) if row.ts_init < cut)
        at = max(at for at in before if deltas[at].action.name in ("ADD", "UPDATE"))
        told = deltas[at].to_dict()
        told["order"] = {**told["order"], "size": quantity}
        deltas[at] = type(deltas[at]).from_dict(told)
    store = ParquetDataCatalog(str(root))
    store.write_order_book_deltas([row for row in deltas if row.ts_init < cut])
    store.write_order_book_deltas([row for row in deltas if row.ts_init >= cut])
    return store


def test_the_strategys_source_is_part_of_the_inputs(tmp_path: Path, catalog: Path) -> None:
    source = Path(__file__).parents[2] / "data" / "plain_strategy.py"
    module = tmp_path / "mine_for_hashes.py"
    params = {"instrument_id": PERP, "size": "0.100"}
    codes = []
    for more in ("", "\n# changed\n"):
        module.write_text(source.read_text() + more)
        sys.modules.pop("mine_for_hashes", None)
        ready = load(config(tmp_path, catalog, "mine_for_hashes:Plain", params))
        codes.append(used(ready)[0].code)
    assert codes[0] != codes[1]


# Small parts


def test_no_secret_is_told_or_hashed(tmp_path: Path, catalog: Path) -> None:
    told = params_told({"api_key": "k-123456789", "Token": "t", "size": Decimal("1.50")})
    assert told == {"api_key": "[secret]", "Token": "[secret]", "size": "1.5"}
    text = config_text(catalog, MAKER, TRADING, adapter="oceanex", instrument=OCEANEX)
    file = tmp_path / "run.toml"
    found = []
    for reference in ("env:ONE", "env:TWO"):
        file.write_text(
            text.replace(
                "[[strategies]]", f'credentials = {{ uid = "{reference}" }}\n[[strategies]]'
            )
        )
        cache = SimpleNamespace(instrument=lambda _: None)
        ready = load(file)
        found.append(assumptions(ready, cache, used(ready), fees_from="venue"))
    assert found[0] == found[1]
    assert b"env:ONE" not in msgspec.json.encode(found[0])


def test_one_form_for_each_meaning() -> None:
    assert canonical({"b": Decimal("1.500"), "a": {2, 1}}) == {"b": "1.5", "a": [1, 2]}
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    assert canonical(Decimal("1E+3")) == "1000"
    assert canonical("0100.50 USDT") == "100.5 USDT"
    assert canonical(object) == canonical(object)
    assert " at 0x" not in canonical(object())


def test_an_amount_in_json_has_no_exponent(tmp_path: Path, catalog: Path) -> None:
    summary: RunSummary = run(tmp_path, catalog, MAKER, TRADING).summary
    (one,) = summary.instruments
    flat = msgspec.structs.replace(
        summary, instruments=[msgspec.structs.replace(one, unrealized=Decimal("0E-12"))]
    )
    assert json.loads(flat.json())["instruments"][0]["unrealized"] == "0.000000000000"
