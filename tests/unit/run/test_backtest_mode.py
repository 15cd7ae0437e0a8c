"""`fairlead backtest`: results, exit codes, and one clear error for each kind of bad input."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from nautilus_trader.model import (
    Bar,
    BarType,
    BookType,
    Money,
    OrderBook,
    OrderSide,
    Price,
    Quantity,
)
from nautilus_trader.persistence import ParquetDataCatalog

from fairlead.engine.errors import FairleadError
from fairlead.engine.observe.assumptions import FeeRates
from fairlead.engine.observe.summary import Account
from fairlead.engine.observe.table import rows, shown
from fairlead.engine.recording.gaps import GapKind, GapLog, GapRow, gaps_path
from fairlead.engine.run.backtest import run_backtest
from fairlead.engine.run.backtest_data import book_at
from fairlead.engine.run.config import load
from fairlead.engine.run.fees import rates_from_info
from tests.support.patience import PATIENCE_SECS
from tests.unit.backtest_kit import (
    MAKER,
    MAKER_PARAMS,
    START_NS,
    config,
    loaded,
    perpetual,
    run,
    spot,
    write_catalog,
)

SECOND_NS = 1_000_000_000
PERP = "BTCUSDT.TEST"
OCEANEX = "BTC_USDT.OCEANEX"
PLAIN = "tests.data.plain_strategy:Plain"
PLAIN_PARAMS: dict[str, Any] = {"instrument_id": PERP, "size": "0.100"}
SHORT: dict[str, Any] = {**MAKER_PARAMS, "allow_short": True}


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A minute of a seeded market."""
    root = tmp_path_factory.mktemp("backtest") / "catalog"
    return write_catalog(root, perpetual(PERP), seconds=60, seed=11)


def fairlead(*args: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            sys.executable,
            "-c",
            "from fairlead.engine.cli.main import main; main()",
            *map(str, args),
        ],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECS,
        # A shell starts background jobs with SIGINT ignored, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def at(seconds: float) -> str:
    moment = datetime.fromtimestamp(START_NS / 1e9, UTC) + timedelta(seconds=seconds)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f") + "Z"


# Results


def test_profit_and_loss_is_what_the_account_says(tmp_path: Path, catalog: Path) -> None:
    summary = run(tmp_path, catalog, MAKER, SHORT).summary
    (one,) = summary.instruments
    assert summary.exit_code == 0
    assert summary.fills > 10
    assert summary.fees["USDT"] > 0
    # The account's balance moves by realized PnL less fees; what is open is on top.
    assert summary.balance_changes["TEST"]["USDT"] == one.net - one.unrealized
    worth = summary.equity["TEST"]["USDT"]
    assert (worth.start, worth.change) == (100_000, one.net)
    assert worth.end == worth.start + worth.change
    assert one.net == one.realized + one.unrealized - one.fees_value
    assert summary.net == {"USDT": one.net}
    assert summary.gaps is not None
    assert summary.gaps.count == 0
    assert summary.events
    assert summary.events > 600


def test_strategies_that_hold_against_each_other_are_worth_what_the_account_says(
    tmp_path: Path, catalog: Path
) -> None:
    """Nothing together, and each of them a position whose result the account does not have yet."""
    path = "tests.data.exits:BracketSteps"

    def steps(ms: int, side: str) -> str:
        return json.dumps([[ms, "market", "one", side, "0.010"]]).replace('"', '\\"')

    begin = {"begin_ns": START_NS, "instrument_id": "BTCUSDT.TEST"}
    file = config(tmp_path, catalog, path, {"steps": steps(10_000, "BUY"), **begin})
    other = f'\n[[strategies]]\nid = "Other-002"\npath = "{path}"\n[strategies.params]\n'
    other += f'steps = "{steps(20_000, "SELL")}"\nbegin_ns = {START_NS}\n'
    file.write_text(file.read_text() + other + 'instrument_id = "BTCUSDT.TEST"\n')
    summary = run_backtest(load(file)).summary
    (one,) = summary.instruments
    assert (one.fills, one.position) == (2, 0)
    assert {part.position for part in summary.strategies} == {Decimal("0.010"), Decimal("-0.010")}
    worth = summary.equity["TEST"]["USDT"]
    assert one.net != 0
    assert (worth.start, worth.change) == (100_000, one.net)


