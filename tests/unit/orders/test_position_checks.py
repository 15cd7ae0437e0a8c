"""NautilusTrader's comparison of its positions with the journal's: what it finds, and what not."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from nautilus_trader.common import Environment, LoggerConfig
from nautilus_trader.config import DataClientConfig, ExecutionClientConfig
from nautilus_trader.live import LiveExecutionEngineConfig, LiveNode
from nautilus_trader.model import OrderSide, PositionSide, StrategyId, TraderId
from nautilus_trader.trading import Strategy, StrategyConfig

from fairlead.adapters.base.execution_client import make_execution_factory
from fairlead.engine.orders.journal import Journal
from fairlead.engine.orders.model import Accepted, Intent, OrderState, Side, VenueBalance, VenueFill
from tests.support.patience import PATIENCE_SECS, over
from tests.unit.nautilus_harness import IID
from tests.unit.orders.conftest import ScriptedVenue, intent, venue_order
from tests.unit.orders.test_late_orders import _InstrumentsFactory, _Trading

CHECK_SECS = 0.2
CHECKS = 4  # a difference is put right in the second
PRICE = Decimal(100)
INCREMENT = Decimal("0.000001")
BUY, SELL = OrderSide.BUY, OrderSide.SELL
BOUGHT = Decimal("0.123457")  # its fee of 0.1 % leaves 0.12333354: less than an increment is over


class _Trader(Strategy):
    """Sends one order after another, the next when the last is filled."""

    orders: list[tuple[OrderSide, Decimal]]

    def on_start(self) -> None:
        self._next()

    def on_order_filled(self, event: Any) -> None:
        self._next()

    def _next(self) -> None:
        if self.orders:
            side, size = self.orders.pop(0)
            instrument = self.cache.instrument(IID)
            price = instrument.make_price(PRICE)
            self.submit_order(self.order_factory.limit(IID, side, instrument.make_qty(size), price))


class _Funded(ScriptedVenue):
    async def balances(self) -> list[VenueBalance]:
        return [
            VenueBalance(currency=name, free=Decimal(1000), locked=Decimal(0))
            for name in ("USDT", "BTC")
        ]


class Account:
    """One account whose venue fills every order, its journal, and a node that trades on it."""

    def __init__(self, folder: Path) -> None:
        self.journal = Journal(folder / "journal.sqlite", fsync=False, now_ns=lambda: 1)
        self.venue = _Funded()
        self.venue.answer = self._fill
        self.trading = _Trading(self.journal, self.venue)
        self.checks = 0
        self.told = self.net = Decimal(0)  # by the report, by NautilusTrader's cache; base units
        self.made: list[Decimal] = []

    def _fill(self, ordered: Intent) -> Accepted:
        number = f"V{len(self.venue.creates)}"
        self.venue.book[number] = venue_order(
            number,
            instrument=str(IID),
            side=ordered.side,
            state=OrderState.FILLED,
            quantity=ordered.quantity,
            filled=ordered.quantity,
            avg_price=PRICE,
        )
        return Accepted(number)

    def book(self, number: str, side: Side, quantity: Decimal, fee: Decimal = Decimal(0)) -> None:
        """An execution that NautilusTrader is not told of."""
        ordered = intent(number, strategy="Trader-1", instrument=str(IID), side=side)
        self.journal.intend([ordered])
        self.journal.fill(ordered, execution(ordered, quantity, fee), fee)
        self.journal.state(number, OrderState.FILLED)

    def held(self) -> Decimal:
        return sum((one.quantity for one in self.journal.positions()), Decimal(0))

    def run(
        self, *orders: tuple[OrderSide, Decimal], meanwhile: Callable[[], None] = lambda: None
    ) -> list[Decimal]:
        """Trade, then let the engine check; gives the synthetic orders, signed base units."""
        builder = (
            LiveNode.builder("TEST", TraderId("TESTER-001"), Environment.LIVE)
            .with_logging(LoggerConfig(bypass_logging=True))
            .with_delay_post_stop_secs(0)
            .with_timeout_connection(60)
            .with_exec_engine_config(
                LiveExecutionEngineConfig(
                    reconciliation_startup_delay_secs=0.0,
                    position_check_interval_secs=CHECK_SECS,
                    position_check_threshold_ms=0,
                )
            )
            .add_data_client("TEST", _InstrumentsFactory(), DataClientConfig())
            .add_exec_client("TEST", make_execution_factory(self.trading), ExecutionClientConfig())
        )
        gc.collect()  # a node of an earlier test
        node = builder.build()
        cache = node.cache
        config = StrategyConfig(
            strategy_id=StrategyId("Trader-1"), external_order_instrument_ids=[IID]
        )
        strategy = _Trader(config)
        strategy.orders = list(orders)
        node.add_strategy(strategy)
        handle = node.handle()

        async def main() -> None:
            running = asyncio.ensure_future(node.run_async())
            try:
                await _until(lambda: self._filled(cache) == len(orders))
                before = {str(order.client_order_id) for order in cache.orders()}
                meanwhile()
                self._count_checks()
                await _until(lambda: self.checks >= CHECKS)
                self.made = [
                    order.quantity.as_decimal() * (1 if order.side == BUY else -1)
                    for order in cache.orders()
                    if str(order.client_order_id) not in before
                ]
                self.net = round(
                    sum((Decimal(p.signed_qty) for p in cache.positions_open()), Decimal(0)), 8
                )
            finally:
                handle.stop()
                await over(running)

        asyncio.run(main())
        self.trading.client = self.trading.desk = None  # they hold the node
        assert self.trading.failures == []
        return self.made

    def _filled(self, cache: Any) -> int:
        mine = {str(one.client_order_id) for one in self.venue.creates}
        return sum(
            order.status.name == "FILLED"
            for order in cache.orders()
            if str(order.client_order_id) in mine
        )

    def _count_checks(self) -> None:
        client = self.trading.client
        assert client is not None
        answer = client._position_reports

        def counted(instrument_id: Any) -> Any:
            self.checks += 1
            reports = answer(instrument_id)
            self.told = Decimal(0)
            for one in reports:
                size = one.quantity.as_decimal()
                self.told += size if one.position_side == PositionSide.LONG else -size
            return reports

        client._position_reports = counted  # type: ignore[method-assign]


async def _until(what: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_SECS):
        while not what():
            await asyncio.sleep(0.01)


@pytest.fixture
def account(tmp_path: Path) -> Iterator[Account]:
    made = Account(tmp_path)
    yield made
    made.journal.close()


def execution(ordered: Intent, quantity: Decimal, fee: Decimal) -> VenueFill:
    return VenueFill(
        venue_order_id=f"of-{ordered.client_order_id}",
        trade_id=f"trade-{ordered.client_order_id}",
        instrument=ordered.instrument,
        side=ordered.side,
        quantity=quantity,
        price=PRICE,
        fee=fee,
        fee_currency="BTC",
        client_order_id=ordered.client_order_id,
    )


SEQUENCES = {
    "a buy": [(BUY, BOUGHT)],
    "several": [(BUY, BOUGHT), (BUY, Decimal("0.2")), (SELL, Decimal("0.1")), (BUY, BOUGHT)],
    "closed to the dust": [(BUY, BOUGHT), (SELL, Decimal("0.123333"))],
    "turned round": [(BUY, BOUGHT), (SELL, Decimal("0.3"))],
    "short": [(SELL, Decimal("0.3")), (BUY, BOUGHT)],
}


@pytest.mark.parametrize("before", ["0", "-0.0110519"])
@pytest.mark.parametrize("name", SEQUENCES)
def test_dust_of_fees_is_no_difference(account: Account, name: str, before: str) -> None:
    """Also what a position of an earlier run has beyond whole increments."""
    held = Decimal(before)
    if held:
        account.book("earlier", Side.BUY if held > 0 else Side.SELL, abs(held))
    assert account.run(*SEQUENCES[name]) == []
    assert account.told == account.net  # the engine tells an error of any other


@pytest.mark.parametrize("before", ["0", "0.0122877"])
@pytest.mark.parametrize("missed", ["0.5", "-0.5"])
def test_a_true_difference_is_put_right(account: Account, before: str, missed: str) -> None:
    """An execution that reached the journal and not NautilusTrader."""
    held, by = Decimal(before), Decimal(missed)
    if held:
        account.book("earlier", Side.BUY if held > 0 else Side.SELL, abs(held))
    side = Side.BUY if by > 0 else Side.SELL
    made = account.run((SELL, Decimal("0.3")), meanwhile=lambda: account.book("x", side, abs(by)))
    assert made, "the difference was not found"
    assert abs(sum(made) - by) <= INCREMENT
    assert account.told == account.net
    assert abs(account.net - account.held()) <= INCREMENT
