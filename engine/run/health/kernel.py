"""Facts of NautilusTrader that the engine rests on, tried on what is installed: a bare backtest.

A few of those in tests/kernel, which has them all: each is where our own code corrects, or leans
on, what another version may do otherwise. Of ours only names of currencies and ids take part.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from importlib.metadata import version
from typing import Any

from nautilus_trader.backtest import BacktestEngine, BacktestEngineConfig
from nautilus_trader.common import LoggerConfig
from nautilus_trader.data import DataEngineConfig
from nautilus_trader.execution import MakerTakerFeeModel
from nautilus_trader.live import LiveExecutionEngineConfig, SubmissionRecoveryPolicy
from nautilus_trader.model import (
    AccountType,
    AggressorSide,
    BookAction,
    BookOrder,
    BookType,
    CurrencyPair,
    InstrumentId,
    OmsType,
    OrderBookDelta,
    OrderBookDeltas,
    OrderSide,
    Price,
    Quantity,
    RecordFlag,
    StrategyId,
    TimeInForce,
    TradeTick,
    Venue,
)
from nautilus_trader.trading import Strategy, StrategyConfig

from fairlead.engine.currencies import currency, money
from fairlead.engine.identifiers import trade_id
from fairlead.engine.run.health.found import Check, Trouble, check

MS = 1_000_000
BEGIN = 1_700_000_000_000_000_000
IID = InstrumentId.from_str("BTC_USDT.TEST")
Do = Callable[["_Script"], None]


class _Script(Strategy):
    """Does its steps at their times (ms), and keeps what was filled: ms and size by order."""

    steps: tuple[tuple[int, Do], ...] = ()
    filled: dict[str, list[tuple[float, Decimal]]]
    names: dict[str, str]

    def on_start(self) -> None:
        self.filled, self.names = {}, {}
        self.subscribe_book_deltas(IID, BookType.L2_MBP, managed=True)
        for number, (ms, do) in enumerate(self.steps):
            self.clock.set_time_alert_ns(f"{number}", BEGIN + ms * MS, lambda _, do=do: do(self))

    def send(self, name: str, order: Any) -> None:
        self.names[str(order.client_order_id)] = name
        self.submit_order(order)

    def on_order_filled(self, event: Any) -> None:
        name = self.names[str(event.client_order_id)]
        at = (event.ts_event - BEGIN) / MS
        self.filled.setdefault(name, []).append((at, event.last_qty.as_decimal()))


def _book(ms: int, bid: str, ask: str) -> OrderBookDeltas:
    """A snapshot of one level a side, 50 each."""
    ts = BEGIN + ms * MS
    deltas = [OrderBookDelta.clear(IID, 0, ts, ts)]
    last = RecordFlag.F_SNAPSHOT.value | RecordFlag.F_LAST.value
    for side, price, flags in (
        (OrderSide.BUY, bid, RecordFlag.F_SNAPSHOT.value),
        (OrderSide.SELL, ask, last),
    ):
        order = BookOrder(side, Price.from_str(price), Quantity.from_str("50.000"), 0)
        deltas.append(OrderBookDelta(IID, BookAction.ADD, order, flags, 0, ts, ts))
    return OrderBookDeltas(IID, deltas)


def _trade(ms: int, price: str) -> TradeTick:
    ts = BEGIN + ms * MS
    size = Quantity.from_str("1.000")
    name = trade_id(f"T{ms}")
    return TradeTick(IID, Price.from_str(price), size, AggressorSide.SELL, name, ts, ts)


def _run(data: list[Any], *steps: tuple[int, Do]) -> Mapping[str, list[tuple[float, Decimal]]]:
    config = BacktestEngineConfig(
        logging=LoggerConfig(bypass_logging=True),
        run_analysis=False,
        data_engine=DataEngineConfig(emit_quotes_from_book=True),
    )
    engine = BacktestEngine(config)
    try:
        engine.add_venue(
            Venue("TEST"),
            OmsType.NETTING,
            AccountType.MARGIN,
            [money("1000000 USDT")],
            book_type=BookType.L2_MBP,
            fee_model=MakerTakerFeeModel(Decimal(0), Decimal(0)),
        )
        engine.add_instrument(
            CurrencyPair(
                instrument_id=IID,
                raw_symbol=IID.symbol,
                base_currency=currency("BTC"),
                quote_currency=currency("USDT"),
                price_precision=2,
                size_precision=3,
                price_increment=Price.from_str("0.01"),
                size_increment=Quantity.from_str("0.001"),
                ts_event=0,
                ts_init=0,
            )
        )
        engine.add_data(data)
        named = StrategyConfig(strategy_id=StrategyId("S-001"), use_uuid_client_order_ids=True)
        script = _Script(named)
        script.steps = steps
        engine.add_strategy(script)
        engine.run()
        return dict(script.filled)
    finally:
        engine.dispose()


def _calm() -> list[Any]:
    return [_book(ms, "99.50", "100.50") for ms in range(0, 1000, 100)]


def a_market_order_takes_the_other_side() -> bool:
    """What the simplest order does: all of it, at the moment it arrives."""

    def buy(script: _Script) -> None:
        quantity = Quantity.from_str("2.000")
        script.send("buy", script.order_factory.market(IID, OrderSide.BUY, quantity))

    return _run(_calm(), (110, buy)) == {"buy": [(110.0, Decimal("2.000"))]}


def data_after_the_end_of_an_order_fill_it() -> bool:
    """engine/matching ends it by a clock of its own."""

    def until(script: _Script) -> None:
        script.send(
            "late",
            script.order_factory.limit(
                IID,
                OrderSide.BUY,
                Quantity.from_str("1.000"),
                Price.from_str("99.00"),
                time_in_force=TimeInForce.GTD,
                expire_time=BEGIN + 500 * MS,
            ),
        )

    fallen = [*_calm()[:4], _book(1000, "98.50", "98.80"), _trade(1100, "98.60")]
    return _run(fallen, (110, until)) == {"late": [(1000.0, Decimal("1.000"))]}


def a_reduce_only_market_order_is_cut_to_the_position() -> bool:
    """What the exits of a strategy lean on in a backtest."""

    def buy(script: _Script) -> None:
        quantity = Quantity.from_str("5.000")
        script.send("entry", script.order_factory.market(IID, OrderSide.BUY, quantity))

    def sell(script: _Script) -> None:
        quantity = Quantity.from_str("8.000")
        order = script.order_factory.market(IID, OrderSide.SELL, quantity, reduce_only=True)
        script.send("exit", order)

    filled = _run(_calm(), (10, buy), (110, sell)).get("exit", [])
    return sum((size for _, size in filled), Decimal(0)) == 5


def amounts_are_exact() -> bool:
    """Between text, NautilusTrader's numbers and Decimal nothing is lost."""
    texts = ("0.1", "0.00000001", "123456789.12345678")
    return all(
        Price.from_str(text).as_decimal() == Decimal(text)
        and Quantity.from_str(text).as_decimal() == Decimal(text)
        for text in texts
    )