def test_an_account_starts_with_what_the_config_says_and_its_rounding_is_told(
    tmp_path: Path, catalog: Path
) -> None:
    """Seven parts of two prices: no decimal number is their average."""
    bought = [[1000 * at, "market", f"in-{at}", "BUY", f"0.00{at}"] for at in (3, 4)]
    sold = [[1000 * at, "market", f"out-{at}", "SELL", "0.001"] for at in range(10, 16)]
    steps = json.dumps([*bought, *sold]).replace('"', '\\"')
    params = {"steps": steps, "begin_ns": START_NS, "instrument_id": "BTCUSDT.TEST"}
    file = config(tmp_path, catalog, "tests.data.exits:BracketSteps", params)
    summary = run_backtest(load(file)).summary
    (one,) = summary.instruments
    worth = summary.equity["TEST"]["USDT"]
    assert one.fills == 8
    assert worth.start == 100_000
    assert (worth.change, worth.end) == (one.net, worth.start + one.net + worth.rounding)
    assert 0 < abs(worth.rounding) < Decimal("0.0000002")
    assert worth.end == 100_000 + summary.balance_changes["TEST"]["USDT"] + one.unrealized
    (text,) = [text for name, text in rows(summary) if name.startswith("equity")]
    assert f"balances rounded by {worth.rounding:+f}" in text


def test_spot_equity_is_quote_change_and_base_at_the_mark(tmp_path: Path) -> None:
    info = {"buy_fee": "0.002", "sell_fee": "0.001", "buy_fee_in_base": True}
    root = write_catalog(tmp_path / "c", spot(OCEANEX, info), seconds=60, seed=11)
    params = {**MAKER_PARAMS, "start_inventory": "0.020"}
    summary = run(
        tmp_path,
        root,
        MAKER,
        params,
        instrument=OCEANEX,
        adapter="oceanex",
        fees=None,
        account="cash",
        balances=("100000 USDT", "0.02 BTC"),
    ).summary
    (one,) = summary.instruments
    change = summary.balance_changes["OCEANEX"]
    assert summary.fills > 5
    assert one.mark is not None
    assert one.net == change["USDT"] + change["BTC"] * one.mark
    assert one.position == change["BTC"]
    worth = summary.equity["OCEANEX"]["USDT"]
    assert worth.start == 100_000 + Decimal("0.02") * one.mark
    assert worth.end == 100_000 + change["USDT"] + (Decimal("0.02") + change["BTC"]) * one.mark
    assert worth.change == one.net
    assert summary.fees["BTC"] == one.bought * Decimal("0.002")


def test_maker_and_taker_pay_their_own_rate(tmp_path: Path, catalog: Path) -> None:
    plain = run(tmp_path, catalog, PLAIN, PLAIN_PARAMS).summary
    (one,) = plain.instruments
    assert plain.fills
    assert plain.maker_fills == 0
    assert abs(plain.fees["USDT"] - one.turnover * Decimal("0.0005")) < Decimal("0.0001")


def test_two_runs_chunks_and_a_watched_run_are_identical(tmp_path: Path, catalog: Path) -> None:
    digests = set()
    for chunk in ("", "chunk_size = 1000", "chunk_size = 777000"):
        digests.add(run(tmp_path, catalog, MAKER, SHORT, backtest=chunk).summary.orders_digest)
    seen: list[float] = []
    ready = loaded(tmp_path, catalog, MAKER, SHORT)
    digests.add(run_backtest(ready, progress=seen.append).summary.orders_digest)
    assert len(digests) == 1


def test_progress_is_told(tmp_path: Path) -> None:
    root = write_catalog(tmp_path / "c", perpetual(PERP), seconds=200, seed=1)
    seen: list[float] = []
    run_backtest(loaded(tmp_path, root, MAKER, SHORT), progress=seen.append)
    assert seen
    assert all(0 <= one <= 1 for one in seen)
    assert seen == sorted(seen)


def test_gate_denials_are_counted_by_code(tmp_path: Path, catalog: Path) -> None:
    summary = run(tmp_path, catalog, MAKER, SHORT, risk='max_order_notional = "100 USDT"').summary
    assert summary.orders == 0
    assert set(summary.denials) == {"MAX_ORDER_NOTIONAL"}
    assert summary.denials["MAX_ORDER_NOTIONAL"] > 10


