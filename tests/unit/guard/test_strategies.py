"""The example strategies on scripted markets: what they send, and what they never do."""

from __future__ import annotations

import itertools
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from nautilus_trader.model import InstrumentId, OrderSide

from fairlead.engine.config.problems import ConfigError
from fairlead.engine.run.backtest import RunResult
from fairlead.strategies.bracketed_breakout import BracketedBreakoutConfig
from fairlead.strategies.breakout import BreakoutConfig
from fairlead.strategies.trend_follower import TrendFollowerConfig
from tests.unit.backtest_kit import (
    BREAKOUT,
    MAKER,
    MAKER_PARAMS,
    START_NS,
    TREND,
    perpetual,
    run,
    scripted,
    spot,
    write_catalog,
)

SECOND_NS = 1_000_000_000
BRACKETED = "fairlead.strategies.bracketed_breakout:BracketedBreakout"
PERP = "BTCUSDT.TEST"
OCEANEX = "BTC_USDT.OCEANEX"
# Fees come with the instrument: per side, the buyer's in base currency.
ON_OCEANEX: dict[str, Any] = {
    "instrument": OCEANEX,
    "adapter": "oceanex",
    "account": "cash",
    "fees": None,
}


def orders(result: RunResult) -> list[Any]:
    return sorted(result.cache.orders(), key=lambda one: (one.ts_init, one.side.name))


def fills(result: RunResult) -> list[Any]:
    found = [
        event
        for order in result.cache.orders()
        for event in order.events()
        if type(event).__name__ == "OrderFilled"
    ]
    return sorted(found, key=lambda one: one.ts_event)