def unresolved_submissions_can_be_retained() -> bool:
    """A lost answer stays UNKNOWN: NautilusTrader is told not to conclude anything."""
    policy = SubmissionRecoveryPolicy.RETAIN_UNRESOLVED
    config = LiveExecutionEngineConfig(submission_recovery_policy=policy, allow_overfills=True)
    return bool(config.submission_recovery_policy == policy)


FACTS: tuple[Callable[[], bool], ...] = (
    amounts_are_exact,
    unresolved_submissions_can_be_retained,
    a_market_order_takes_the_other_side,
    data_after_the_end_of_an_order_fill_it,
    a_reduce_only_market_order_is_cut_to_the_position,
)


def look(facts: tuple[Callable[[], bool], ...] = FACTS) -> Check:
    here = version("nautilus-trader")
    return check(
        "kernel",
        f"{len(facts)} facts of NautilusTrader {here}",
        [one for fact in facts if (one := _tried(fact, here)) is not None],
    )


def _tried(fact: Callable[[], bool], here: str) -> Trouble | None:
    name = fact.__name__.replace("_", " ")
    try:
        if fact():
            return None
        why = "does not hold"
    except Exception as error:  # another version may lack what the fact is told with
        why = f"can't be tried: {type(error).__name__}: {str(error)[:200]}"
    return Trouble(
        code="KERNEL",
        text=f"NautilusTrader {here}: that {name} {why}",
        remedy="pip install the pinned version (fairlead doctor names it), or run "
        "`pytest tests/kernel` and see what else is different",
    )
