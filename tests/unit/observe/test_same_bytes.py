"""Two equal backtests write the same bytes, in any process, with any hash seed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from uuid import UUID

import pytest
from nautilus_trader.common import Clock, OrderFactory
from nautilus_trader.model import (
    ClientOrderId,
    InstrumentId,
    OrderSide,
    Price,
    Quantity,
    StrategyId,
    TraderId,
)

from fairlead.engine.guard.order_ids import SeededFactory, SeededIds
from fairlead.engine.run.backtest import run_backtest
from fairlead.engine.run.config import load
from tests.support.order_lines import order_lines
from tests.support.patience import PATIENCE_SECS
from tests.unit.backtest_kit import (
    MAKER,
    MAKER_PARAMS,
    config_text,
    loaded,
    perpetual,
    run,
    write_catalog,
)

PERP = "BTCUSDT.TEST"
IID = InstrumentId.from_str(PERP)
SHORT = {**MAKER_PARAMS, "allow_short": True}
WALL = {"wall_secs", "files"}
OTHERS = f"""
[[strategies]]
id = "Trend-002"
path = "fairlead.strategies.trend_follower:TrendFollower"
[strategies.params]
instrument_id = "{PERP}"
order_quantity = "0.010"
bar = "1-SECOND-LAST"
fast = 2
slow = 4
atr = 3
channel_atr = "0.1"
allow_short = true

[[strategies]]
id = "Breakout-003"
path = "fairlead.strategies.breakout:Breakout"
[strategies.params]
instrument_id = "{PERP}"
order_quantity = "0.010"
bar = "1-SECOND-LAST"
lookback = 3
buffer_bps = "0.1"
limit_bps = "10"
stop_bps = "5"
allow_short = true

[[strategies]]
id = "Bracketed-004"
path = "fairlead.strategies.bracketed_breakout:BracketedBreakout"
[strategies.params]
instrument_id = "{PERP}"
order_quantity = "0.010"
bar = "1-SECOND-LAST"
lookback = 3