def kinds(result: RunResult, status: str = "FILLED") -> list[tuple[str, str]]:
    return [
        (one.side.name, one.order_type.name) for one in orders(result) if one.status.name == status
    ]


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two minutes of a seeded market."""
    root = tmp_path_factory.mktemp("seeded") / "catalog"
    return write_catalog(root, perpetual(PERP), seconds=120, seed=7)


# Market maker


def test_maker_stays_within_its_inventory(tmp_path: Path, seeded: Path) -> None:
    result = run(tmp_path, seeded, MAKER, {**MAKER_PARAMS, "allow_short": True})
    (summary,) = result.summary.instruments
    assert summary.fills > 20
    assert summary.sold > 0
    assert summary.bought > 0
    assert summary.position_max <= Decimal("0.050")


def test_maker_has_one_order_a_side_at_a_time(tmp_path: Path, seeded: Path) -> None:
    result = run(tmp_path, seeded, MAKER, {**MAKER_PARAMS, "allow_short": True})
    for side in (OrderSide.BUY, OrderSide.SELL):
        own = [one for one in orders(result) if one.side == side]
        assert len(own) > 20
        for before, after in itertools.pairwise(own):
            assert before.is_closed
            assert before.ts_last <= after.ts_init


def test_maker_never_takes_without_latency(tmp_path: Path, seeded: Path) -> None:
    result = run(tmp_path, seeded, MAKER, {**MAKER_PARAMS, "allow_short": True}, latency_ms="0")
    assert result.summary.fills > 20
    assert result.summary.maker_fills == result.summary.fills


def test_maker_on_spot_sells_only_what_it_holds(tmp_path: Path) -> None:
    info = {"buy_fee": "0.001", "sell_fee": "0.001", "buy_fee_in_base": True}
    catalog = write_catalog(tmp_path / "c", spot(OCEANEX, info), seconds=120, seed=7)
    result = run(tmp_path, catalog, MAKER, MAKER_PARAMS, **ON_OCEANEX)
    held = Decimal(0)
    for fill in fills(result):
        signed = fill.last_qty.as_decimal()
        held += signed if fill.order_side == OrderSide.BUY else -signed
        if fill.commission.currency.code == "BTC":
            held -= fill.commission.as_decimal()
        assert held >= 0
    (summary,) = result.summary.instruments
    assert summary.sold > 0
    assert summary.position == held
    assert result.summary.denials == {}
    assert result.summary.rejections == 0
    assert set(result.summary.fees) == {"BTC", "USDT"}


def test_maker_sells_what_it_was_handed(tmp_path: Path) -> None:
    catalog = write_catalog(tmp_path / "c", spot(PERP), seconds=60, seed=7)
    params = {**MAKER_PARAMS, "start_inventory": "0.030"}
    balances = ("100000 USDT", "0.03 BTC")
    result = run(tmp_path, catalog, MAKER, params, account="cash", balances=balances)
    assert result.summary.denials == {}
    assert orders(result)[0].ts_init == orders(result)[1].ts_init  # both sides at once
    assert {one.side.name for one in orders(result)[:2]} == {"BUY", "SELL"}


@pytest.mark.parametrize("market", [{"clear_at": 20}, {"silent_after": 20}])
def test_maker_pulls_its_quotes_when_the_book_is_gone(
    tmp_path: Path, market: dict[str, int]
) -> None:
    catalog = scripted(tmp_path / "c", perpetual(PERP), ["60000"] * 60, **market)
    params = {**MAKER_PARAMS, "half_spread_bps": "5", "stale_ms": 3000, "allow_short": True}
    result = run(tmp_path, catalog, MAKER, params)
    live = [one for one in orders(result) if not one.is_closed]
    assert live == []
    last = max(one.ts_last for one in orders(result))
    assert START_NS + 20 * SECOND_NS <= last <= START_NS + 28 * SECOND_NS


def test_maker_does_not_requote_a_market_that_stands_still(tmp_path: Path) -> None:
    catalog = scripted(tmp_path / "c", perpetual(PERP), ["60000"] * 60)
    result = run(tmp_path, catalog, MAKER, {**MAKER_PARAMS, "half_spread_bps": "5"})
    assert result.summary.orders == 1  # flat and not allowed to be short: one bid


@pytest.mark.parametrize("levels", [1, 5])
def test_maker_leans_towards_the_thin_side(tmp_path: Path, levels: int) -> None:
    catalog = scripted(tmp_path / "c", perpetual(PERP), ["60000"] * 5)
    params = {
        **MAKER_PARAMS,
        "half_spread_bps": "5",
        "allow_short": True,
        "imbalance_levels": levels,
    }
    result = run(tmp_path, catalog, MAKER, params)
    bid, ask = orders(result)
    assert bid.price.as_decimal() == Decimal("59970.0")
    assert ask.price.as_decimal() == Decimal("60030.0")


# Trend follower

RISE_AND_FALL = [f"{60000 + 10 * at}" for at in range(60)] + [
    f"{60590 - 10 * at}" for at in range(60)
]
TREND_PARAMS = {"order_quantity": "0.100", "bar": "1-SECOND-LAST", "fast": 3, "slow": 10, "atr": 5}


def test_trend_goes_long_and_leaves(tmp_path: Path) -> None:
    catalog = scripted(tmp_path / "c", perpetual(PERP), RISE_AND_FALL)
    result = run(tmp_path, catalog, TREND, TREND_PARAMS)
    assert kinds(result) == [("BUY", "MARKET"), ("SELL", "MARKET")]
    (summary,) = result.summary.instruments
    assert summary.position == 0
    assert summary.realized > 0
    assert summary.net < summary.realized


def test_trend_turns_short_where_allowed(tmp_path: Path) -> None:
    catalog = scripted(tmp_path / "c", perpetual(PERP), RISE_AND_FALL)
    result = run(tmp_path, catalog, TREND, {**TREND_PARAMS, "allow_short": True})
    (summary,) = result.summary.instruments
    assert summary.position == Decimal("-0.100")


def test_trend_on_spot_leaves_the_fee_dust_alone(tmp_path: Path) -> None:
    info = {"buy_fee": "0.01", "sell_fee": "0.01", "buy_fee_in_base": True}
    catalog = scripted(tmp_path / "c", spot(OCEANEX, info), RISE_AND_FALL)
    result = run(tmp_path, catalog, TREND, TREND_PARAMS, **ON_OCEANEX)
    assert kinds(result) == [("BUY", "MARKET"), ("SELL", "MARKET")]
    buy, sell = orders(result)
    assert buy.quantity.as_decimal() == Decimal("0.100")
    assert sell.quantity.as_decimal() == Decimal("0.099")  # less the fee taken in base
    assert result.summary.denials == {}


# Breakout

RANGE = ["60000", "60010", "60020", "60010"] * 5
BREAKOUT_PARAMS = {
    "order_quantity": "0.100",
    "bar": "1-SECOND-LAST",
    "lookback": 8,
    "buffer_bps": "1",
    "limit_bps": "10",
    "stop_bps": "20",
    "reprice_bps": "1",
}


def test_breakout_upwards_is_protected_and_stopped(tmp_path: Path) -> None:
    rise = [f"{60030 + 5 * at}" for at in range(30)]
    fall = [f"{60170 - 10 * at}" for at in range(20)]
    catalog = scripted(tmp_path / "c", perpetual(PERP), [*RANGE, *rise, *fall])
    result = run(tmp_path, catalog, BREAKOUT, {**BREAKOUT_PARAMS, "allow_short": True})
    assert kinds(result)[:2] == [("BUY", "STOP_LIMIT"), ("SELL", "STOP_LIMIT")]
    entry, stop = [one for one in orders(result) if one.status.name == "FILLED"][:2]
    assert entry.trigger_price.as_decimal() == Decimal("60026.1")  # the range's top and 1 bp
    assert entry.price.as_decimal() > entry.trigger_price.as_decimal()
    assert stop.trigger_price.as_decimal() > Decimal("60040")  # it trailed the rise
    assert stop.price.as_decimal() < stop.trigger_price.as_decimal()
    others = [
        one for one in orders(result) if one.side == OrderSide.SELL and one.ts_init < entry.ts_last
    ]
    assert others
    assert all(one.status.name == "CANCELED" for one in others)  # one cancels the other


def test_breakout_downwards_buys_back(tmp_path: Path) -> None:
    fall = [f"{59990 - 5 * at}" for at in range(30)]
    rise = [f"{59850 + 10 * at}" for at in range(20)]
    catalog = scripted(tmp_path / "c", perpetual(PERP), [*RANGE, *fall, *rise])
    result = run(tmp_path, catalog, BREAKOUT, {**BREAKOUT_PARAMS, "allow_short": True})
    assert kinds(result)[:2] == [("SELL", "STOP_LIMIT"), ("BUY", "STOP_LIMIT")]


def test_breakout_on_spot_enters_downwards_only_with_inventory(tmp_path: Path) -> None:
    fall = [f"{59990 - 5 * at}" for at in range(30)]
    rise = [f"{59850 + 10 * at}" for at in range(20)]
    catalog = scripted(tmp_path / "c", spot(PERP), [*RANGE, *fall, *rise])
    empty = run(tmp_path, catalog, BREAKOUT, BREAKOUT_PARAMS, account="cash")
    assert all(one.side == OrderSide.BUY for one in orders(empty) if one.ts_init < START_NS + 40e9)
    params = {**BREAKOUT_PARAMS, "start_inventory": "0.100"}
    balances = ("100000 USDT", "0.1 BTC")
    held = run(tmp_path, catalog, BREAKOUT, params, account="cash", balances=balances)
    assert kinds(held)[:2] == [("SELL", "STOP_LIMIT"), ("BUY", "STOP_LIMIT")]
    assert held.summary.denials == {}


def test_breakout_leaves_at_the_market_when_the_stop_is_jumped_over(tmp_path: Path) -> None:
    rise = [f"{60030 + 5 * at}" for at in range(10)]
    crash = ["59500"] * 20
    catalog = scripted(tmp_path / "c", perpetual(PERP), [*RANGE, *rise, *crash])
    result = run(tmp_path, catalog, BREAKOUT, BREAKOUT_PARAMS)
    assert ("SELL", "MARKET") in kinds(result)
    (summary,) = result.summary.instruments
    assert summary.position == 0


# Bracketed breakout

BRACKETED_PARAMS = {
    "order_quantity": "0.100",
    "bar": "1-SECOND-LAST",
    "lookback": 8,
    "stop_bps": "20",
    "limit_bps": "20",
    "target_bps": "20",
}


def test_bracketed_breakout_takes_its_profit_at_the_target(tmp_path: Path) -> None:
    rise = [f"{60030 + 5 * at}" for at in range(60)]
    catalog = scripted(tmp_path / "c", perpetual(PERP), [*RANGE, *rise])
    result = run(tmp_path, catalog, BRACKETED, BRACKETED_PARAMS)
    assert kinds(result)[:2] == [("BUY", "MARKET"), ("SELL", "LIMIT")]
    assert kinds(result, "CANCELED")[:1] == [("SELL", "STOP_LIMIT")]
    entry, target = fills(result)[:2]
    assert target.last_px.as_decimal() >= entry.last_px.as_decimal() * Decimal("1.0018")
    assert result.summary.denials == {}


def test_bracketed_breakout_is_stopped_and_enters_once_at_a_time(tmp_path: Path) -> None:
    turn = [f"{60030 + 5 * at}" for at in range(6)] + [f"{60055 - 10 * at}" for at in range(30)]
    catalog = scripted(tmp_path / "c", perpetual(PERP), [*RANGE, *turn])
    result = run(tmp_path, catalog, BRACKETED, BRACKETED_PARAMS)
    assert kinds(result) == [("BUY", "MARKET"), ("SELL", "STOP_LIMIT")]
    (summary,) = result.summary.instruments
    assert summary.position == 0


# Every strategy, every venue


@pytest.mark.parametrize(
    ("path", "params"),
    [
        (MAKER, {**MAKER_PARAMS, "start_inventory": "0.030"}),
        (TREND, {**TREND_PARAMS, "channel_atr": "0"}),
        (BREAKOUT, {**BREAKOUT_PARAMS, "start_inventory": "0.100"}),
    ],
    ids=["maker", "trend", "breakout"],
)
def test_strategies_trade_the_same_on_every_venue(
    tmp_path: Path, path: str, params: dict[str, Any]
) -> None:
    traded = []
    for name in ("BTC_USDT.OCEANEX", "BTC_USDT.POLONIEX", "BTCUSDT.BINANCE"):
        catalog = write_catalog(tmp_path / name, spot(name), seconds=120, seed=3)
        result = run(
            tmp_path,
            catalog,
            path,
            params,
            instrument=name,
            account="cash",
            balances=("100000 USDT", "1 BTC"),
        )
        assert result.exit_code == 0, result.summary.faults
        traded.append(
            [
                (one.ts_event, str(one.order_side), str(one.last_px), str(one.last_qty))
                for one in fills(result)
            ]
        )
    assert traded[0]
    assert traded[0] == traded[1] == traded[2]


@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        (MAKER, {"order_quantity": "0", "max_inventory": "1"}),
        (MAKER, {"order_quantity": "1", "max_inventory": "1", "imbalance_levels": 51}),
        (TREND, {"order_quantity": "1", "fast": 20, "slow": 20}),
        (BREAKOUT, {"order_quantity": "1", "stop_bps": "0"}),
        (BRACKETED, {"order_quantity": "1", "target_bps": "0"}),
        (BRACKETED, {"order_quantity": "1", "stop_bps": "0"}),
    ],
)
def test_senseless_parameters_are_refused(
    tmp_path: Path, seeded: Path, path: str, wrong: dict[str, Any]
) -> None:
    with pytest.raises(ConfigError, match=r"expected") as caught:
        run(tmp_path, seeded, path, wrong)
    (problem,) = caught.value.problems
    assert problem.key.startswith("strategies[0].params")
    assert "[strategies.params]" in _line(Path(problem.file), problem.line)


def _line(file: Path, number: int) -> str:
    return file.read_text().splitlines()[number - 1]


@pytest.mark.parametrize("bar", ["61-SECOND-LAST", "0-SECOND-LAST", "-1-SECOND-LAST", "1-MINUTE"])
@pytest.mark.parametrize(
    "config",
    [BreakoutConfig, BracketedBreakoutConfig, TrendFollowerConfig],
    ids=lambda c: c.__name__,
)
def test_a_bar_that_is_none_is_told_before_the_run(config: Any, bar: str) -> None:
    """A minus became a part of the instrument's name: no bar ever came, and nothing was said."""
    with pytest.raises(ValueError, match=r"bar: expected STEP-AGGREGATION-PRICE such as"):
        config(instrument_id=InstrumentId.from_str(PERP), order_quantity=Decimal(1), bar=bar)