def test_a_halt_is_noted(tmp_path: Path, catalog: Path) -> None:
    summary = run(tmp_path, catalog, MAKER, SHORT, risk='max_daily_loss = ["0.0001 USDT"]').summary
    assert [note for note in summary.notes if note.startswith("HALTED, nothing was created after")]
    assert "HALTED" in summary.denials


def test_kill_switch_stops_orders(tmp_path: Path, catalog: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "KILL").touch()
    summary = run(tmp_path, catalog, MAKER, SHORT).summary
    assert summary.orders == 0
    assert set(summary.denials) == {"KILL_SWITCH"}


def test_gaps_of_the_recording_are_told(tmp_path: Path) -> None:
    root = write_catalog(tmp_path / "c", perpetual(PERP), seconds=30, seed=1)
    with GapLog(gaps_path(root)) as log:
        for second in (10, 10_000):  # the second one lies outside the data
            from_ns = START_NS + second * SECOND_NS
            log.append(
                GapRow(
                    kind=GapKind.GAP,
                    instrument=PERP,
                    reason="test",
                    from_ns=from_ns,
                    to_ns=from_ns + SECOND_NS,
                )
            )
    summary = run(tmp_path, root, MAKER, SHORT).summary
    assert summary.gaps is not None
    assert summary.gaps.count == 1
    assert ("gaps", "1 gap, 1.000 s (gap 1)") in rows(summary)


# Strategies that are not of this project, faults, breaches


def test_plain_strategy_runs_unmodified_behind_the_gate(tmp_path: Path, catalog: Path) -> None:
    free = run(tmp_path, catalog, PLAIN, PLAIN_PARAMS)
    assert free.exit_code == 0
    assert free.summary.orders_by_status.keys() == {"FILLED"}
    limited = run(
        tmp_path, catalog, PLAIN, PLAIN_PARAMS, risk=f'max_position = {{ "{PERP}" = "0.050" }}'
    )
    assert limited.summary.orders == 0
    assert limited.summary.denials["MAX_POSITION"] > 5


def test_fault_cancels_orders_and_ends_the_run(tmp_path: Path, catalog: Path) -> None:
    result = run(tmp_path, catalog, "tests.data.plain_strategy:Faulty", PLAIN_PARAMS)
    assert result.exit_code == 10
    assert "ZeroDivisionError: the strategy has a bug" in result.summary.outcome
    (fault,) = result.summary.faults
    assert fault.callback == "on_book_deltas"
    assert result.summary.orders_by_status == {"CANCELED": 1}
    assert result.summary.events
    assert result.summary.events < 100  # of some 700


def test_a_fault_is_told_with_its_traceback_outside_the_table(
    tmp_path: Path, catalog: Path
) -> None:
    file = config(tmp_path, catalog, "tests.data.plain_strategy:Faulty", PLAIN_PARAMS)
    source = Path(__file__).parents[2] / "data" / "plain_strategy.py"
    lines = source.read_text().splitlines()
    at = next(n for n, line in enumerate(lines, 1) if "raise ZeroDivisionError" in line)
    line = f"Test-001.on_book_deltas: ZeroDivisionError: the strategy has a bug ({source}:{at})"
    for json_asked in (True, False):
        ended = fairlead("backtest", file, *(["--json"] if json_asked else []))
        assert ended.returncode == 10
        assert ended.stderr.splitlines()[-1] == f"error a strategy faulted: {line}"
        assert ended.stderr.count("Traceback (most recent call last)") == 1
        assert f'File "{source}", line {at}, in on_book_deltas' in ended.stderr
        assert "Traceback" not in ended.stdout.replace('"traceback": "Traceback', "")
    (fault,) = json.loads(fairlead("backtest", file, "--json").stdout)["faults"]
    assert f'File "{source}", line {at}, in on_book_deltas' in fault["traceback"]
    assert fault["place"] == f"{source}:{at}"


def test_order_past_the_gate_is_a_breach(tmp_path: Path, catalog: Path) -> None:
    result = run(tmp_path, catalog, "tests.data.plain_strategy:RoundTheGate", PLAIN_PARAMS)
    assert result.exit_code == 7
    assert "gate" in result.summary.outcome


# A start inside the recording