[risk]
"""


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("same") / "catalog"
    return write_catalog(root, perpetual(PERP), seconds=60, seed=5)


def all_strategies(folder: Path, catalog: Path, *names: str) -> Path:
    """A run of every kind of order: limit, market, stop-limit, brackets.

    `names` are instruments of the strategies after the first, in place of its own.
    """
    file = folder / "all.toml"
    text = config_text(catalog, MAKER, SHORT, risk="max_open_orders = 20")
    others = OTHERS
    for name in names:
        others = others.replace(f'"{PERP}"', f'"{name}"', 1)
    listed = ", ".join(f'"{name}"' for name in (PERP, *names))
    text = text.replace(f'instruments = ["{PERP}"]', f"instruments = [{listed}]")
    file.write_text(text.replace("[risk]\n", others, 1))
    return file


def ran(file: Path, out: Path, **env: str) -> tuple[bytes, dict[str, object]]:
    """The file of a run in a process of its own, and its JSON less what the wall clock decides."""
    ended = subprocess.run(
        [
            sys.executable,
            "-m",
            "fairlead.engine.cli.main",
            "backtest",
            str(file),
            "--json",
            "--out",
            out,
        ],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECS,
        check=False,
        env={**os.environ, **env},
    )
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout)
    return (out / "orders.jsonl").read_bytes(), {k: v for k, v in told.items() if k not in WALL}


def test_two_processes_with_other_hash_seeds_write_the_same(tmp_path: Path, catalog: Path) -> None:
    """All strategies trade one instrument."""
    file = all_strategies(tmp_path, catalog)
    first = ran(file, tmp_path / "a", PYTHONHASHSEED="1")
    second = ran(file, tmp_path / "b", PYTHONHASHSEED="77")
    assert first == second
    orders = [json.loads(line) for line in first[0].splitlines()]
    assert {one["strategy"] for one in orders} >= {"Test-001", "Trend-002", "Breakout-003"}
    assert {one["kind"] for one in orders} >= {"LIMIT", "MARKET", "STOP_LIMIT"}
    assert any(one["fills"] for one in orders)
    ids = [one["client_order_id"] for one in orders]
    assert len(set(ids)) == len(ids)
    assert all(str(UUID(one)) == one for one in ids)


def test_who_gets_what_is_for_one_is_the_first_of_the_config(tmp_path: Path) -> None:
    """Five equal strategies and a position for one: NautilusTrader tells them in any order."""
    catalog = write_catalog(tmp_path / "c", perpetual(PERP), seconds=60, seed=5)
    file = all_strategies(tmp_path, catalog)
    trend = OTHERS.partition('[[strategies]]\nid = "Breakout')[0]
    text = config_text(catalog, MAKER, SHORT, risk='max_position = { "BTCUSDT.TEST" = "0.010" }')
    begin, rest = text.partition("[[strategies]]")[0], text[text.index("[risk]") :]
    ids = [f"Same-00{number}" for number in (5, 3, 1, 4, 2)]
    file.write_text(begin + "".join(trend.replace("Trend-002", one) for one in ids) + rest)
    runs = [ran(file, tmp_path / str(number)) for number in range(3)]
    assert runs[0] == runs[1] == runs[2]
    orders = [json.loads(line) for line in runs[0][0].splitlines()]
    assert {one["strategy"] for one in orders if one["fills"]} == {"Same-005"}


def test_a_second_run_in_one_process_writes_the_same(tmp_path: Path, catalog: Path) -> None:
    written = {order_lines(run(tmp_path, catalog, MAKER, SHORT).cache) for _ in range(2)}
    assert len(written) == 1


def test_an_unreached_limit_leaves_every_byte_as_it_was(tmp_path: Path, catalog: Path) -> None:
    plain = order_lines(run(tmp_path, catalog, MAKER, SHORT).cache)
    limit = 'max_daily_loss = ["90000 USDT"]'
    assert order_lines(run(tmp_path, catalog, MAKER, SHORT, risk=limit).cache) == plain


def test_another_seed_gives_other_ids(tmp_path: Path, catalog: Path) -> None:
    first = run(tmp_path, catalog, MAKER, SHORT).cache.orders()
    file = tmp_path / "run.toml"
    other = loaded(tmp_path, catalog, MAKER, SHORT)
    assert other.config.run.seed == 1
    file.write_text(file.read_text() + "\n[run]\nseed = 2\n")
    second = run_backtest(load(file)).cache.orders()
    names = [{str(one.client_order_id) for one in orders} for orders in (first, second)]
    assert len(names[0]) == len(names[1])
    assert not names[0] & names[1]


def factory() -> SeededFactory:
    ids = SeededIds(1)
    native = OrderFactory(TraderId("T-001"), StrategyId("S-001"), Clock.new_test())
    return SeededFactory(native, lambda: ids.next_of("S-001"))


def test_ids_count_each_strategy_on_its_own_and_keep_the_form_of_a_uuid() -> None:
    ids = SeededIds(1)
    made = [ids.next_of("A-1"), ids.next_of("B-2"), ids.next_of("A-1")]
    again = SeededIds(1)
    assert [again.next_of("A-1"), again.next_of("A-1")] == [made[0], made[2]]
    assert made[0] < made[2]
    assert {UUID(one).version for one in made} == {4}
    assert len(set(made)) == 3


def test_an_id_of_the_strategys_own_stays() -> None:
    make = factory()
    mine = ClientOrderId("mine-1")
    plain = (IID, OrderSide.BUY, Quantity.from_str("1"))
    assert make.market(*plain, client_order_id=mine).client_order_id == mine
    by_place = (*plain, None, None, None, None, None, None, mine)
    assert make.market(*by_place).client_order_id == mine
    assert make.market(*plain).client_order_id != mine
    assert make.strategy_id == StrategyId("S-001")


def test_each_order_of_a_native_bracket_has_its_own_id() -> None:
    price = Price.from_str
    make = factory()
    orders = make.bracket(
        IID,
        OrderSide.BUY,
        Quantity.from_str("1"),
        tp_price=price("110"),
        sl_trigger_price=price("90"),
    )
    ids = [str(order.client_order_id) for order in orders]
    assert len(set(ids)) == 3
    assert {UUID(one).version for one in ids} == {4}
    assert {str(one.parent_order_id) for one in orders[1:]} == {ids[0]}
