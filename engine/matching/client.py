"""NautilusTrader's execution client of a paper run: our simulated exchange behind it.

Commands travel for the latency, the market comes straight from the data client (`book`, `trade`).
Strategies see the events that they see live. Times of events are those of the market event, or of
the command's arrival, that made them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec
from nautilus_trader.config import ExecutionClientConfig
from nautilus_trader.live.clients import ExecutionClient, ExecutionClientFactory
from nautilus_trader.model import (
    AccountBalance,
    AccountId,
    AccountType,
    ClientOrderId,
    InstrumentId,
    LiquiditySide,
    MarginBalance,
    Money,
    OmsType,
    OrderBookDeltas,
    Price,
    Quantity,
    TradeTick,
    Venue,
)

from fairlead.engine.currencies import currency
from fairlead.engine.identifiers import trade_id, venue_order_id
from fairlead.engine.matching.accounts import CashAccount, MarginAccount
from fairlead.engine.matching.exchange import Exchange
from fairlead.engine.matching.line import Line
from fairlead.engine.matching.native import (
    HeldRules,
    levels_of,
    listing_of,
    new_order_of,
    print_of,
)
from fairlead.engine.matching.orders import Fees, Fill, NewOrder, Order
from fairlead.engine.matching.working import NOT_AT_ONCE, NOT_WHOLE
from fairlead.engine.orders.model import TierPrice
from fairlead.engine.risk.approval import NOT_APPROVED, Approvals
from fairlead.engine.risk.view import order_facts

logger = logging.getLogger(__name__)

ORDINARY = frozenset({NOT_AT_ONCE, NOT_WHOLE})  # ends that the order itself asked for
STOPPED = "RUN-STOPPED: the run ended while the order was on its way"


class Simulation(msgspec.Struct, frozen=True, kw_only=True):
    """One simulated account. `on_defect(code, message)` ends the run.

    `balances` are what it starts with, by currency; `instruments` NautilusTrader's own.
    """

    venue: str
    account: str
    instruments: Sequence[Any]
    balances: Mapping[str, Decimal]
    fees: Fees
    is_margin: bool
    latency_ns: int  # of each command; the longest where they differ
    delay_ns: Callable[[], int] | None = None  # draws that of the next command
    on_arrival: Callable[[int, int], None] | None = None  # see `Line`
    queue_position: bool
    liquidity_consumption: bool
    cancel_at_stop: bool
    now_ns: Callable[[], int]
    on_defect: Callable[[str, str], None]
    approvals: Approvals | None = None
    held: HeldRules | None = None
    tier_price: TierPrice | None = None


class SimulatedExecutionClient(ExecutionClient):
    """Sends to an `Exchange` in memory, and is what hears of its events."""

    def __init__(self, *, simulation: Simulation, **kwargs: Any) -> None:
        super().__init__(
            venue=Venue(simulation.venue),
            account_id=AccountId(f"{simulation.venue}-{simulation.account}"),
            account_type=AccountType.MARGIN if simulation.is_margin else AccountType.CASH,
            oms_type=OmsType.NETTING,
            **kwargs,
        )
        self._simulation = simulation
        self._instruments = {str(one.id): one for one in simulation.instruments}
        account = (MarginAccount if simulation.is_margin else CashAccount)(
            [listing_of(one) for one in simulation.instruments],
            simulation.balances,
            simulation.fees,
        )
        self._account = account
        self.exchange = Exchange(
            account,
            simulation.fees,
            self,
            name=simulation.venue,
            queue_position=simulation.queue_position,
            liquidity_consumption=simulation.liquidity_consumption,
            tier_price=simulation.tier_price,
        )
        self._line = Line(
            self.exchange,
            latency_ns=simulation.latency_ns,
            now_ns=simulation.now_ns,
            on_error=self._defect,
            delay_ns=simulation.delay_ns,
            on_arrival=simulation.on_arrival,
        )

    # -- life ----------------------------------------------------------------------------------

    async def _connect(self) -> None:
        self.balances_changed(self._simulation.now_ns())

    async def _disconnect(self) -> None:
        """Nothing stays open, where the config says so."""
        self.leave()
        if self._simulation.cancel_at_stop and not self._is_defective:
            for order in self.exchange.open_orders():
                if not order.is_over:  # with another one
                    self.exchange.cancel(order.id, self._simulation.now_ns())

    def leave(self) -> None:
        """The run leaves what is on its way no more time: it meets no market."""
        self._is_stopping = True
        self._line.finish()

    _is_defective = False
    _is_stopping = False

    def _defect(self, error: Exception) -> None:
        self._is_defective = True
        logger.error("the simulated exchange failed", exc_info=error)
        self._simulation.on_defect("PAPER-DEFECT", f"{type(error).__name__}: {error}")

    # -- the market ----------------------------------------------------------------------------

    def show(self, data: Any) -> None:
        """An event of the market, as the data client passes it on; others are not looked at."""
        if self._is_defective:
            return
        try:
            if isinstance(data, OrderBookDeltas):
                self._show_book(data)
            elif isinstance(data, TradeTick):
                self._show_trade(data)
        except Exception as error:
            self._defect(error)

    def _show_book(self, deltas: Any) -> None:
        name = str(deltas.instrument_id)
        if name in self._instruments:
            levels, is_whole = levels_of(deltas)
            self._line.market(
                deltas.ts_init,
                lambda now: self.exchange.book(name, levels, now, is_whole=is_whole),
            )

    def _show_trade(self, trade: Any) -> None:
        name = str(trade.instrument_id)
        if name in self._instruments:
            seen = print_of(trade)
            self._line.market(trade.ts_init, lambda now: self.exchange.trade(name, seen, now))

    # -- commands ------------------------------------------------------------------------------

    async def _submit_order(self, command: Any) -> None:
        self._submit([command.client_order_id], command.ts_init)

    async def _submit_order_list(self, command: Any) -> None:
        self._submit([init.client_order_id for init in command.order_inits], command.ts_init)

    def _submit(self, client_order_ids: Sequence[Any], sent_ns: int) -> None:
        news: list[NewOrder] = []
        for client_order_id in client_order_ids:
            order: Any = self.cache.order(client_order_id)
            assert order is not None, f"a command for {client_order_id}, which is not in the cache"
            reason = self._denial(order)
            if reason is not None:
                self.generate_order_denied(order, reason)
                continue
            self.generate_order_submitted(order)
            news.append(new_order_of(order, self._simulation.held))
        if news:
            self._send(sent_ns, lambda now: self._arrived(news, now))

    def _arrived(self, news: Sequence[NewOrder], now_ns: int) -> None:
        if not self._is_stopping:
            self.exchange.submit(news, now_ns)
            return
        for one in news:
            self.generate_order_rejected(self._cached(one.id), STOPPED, now_ns, False)

    def _denial(self, order: Any) -> str | None:
        approvals, reason = self._simulation.approvals, None
        if approvals is not None and not approvals.has(order_facts(order)):
            reason = NOT_APPROVED.format("order")
        if reason is None and str(order.instrument_id) not in self._instruments:
            reason = f"UNSUPPORTED: {order.instrument_id} is not in the config"
        if reason is None:
            try:
                new_order_of(order, self._simulation.held)
            except ValueError as error:
                reason = f"UNSUPPORTED: {error}"
        return reason

    async def _modify_order(self, command: Any) -> None:
        order: Any = self.cache.order(command.client_order_id)
        asked = (command.quantity, command.price, command.trigger_price)
        name = str(command.client_order_id)
        quantity, price, trigger = (None if one is None else one.as_decimal() for one in asked)
        approvals = self._simulation.approvals
        if approvals is not None and (quantity, price, trigger) not in approvals.changes(name):
            now, reason = self._simulation.now_ns(), NOT_APPROVED.format("modify")
            self.generate_order_modify_rejected(order, order.venue_order_id, reason, now)
            return
        self._send(
            command.ts_init,
            lambda now: self.exchange.modify(
                name, now, quantity=quantity, price=price, trigger_price=trigger
            ),
        )

    async def _cancel_order(self, command: Any) -> None:
        name = str(command.client_order_id)
        self._send(command.ts_init, lambda now: self.exchange.cancel(name, now))

    async def _cancel_all_orders(self, command: Any) -> None:
        wanted = str(command.instrument_id)
        side = None if command.order_side is None else command.order_side.name
        self._send(command.ts_init, lambda now: self._cancel_all(wanted, side, now))

    def _cancel_all(self, instrument: str, side: str | None, now_ns: int) -> None:
        for order in self.exchange.open_orders():
            is_meant = order.new.instrument == instrument and side in (None, order.side.value)
            if is_meant and not order.is_over:  # with another one
                self.exchange.cancel(order.id, now_ns)

    def _send(self, sent_ns: int, command: Callable[[int], None]) -> None:
        if not self._is_defective:
            self._line.send(sent_ns, command)

    async def _query_order(self, command: Any) -> None:
        """There is nothing to ask: every answer comes as an event."""

    async def _query_account(self, command: Any) -> None:
        self.balances_changed(max(self._simulation.now_ns(), self.exchange.now_ns))

    # -- reports: a simulated account lives no longer than its run --------------------------------

    async def _generate_order_status_report(self, command: Any) -> None:
        return None

    async def _generate_order_status_reports(self, command: Any) -> list[Any]:
        return []

    async def _generate_fill_reports(self, command: Any) -> list[Any]:
        return []

    async def _generate_position_status_reports(self, command: Any) -> list[Any]:
        return []

    # -- the exchange's events -------------------------------------------------------------------

    def _cached(self, order_id: str) -> Any:
        order = self.cache.order(ClientOrderId(order_id))
        assert order is not None, f"an event of {order_id}, which is not in the cache"
        return order

    def accepted(self, order: Order, ts_ns: int) -> None:
        self.generate_order_accepted(self._cached(order.id), venue_order_id(order.venue_id), ts_ns)

    def rejected(self, order: Order, reason: str, ts_ns: int, *, due_post_only: bool) -> None:
        logger.warning("%s rejected: %s", order.id, reason)
        self.generate_order_rejected(self._cached(order.id), reason, ts_ns, due_post_only)

    def triggered(self, order: Order, ts_ns: int) -> None:
        cached = self._cached(order.id)
        if order.price is None or not cached.has_trigger_price:
            return  # NautilusTrader knows no such event of a stop-market order, or a plain limit
        self.generate_order_triggered(cached, venue_order_id(order.venue_id), ts_ns)

    def filled(self, order: Order, fill: Fill, ts_ns: int) -> None:
        instrument = self._instruments[order.new.instrument]
        self.generate_order_filled(
            self._cached(order.id),
            venue_order_id(order.venue_id),
            None,
            trade_id(fill.trade_id),
            _quantity(fill.quantity, instrument),
            _price(fill.price, instrument),
            instrument.quote_currency,
            _money(fill.fee, fill.fee_currency),
            LiquiditySide.MAKER if fill.is_maker else LiquiditySide.TAKER,
            ts_ns,
        )

    def canceled(self, order: Order, reason: str, ts_ns: int) -> None:
        if reason:
            level = logging.INFO if reason in ORDINARY else logging.WARNING
            logger.log(level, "%s: what is left of it is cancelled: %s", order.id, reason)
        self.generate_order_canceled(self._cached(order.id), venue_order_id(order.venue_id), ts_ns)

    def expired(self, order: Order, ts_ns: int) -> None:
        self.generate_order_expired(self._cached(order.id), venue_order_id(order.venue_id), ts_ns)

    def updated(self, order: Order, ts_ns: int) -> None:
        instrument = self._instruments[order.new.instrument]
        trigger = order.trigger
        self.generate_order_updated(
            self._cached(order.id),
            venue_order_id(order.venue_id),
            _quantity(order.quantity, instrument),
            None if order.price is None else _price(order.price, instrument),
            None if trigger is None else _price(trigger.price, instrument),
            None,
            ts_ns,
        )

    def modify_rejected(self, order_id: str, reason: str, ts_ns: int) -> None:
        order = self._cached(order_id)
        self.generate_order_modify_rejected(order, order.venue_order_id, reason, ts_ns)

    def cancel_rejected(self, order_id: str, reason: str, ts_ns: int) -> None:
        order = self._cached(order_id)
        self.generate_order_cancel_rejected(order, order.venue_order_id, reason, ts_ns)

    def balances_changed(self, ts_ns: int) -> None:
        balances = []
        for one in self._account.balances():
            total, locked = _money(one.total, one.currency), _money(one.locked, one.currency)
            balances.append(AccountBalance(total, locked, total - locked))
        margins = [
            MarginBalance(
                _money(one.initial, one.currency),
                _money(one.maintenance, one.currency),
                InstrumentId.from_str(one.instrument),
            )
            for one in self._account.margins()
        ]
        self.generate_account_state(balances, margins, True, ts_ns)


def _price(value: Decimal, instrument: Any) -> Any:
    return Price.from_str(f"{value:.{instrument.price_precision}f}")


def _quantity(value: Decimal, instrument: Any) -> Any:
    return Quantity.from_str(f"{value:.{instrument.size_precision}f}")


def _money(value: Decimal, code: str) -> Any:
    return Money.from_decimal(value, currency(code))


class SimulatedClientFactory(ExecutionClientFactory):
    """Gives NautilusTrader the client, and the market's way into it: `on_client`."""

    def __init__(
        self,
        simulation: Simulation,
        on_client: Callable[[SimulatedExecutionClient], None],
    ) -> None:
        self._simulation = simulation
        self._on_client = on_client

    def create(  # type: ignore[override]  # NautilusTrader calls it on the instance
        self, *, name: str, config: ExecutionClientConfig, cache: Any, clock: Any, trader_id: Any
    ) -> SimulatedExecutionClient:
        client = SimulatedExecutionClient(
            simulation=self._simulation,
            name=name,
            config=config,
            cache=cache,
            clock=clock,
            trader_id=trader_id,
        )
        self._on_client(client)
        return client