def test_start_inside_gets_the_whole_book(tmp_path: Path, catalog: Path) -> None:
    start = START_NS + 30 * SECOND_NS
    instrument_id = perpetual(PERP).id
    store = ParquetDataCatalog(str(catalog))
    rebuilt = OrderBook(instrument_id, BookType.L2_MBP)
    snapshot = book_at(store, instrument_id, start)
    for delta in snapshot:
        rebuilt.apply_delta(delta)
    replayed = OrderBook(instrument_id, BookType.L2_MBP)
    for delta in store.query_order_book_deltas([PERP], end=start - 1):
        replayed.apply_delta(delta)
    assert rebuilt.bids_to_dict() == replayed.bids_to_dict()
    assert rebuilt.asks_to_dict() == replayed.asks_to_dict()
    assert len(rebuilt.bids_to_dict()) == 10
    assert {delta.ts_init for delta in snapshot} == {start - 1}
    result = run(tmp_path, catalog, MAKER, SHORT, backtest=f"start = {at(30)}\nend = {at(50)}")
    orders = result.cache.orders()
    assert orders
    assert min(one.ts_init for one in orders) >= start - 1
    assert max(one.ts_init for one in orders) <= START_NS + 50 * SECOND_NS
    assert result.summary.start_ns == start


def test_start_long_after_the_last_row_asks_the_catalog_seldom(catalog: Path) -> None:
    store, asked = ParquetDataCatalog(str(catalog)), []

    def query(*args: Any, **of: Any) -> Any:
        asked.append(of)
        return store.query_order_book_deltas(*args, **of)

    day = 86_400 * SECOND_NS
    far: Any = SimpleNamespace(get_intervals=store.get_intervals, query_order_book_deltas=query)
    (first, *snapshot) = book_at(far, perpetual(PERP).id, START_NS + 10 * day)
    assert len(asked) < 300  # 14,400 of a minute each
    near = book_at(store, perpetual(PERP).id, START_NS + 3600 * SECOND_NS)
    assert [one.order for one in snapshot] == [one.order for one in near[1:]]
    assert first.ts_init == START_NS + 10 * day - 1


def test_start_at_the_snapshot_needs_no_other(catalog: Path) -> None:
    store = ParquetDataCatalog(str(catalog))
    assert book_at(store, perpetual(PERP).id, START_NS) == []


def test_recording_cut_within_an_update_is_replayed_to_the_last_whole_one(tmp_path: Path) -> None:
    root = write_catalog(tmp_path / "c", perpetual(PERP), seconds=10, seed=1)
    store = ParquetDataCatalog(str(root))
    (last,) = store.query_order_book_deltas([PERP])[-1:]
    torn = type(last)(
        last.instrument_id,
        last.action,
        last.order,
        0,
        last.sequence + 1,
        last.ts_event + 1,
        last.ts_init + 1,
    )
    store.write_order_book_deltas([torn])
    summary = run(tmp_path, root, MAKER, SHORT).summary
    assert summary.exit_code == 0
    assert summary.orders
    assert "ends within a book update" in summary.notes[0]


# Bad input


def test_no_catalog(tmp_path: Path) -> None:
    with pytest.raises(FairleadError, match=r"CATALOG-MISSING.*nowhere") as error:
        run(tmp_path, tmp_path / "nowhere", MAKER, SHORT)
    assert error.value.exit_code == 4


