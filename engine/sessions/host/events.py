"""NautilusTrader's events, made of what the execution client tells."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from nautilus_trader.common import Clock, OrderFactory
from nautilus_trader.core import UUID4
from nautilus_trader.model import (
    AccountState,
    LiquiditySide,
    OrderAccepted,
    OrderCanceled,
    OrderCancelRejected,
    OrderDenied,
    OrderExpired,
    OrderFilled,
    OrderModifyRejected,
    OrderRejected,
    OrderStatus,
    OrderSubmitted,
    OrderTriggered,
    OrderType,
    OrderUpdated,
    Position,
    PositionId,
    PositionSide,
    StrategyId,
)

from fairlead.adapters.base import translate
from fairlead.engine import identifiers
from fairlead.engine.orders.journal import Position as JournalPosition
from fairlead.engine.orders.model import Side
from fairlead.engine.sessions.host.base import TRADER, Host


class Outbox:
    """Where the execution client's events and reports go: into the node's queue."""

    def __init__(self, node: Host) -> None:
        self._node = node

    def _put(self, kind: Any, order: Any, *fields: Any) -> None:
        node = self._node
        head = (TRADER, order.strategy_id, order.instrument_id, order.client_order_id)
        node.put(kind(*head, *fields))

    @property
    def _account(self) -> Any:
        return self._node.client.account_id

    def order_denied(self, order: Any, reason: str, ts: int) -> None:
        self._put(OrderDenied, order, reason, UUID4(), ts, ts)

    def order_submitted(self, order: Any, ts: int) -> None:
        self._put(OrderSubmitted, order, self._account, UUID4(), ts, ts)

    def order_accepted(self, order: Any, venue_id: Any, ts_event: int, ts: int) -> None:
        self._put(OrderAccepted, order, venue_id, self._account, UUID4(), ts_event, ts, False)

    def order_rejected(
        self, order: Any, reason: str, ts_event: int, ts: int, due_post_only: bool
    ) -> None:
        self._put(
            OrderRejected, order, self._account, reason, UUID4(), ts_event, ts, False, due_post_only
        )

    def order_modify_rejected(self, order: Any, *told: Any) -> None:
        self._refused(OrderModifyRejected, order, *told)

    def order_cancel_rejected(self, order: Any, *told: Any) -> None:
        self._refused(OrderCancelRejected, order, *told)

    def _refused(
        self, kind: Any, order: Any, venue_id: Any, reason: str, ts_event: int, ts: int
    ) -> None:
        tail = (ts_event, ts, False, venue_id, self._account)
        self._put(kind, order, reason, UUID4(), *tail)

    def order_updated(
        self,
        order: Any,
        venue_id: Any,
        quantity: Any,
        price: Any,
        trigger: Any,
        protection: Any,
        ts_event: int,
        ts: int,
    ) -> None:
        tail = (venue_id, self._account, price, trigger, protection)
        self._put(OrderUpdated, order, quantity, UUID4(), ts_event, ts, False, *tail)

    def order_canceled(self, order: Any, venue_id: Any, ts_event: int, ts: int) -> None:
        self._put(OrderCanceled, order, UUID4(), ts_event, ts, False, venue_id, self._account)

    def order_expired(self, order: Any, venue_id: Any, ts_event: int, ts: int) -> None:
        self._put(OrderExpired, order, UUID4(), ts_event, ts, False, venue_id, self._account)

    def order_triggered(self, order: Any, venue_id: Any, ts_event: int, ts: int) -> None:
        self._put(OrderTriggered, order, UUID4(), ts_event, ts, False, venue_id, self._account)

    def order_filled(
        self,
        order: Any,
        venue_id: Any,
        venue_position_id: Any,
        trade_id: Any,
        quantity: Any,
        price: Any,
        currency: Any,
        commission: Any,
        liquidity: Any,
        ts_event: int,
        ts: int,
    ) -> None:
        self._node.put(
            OrderFilled(
                TRADER,
                order.strategy_id,
                order.instrument_id,
                order.client_order_id,
                venue_id,
                self._account,
                trade_id,
                order.side,
                order.order_type,
                quantity,
                price,
                currency,
                liquidity,
                UUID4(),
                ts_event,
                ts,
                False,
                PositionId(self._node.position_id(str(order.strategy_id))),
                commission,
            )
        )

    def account_state(
        self, balances: Any, margins: Any, reported: bool, ts_event: int, ts: int, info: Any
    ) -> None:
        client = self._node.client
        state = AccountState(
            client.account_id,
            client.account_type,
            balances,
            margins,
            reported,
            UUID4(),
            ts_event,
            ts,
            None,
        )
        self._node.put(lambda: self._node.account_told(state))

    def report(self, report: Any, fills: Any) -> None:
        self._node.put(lambda: _reconcile(self._node, report, fills or []))


def _reconcile(node: Host, report: Any, fills: Sequence[Any]) -> None:
    """A report of an order: one that is not known becomes one of its strategy's, with events."""
    owner = node.owner_of(report)
    if owner is None:
        return
    order = node.cache.order(report.client_order_id)
    if order is None:
        order, accepted = from_report(node, report, fills, owner, is_start=False)
        node.cache.add_order(order)
        node.tell(accepted)
    for fill in fills:
        if fill.trade_id not in order.trade_ids:
            node.handle(_filled(node, order, fill))
    if report.order_status in ENDS and not order.is_closed:
        kind = ENDS[report.order_status]
        head = (TRADER, order.strategy_id, order.instrument_id, order.client_order_id)
        now = node.process.now_ns()
        venue_id, account = report.venue_order_id, node.client.account_id
        node.handle(kind(*head, UUID4(), now, now, True, venue_id, account))