def test_empty_catalog(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(FairleadError, match="CATALOG-EMPTY") as error:
        run(tmp_path, tmp_path / "empty", MAKER, SHORT)
    assert error.value.exit_code == 4


def test_a_catalog_of_bars_only_says_that_they_are_there_and_why_not(tmp_path: Path) -> None:
    root = tmp_path / "bars"
    root.mkdir()
    held = ParquetDataCatalog(str(root))
    held.write_instruments([perpetual(PERP)])
    kind = BarType.from_str(f"{PERP}-1-MINUTE-LAST-EXTERNAL")
    price, size = Price.from_str("100.0"), Quantity.from_str("1.000")
    ts = START_NS
    held.write_bars([Bar(kind, price, price, price, price, size, ts, ts)])
    with pytest.raises(FairleadError, match=r"CATALOG-EMPTY.*only bars of it.*import its"):
        run(tmp_path, root, MAKER, MAKER_PARAMS)


def test_instrument_not_there_names_the_nearest(tmp_path: Path, catalog: Path) -> None:
    with pytest.raises(FairleadError, match=r"has no BTCUSD\.TEST.*mean BTCUSDT\.TEST") as error:
        run(tmp_path, catalog, MAKER, SHORT, instrument="BTCUSD.TEST")
    assert error.value.exit_code == 4


def test_dates_without_data_say_what_there_is(tmp_path: Path, catalog: Path) -> None:
    dates = "start = 2020-01-01T00:00:00Z\nend = 2020-01-02T00:00:00Z"
    with pytest.raises(FairleadError, match=r"CATALOG-RANGE.*it has 2023-11-14T22:13:20") as error:
        run(tmp_path, catalog, MAKER, SHORT, backtest=dates)
    assert error.value.exit_code == 4


def test_no_fees_no_run(tmp_path: Path) -> None:
    root = write_catalog(tmp_path / "c", spot(OCEANEX), seconds=5)
    with pytest.raises(FairleadError, match=r"FEES-MISSING.*\[venues\.oceanex\.fees\]") as error:
        run(
            tmp_path,
            root,
            MAKER,
            MAKER_PARAMS,
            instrument=OCEANEX,
            adapter="oceanex",
            fees=None,
            account="cash",
        )
    assert error.value.exit_code == 3


def test_damaged_file_is_named(tmp_path: Path, catalog: Path) -> None:
    root = tmp_path / "damaged"
    shutil.copytree(catalog, root)
    (file,) = (root / "data" / "trades").rglob("*.parquet")
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(FairleadError, match=r"CATALOG-DAMAGED.*parquet") as error:
        run(tmp_path, root, MAKER, SHORT)
    assert error.value.exit_code == 9


# The command


def test_command_prints_a_table_and_json(tmp_path: Path, catalog: Path) -> None:
    file = config(tmp_path, catalog, MAKER, SHORT)
    table = fairlead("backtest", file)
    assert table.returncode == 0, table.stderr
    for label in ("orders", "fills", "fees", "net PnL", "gaps"):
        assert label in table.stdout
    out = tmp_path / "out"
    done = fairlead("backtest", file, "--json", "--out", out)
    summary = json.loads(done.stdout)
    assert summary["exit_code"] == 0
    assert Decimal(summary["fees"]["USDT"]) > 0
    assert (
        json.loads((out / "summary.json").read_text())["orders_digest"]
        == (summary["orders_digest"])
    )
    orders = [json.loads(line) for line in (out / "orders.jsonl").read_text().splitlines()]
    assert len(orders) == summary["orders"]
    assert sum(len(order["fills"]) for order in orders) == summary["fills"]


def test_command_ends_with_the_faults_code(tmp_path: Path, catalog: Path) -> None:
    done = fairlead(
        "backtest",
        config(tmp_path, catalog, "tests.data.plain_strategy:Faulty", PLAIN_PARAMS),
        "--json",
    )
    assert done.returncode == 10
    assert json.loads(done.stdout)["exit_code"] == 10
    assert "ZeroDivisionError" in done.stderr


def test_command_says_one_line_for_bad_data(tmp_path: Path) -> None:
    done = fairlead("backtest", config(tmp_path, tmp_path / "nowhere", MAKER, SHORT))
    assert done.returncode == 4
    assert done.stdout == ""
    assert "CATALOG-MISSING" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_ends_the_run_in_order(tmp_path: Path, catalog: Path, number: int) -> None:
    """The strategy sends its own process the signal at the tenth book update."""
    (tmp_path / "signalling.py").write_text(
        "import os\n"
        "from tests.data.plain_strategy import Plain\n"
        "class Signalling(Plain):\n"
        "    def on_book_deltas(self, deltas):\n"
        "        super().on_book_deltas(deltas)\n"
        "        if self.count == 10:\n"
        f"            os.kill(os.getpid(), {int(number)})\n"
    )
    file = config(tmp_path, catalog, "signalling:Signalling", PLAIN_PARAMS)
    done = fairlead("backtest", file, "--json")
    summary = json.loads(done.stdout)
    assert done.returncode == summary["exit_code"] == 130
    assert summary["outcome"].startswith(f"INTERRUPTED: ended by {signal.Signals(number).name} at ")
    assert summary["events"] < 100


# Small parts


def test_rates_of_an_instrument() -> None:
    assert rates_from_info(None) is None
    assert rates_from_info({"maker_fee": "0.001"}) is None
    assert rates_from_info({"maker_fee": "x", "taker_fee": "0.001"}) is None
    assert rates_from_info({"maker_fee": "0.001", "taker_fee": "0.002"}) == FeeRates(
        maker=Decimal("0.001"), taker=Decimal("0.002")
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [("0", "0"), ("-0.5000", "-0.5"), ("1234567.891", "+1,234,567.891"), ("1E-9", "0")],
)
def test_decimals_for_people(value: str, text: str) -> None:
    assert shown(Decimal(value), signed=True) == text


def fill(side: str, quantity: str, price: str, fee: str = "0", currency: str = "USDT") -> Any:
    """What an account reads of a fill."""
    return SimpleNamespace(
        order_side=OrderSide.from_str(side),
        last_qty=Quantity.from_str(quantity),
        last_px=Price.from_str(price),
        commission=Money.from_str(f"{fee} {currency}"),
    )


def test_account_by_average_cost_through_zero() -> None:
    account = Account(perpetual(PERP))
    account.apply(fill("BUY", "1.000", "100.0", "0.1"))
    account.apply(fill("BUY", "2.000", "103.0", "0.2"))  # long 3 at 102
    assert account.summary(Decimal(105)).unrealized == 9
    account.apply(fill("SELL", "1.000", "104.0", "0.1"))  # earns 2
    assert account.summary(Decimal(102)).realized == 2
    account.apply(fill("SELL", "4.000", "101.0", "0.4"))  # loses 2, then short 2 at 101
    summary = account.summary(Decimal(100))
    assert summary.realized == 0
    assert summary.unrealized == 2
    assert summary.fees_value == Decimal("0.8")
    assert summary.net == Decimal("1.2")
    assert summary.position == -2
    assert summary.position_max == 3


def test_account_values_a_fee_in_base_at_the_mark() -> None:
    account = Account(spot(PERP))
    account.apply(fill("BUY", "1.000", "100.0", "0.01", "BTC"))
    summary = account.summary(Decimal(200))
    assert summary.position == Decimal("0.99")
    assert summary.net == Decimal(98)  # 0.99 x 200 less what was paid


# The examples


CONFIGS = sorted((Path(__file__).resolve().parents[3] / "configs").glob("*.toml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_example_configs_run_as_backtests(tmp_path: Path, path: Path) -> None:
    """Each example beside a catalog where it looks for one."""
    (tmp_path / "configs").mkdir()
    file = tmp_path / "configs" / path.name
    file.write_text(path.read_text())
    ready = load(file)
    if not ready.config.strategies:
        pytest.skip(f"{path.name} has no strategies: it only records")
    info = {"buy_fee": "0.001", "sell_fee": "0.001", "buy_fee_in_base": True}
    for venue in ready.config.venues.values():
        make = perpetual if venue.account_type == "margin" else spot
        for name in venue.instruments:
            catalog = ready.resolve(ready.config.backtest.catalog)
            write_catalog(catalog, make(name, info), seconds=30)
    result = run_backtest(ready)
    assert result.exit_code == 0, result.summary.outcome
    assert result.summary.events


@pytest.mark.parametrize(
    ("side", "fee", "held"), [("SELL", "0.01", "-1.01"), ("BUY", "-0.01", "1.01")]
)
def test_the_largest_position_is_never_below_the_last(side: str, fee: str, held: str) -> None:
    account = Account(spot(PERP))
    account.apply(fill(side, "1.000", "100.0", fee, "BTC"))
    summary = account.summary(Decimal(100))
    assert summary.position == Decimal(held)
    assert summary.position_max == abs(summary.position)


def test_another_market_of_the_catalog_is_no_misspelled_one(tmp_path: Path, catalog: Path) -> None:
    """ETHUSDT is like BTCUSDT, and something else; BTCUSTD is a slip."""
    for name, hint in (
        ("ETHUSDT.TEST", f"it has {PERP}$"),
        ("BTCUSTD.TEST", f"did you mean {PERP}"),
    ):
        with pytest.raises(FairleadError, match=rf"CATALOG-EMPTY.*{hint}"):
            run(tmp_path, catalog, MAKER, SHORT, instrument=name)