ENDS: dict[Any, Any] = {OrderStatus.CANCELED: OrderCanceled, OrderStatus.EXPIRED: OrderExpired}


def from_report(
    node: Host, report: Any, fills: Sequence[Any], owner: str, *, is_start: bool
) -> tuple[Any, Any]:
    """An accepted order as an external report makes one, without its tags, and that event.

    At the start what was filled before is part of the order, as executions are told whole.
    """
    now = node.process.now_ns()
    clock = Clock.new_test()
    clock.set_time(now)
    strategy_id = node.id_of(owner)
    factory = OrderFactory(TRADER, strategy_id, clock)
    named: dict[str, Any] = {
        "time_in_force": report.time_in_force,
        "reduce_only": report.reduce_only,
        "client_order_id": report.client_order_id,
    }
    head = (report.instrument_id, report.order_side, report.quantity)
    kind = report.order_type
    if kind == OrderType.MARKET:
        order = factory.market(*head, **named)
    elif kind == OrderType.LIMIT:
        order = factory.limit(*head, report.price, post_only=report.post_only, **named)
    else:
        build = factory.stop_limit if kind == OrderType.STOP_LIMIT else factory.limit_if_touched
        order = build(
            *head,
            report.price,
            report.trigger_price,
            trigger_type=report.trigger_type,
            **named,
        )
    account = node.client.account_id
    ids = (TRADER, strategy_id, order.instrument_id, order.client_order_id)
    accepted = OrderAccepted(
        *ids, report.venue_order_id, account, UUID4(), report.ts_accepted, now, True
    )
    order.apply(accepted)
    if is_start and report.filled_qty.as_decimal() > 0:
        order.apply(_inferred(node, order, report, now))
    return order, accepted


def _inferred(node: Host, order: Any, report: Any, now: int) -> OrderFilled:
    """What was filled before the start, as one execution."""
    instrument = node.process.instruments[str(order.instrument_id)]
    return OrderFilled(
        TRADER,
        order.strategy_id,
        order.instrument_id,
        order.client_order_id,
        report.venue_order_id,
        node.client.account_id,
        identifiers.trade_id(f"before-{report.venue_order_id}"),
        order.side,
        order.order_type,
        report.filled_qty,
        translate.price_of(Decimal(str(report.avg_px)), instrument),
        instrument.nautilus.quote_currency,
        LiquiditySide.TAKER,
        UUID4(),
        now,
        now,
        True,
    )


def _filled(node: Host, order: Any, fill: Any) -> OrderFilled:
    instrument = node.process.instruments[str(order.instrument_id)]
    return OrderFilled(
        TRADER,
        order.strategy_id,
        order.instrument_id,
        order.client_order_id,
        fill.venue_order_id,
        node.client.account_id,
        fill.trade_id,
        order.side,
        order.order_type,
        fill.last_qty,
        fill.last_px,
        instrument.nautilus.quote_currency,
        fill.liquidity_side,
        UUID4(),
        fill.ts_event,
        node.process.now_ns(),
        True,
        PositionId(node.position_id(str(order.strategy_id))),
        fill.commission,
    )


def synthetic(node: Host, held: JournalPosition) -> Any | None:
    """The position that a report of the journal's becomes, or None for less than an increment."""
    instrument = node.process.instruments[held.instrument]
    now = node.process.now_ns()
    quantity = translate.whole(held.quantity, instrument)
    report = translate.position_report(held, quantity, node.client.account_id, now)
    if report.position_side == PositionSide.FLAT:
        return None
    side = translate.SIDES[Side.BUY if held.quantity > 0 else Side.SELL]
    price = Decimal(str(report.avg_px_open or 0))
    fill = OrderFilled(
        TRADER,
        StrategyId(held.strategy),
        report.instrument_id,
        OrderFactory(
            TRADER, StrategyId(held.strategy), Clock.new_test()
        ).generate_client_order_id(),
        identifiers.venue_order_id("RECONCILIATION"),
        node.client.account_id,
        identifiers.trade_id("RECONCILIATION"),
        side,
        OrderType.MARKET,
        translate.quantity_of(abs(quantity), instrument),
        translate.price_of(abs(price), instrument),
        instrument.nautilus.quote_currency,
        LiquiditySide.TAKER,
        UUID4(),
        now,
        now,
        True,
        PositionId(node.position_id(held.strategy)),
    )
    return Position(instrument.nautilus, fill)
