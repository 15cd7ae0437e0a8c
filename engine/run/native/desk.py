"""Orders that go through NautilusTrader's own clients, in the account's journal.

Nothing of ours stands between such a client and its venue. What the gate approved is journaled
before it is handed to NautilusTrader, and what NautilusTrader reports of it is journaled as it
comes; how an order whose answer is lost is settled is NautilusTrader's own doing while the run
lives (docs/nautilus-venues.md). At a start it is settled by what the venue then tells.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec
from nautilus_trader.trading import Strategy

from fairlead.adapters.base.translate import dec, intent_of
from fairlead.adapters.base.venue import VenueInstrument
from fairlead.engine.orders.journal import Journal, JournalError
from fairlead.engine.orders.live import UNASKED, LiveOrder, new_order
from fairlead.engine.orders.model import (
    Finding,
    Intent,
    OrderState,
    Side,
    VenueFill,
    VenueOrder,
)

logger = logging.getLogger(__name__)

MADE_UP = "NATIVE-MADE-UP"
MAKES_UP = "RECONCILIATION"  # its tag of orders that it makes up where positions differ
NO_FEE = "NautilusTrader tells no fee of it; it counts as none"
ENDS: Mapping[str, OrderState] = {
    "OrderDenied": OrderState.REFUSED,
    "OrderRejected": OrderState.REFUSED,
    "OrderCanceled": OrderState.CANCELED,
    "OrderExpired": OrderState.EXPIRED,
}


class NativeDesk:
    """The live orders of one account, as `OrderDesk` shows its own.

    `cancels` asks NautilusTrader for the cancel of one order, and gives whether it could be asked.
    Where the venue `tells_positions`, an order that NautilusTrader makes up follows what it told;
    where it tells none (a cash account) it follows nothing: it is not booked, and `on_halt` gets
    the instrument, which must not trade on, and why.
    """

    def __init__(
        self,
        journal: Journal,
        instruments: Mapping[str, VenueInstrument],
        now_ns: Callable[[], int],
        on_failed: Callable[[str, str], None],
        on_found: Callable[[Finding], None],
        *,
        tells_positions: bool = True,
        on_halt: Callable[[str, str], None] = lambda *_: None,
    ) -> None:
        self.journal = journal
        self.cancels: Callable[[str], bool] | None = None
        self.on_sent: Callable[[Intent], None] | None = None
        self.steward: Strategy | None = None  # who cancels for a strategy that is lent
        self.is_hearing = False  # what NautilusTrader reports while it starts is booked already
        self._instruments = instruments
        self._now_ns = now_ns
        self._on_failed = on_failed
        self._on_found = on_found
        self._tells_positions = tells_positions
        self._on_halt = on_halt
        self._made_up: set[str] = set()  # client order ids, of this run
        journal.is_inverse = self._is_inverse
        self._live = {one.intent.client_order_id: LiveOrder(one) for one in journal.open_orders()}

    def live_orders(self) -> list[LiveOrder]:
        """Every order that is not proven to be over."""
        return list(self._live.values())

    def fail(self, error: BaseException) -> None:
        """The journal can't be kept: nothing more may be sent."""
        code = error.code if isinstance(error, JournalError) else "DESK-FAILED"
        text = error.message if isinstance(error, JournalError) else str(error)
        self._on_failed(code, text)

    async def cancel(self, client_order_ids: Sequence[str]) -> None:
        """Ask for the cancel of each; what becomes of them is told by events."""
        for name in client_order_ids:
            if name in self._live and self.cancels is not None and not self.cancels(name):
                logger.warning("%s can't be cancelled now: NautilusTrader does not know it", name)

    # -- on the way out ------------------------------------------------------------------------

    def intend(self, orders: Sequence[Any]) -> None:
        """Journal what the gate approved, before NautilusTrader is handed it.

        Raises JournalError; then none of them may be sent.
        """
        now_ns = self._now_ns()
        try:
            intents = [intent_of(order, now_ns) for order in orders]
            sent_ns = self.journal.intend(intents)
        except JournalError as error:
            self.fail(error)
            raise
        for intent in intents:
            self._live[intent.client_order_id] = _new(intent, sent_ns)
            if self.on_sent is not None:
                self.on_sent(intent)

    def refused(self, orders: Iterable[Any], why: str) -> None:
        """NautilusTrader took none of these: they never left."""
        for order in orders:
            self._end(str(order.client_order_id), OrderState.REFUSED, {"reason": why})

    def stop_change(self, client_order_id: Any) -> None:
        """Have NautilusTrader refuse a modify that passed no gate, and cancel the order."""
        try:
            assert self.steward is not None, "the run has one where an account is traded"
            self.steward.cancel_order(client_order_id)
        except Exception:  # the run ends for the modify itself, whatever becomes of it
            logger.exception("a modify of %s that passed no gate may be sent", client_order_id)

    # -- as NautilusTrader reports -------------------------------------------------------------

    def told(self, event: Any) -> bool:
        """One order event of a strategy's callback; whether it is of an order that there is."""
        name, order_id = type(event).__name__, str(event.client_order_id)
        if name == "OrderInitialized" and event.reconciliation and MAKES_UP in (event.tags or ()):
            self._made_up.add(order_id)
        is_true = self._tells_positions or order_id not in self._made_up
        if not self.is_hearing:
            return is_true
        try:
            if is_true:
                self._told(name, order_id, event)
            elif name == "OrderFilled":
                self._disbelieve(order_id, event)
        except JournalError as error:
            self.fail(error)
        return is_true

    def _disbelieve(self, order_id: str, event: Any) -> None:
        """What it holds by NautilusTrader is wrong from here on: nothing may be sent by that."""
        instrument = str(event.instrument_id)
        what = f"{event.order_side.name} {event.last_qty} at {event.last_px}"
        self._on_halt(instrument, f"{MADE_UP}: NautilusTrader made up {what}")
        self._found(
            MADE_UP,
            instrument,
            order_id,
            "no such order",
            "tells no positions",
            f"not booked: NautilusTrader made up {what}; trading is halted",
        )

    def _told(self, name: str, order_id: str, event: Any) -> None:
        order = self._live.get(order_id)
        if order is None:
            order = self._late(order_id, event) if name == "OrderFilled" else None
            if order is None:
                return
        if name == "OrderFilled":
            self._fill(order, fill_of(event), NO_FEE if event.commission is None else "")
        elif name == "OrderAccepted":
            self._proven(order, str(event.venue_order_id))
        elif name == "OrderTriggered":
            order.triggered, order.state = True, OrderState.OPEN
            self.journal.state(order_id, OrderState.OPEN, {"reason": "triggered"})
        elif name == "OrderUpdated":
            venue_id = event.venue_order_id
            self._changed(
                order,
                None if venue_id is None else str(venue_id),
                dec(event.quantity),
                dec(event.price),
                dec(event.trigger_price),
            )
        elif name == "OrderPendingCancel":
            order.cancel_requested = True
            self.journal.cancel_requested([order_id])
        elif name in ENDS:
            self._end(order_id, ENDS[name], {"reason": str(getattr(event, "reason", "") or "")})

    def book(self, order: LiveOrder, state: VenueOrder, fills: Sequence[VenueFill] = ()) -> None:
        """What the venue tells of an order at a start: executions that nobody heard of, its end.

        `fills` are those that it tells one by one. Of the others it tells the sum only: one
        execution at the average price, whose fee is not known. Raises JournalError.
        """
        self._proven(order, state.venue_order_id)
        self._changed(order, None, state.quantity, state.price, state.trigger_price)
        self._reported(order, state, fills)
        more = state.filled - order.filled
        if more > 0:
            worth = state.filled * (state.avg_price or state.price or Decimal(0)) - order.cost
            self._fill(
                order,
                VenueFill(
                    venue_order_id=state.venue_order_id,
                    trade_id=f"sum-{order.intent.client_order_id}-{state.filled.normalize():f}",
                    instrument=state.instrument,
                    side=state.side,
                    quantity=more,
                    price=worth / more,
                    fee=Decimal(0),
                    fee_currency=self._quote(state.instrument),
                    client_order_id=order.intent.client_order_id,
                    ts_event=state.ts_updated,
                    synthetic=True,
                ),
                "what was filled while no run heard of it is booked at its average price; its fee "
                "is not known and counts as none",
            )
        if state.state.is_terminal and state.state is not OrderState.FILLED:
            self._end(order.intent.client_order_id, state.state, state)

    def _reported(self, order: LiveOrder, state: VenueOrder, fills: Sequence[VenueFill]) -> None:
        """Once a sum was booked of an order, nothing tells which of its executions it holds."""
        booked = self.journal.fills_of(order.intent.client_order_id)
        if any(one.synthetic for one in booked):
            return
        known = {one.trade_id for one in booked}
        for fill in fills:
            if fill.trade_id not in known and order.filled + fill.quantity <= state.filled:
                self._fill(order, fill)

    def gone(self, order: LiveOrder, why: str) -> None:
        """The venue does not have it, and nothing more of it was filled; raises JournalError.

        One that the venue never showed was never there.
        """
        state = OrderState.CANCELED if order.is_proven else OrderState.REFUSED
        self._end(order.intent.client_order_id, state, {"reason": why})

    # -- inside --------------------------------------------------------------------------------

    def _proven(self, order: LiveOrder, venue_order_id: str) -> None:
        if order.venue_order_id is not None:
            return
        intent, state = order.intent, order.first_state()
        self.journal.accepted(
            intent.client_order_id, venue_order_id, instrument=intent.instrument, state=state
        )
        order.venue_order_id, order.state = venue_order_id, state

    def _changed(
        self,
        order: LiveOrder,
        venue_order_id: str | None,
        quantity: Decimal | None,
        price: Decimal | None,
        trigger_price: Decimal | None,
    ) -> None:
        before = order.intent
        known = order.venue_order_id
        changed = msgspec.structs.replace(
            before,
            quantity=before.quantity if quantity is None else quantity,
            price=before.price if price is None or before.price is None else price,
            trigger_price=before.trigger_price
            if trigger_price is None or before.trigger_price is None
            else trigger_price,
        )
        venue_id = venue_order_id or known
        if venue_id is None or (changed == before and venue_id == known):
            return
        self.journal.replaced(before.client_order_id, changed, venue_id, order.state)
        order.intent, order.venue_order_id = changed, venue_id

    def _fill(self, order: LiveOrder, fill: VenueFill, no_fee: str = "") -> None:
        """`no_fee`: why its fee is not known."""
        intent = order.intent
        self._proven(order, fill.venue_order_id)
        known = self._instruments.get(fill.instrument)
        in_base = (
            known is not None
            and fill.fee_currency == known.base
            and getattr(known.nautilus, "settlement_currency", None) is None  # it holds no base
        )
        booked = self.journal.fill(intent, fill, fill.fee if in_base else Decimal(0))
        if booked is None:
            return
        order.filled += fill.quantity
        order.cost += fill.quantity * fill.price
        if no_fee:
            self._found(
                "FEE-UNKNOWN",
                intent.instrument,
                intent.client_order_id,
                f"{order.filled - fill.quantity} filled",
                f"{order.filled} filled",
                no_fee,
            )
        if order.filled >= intent.quantity:
            self._end(intent.client_order_id, OrderState.FILLED, {"reason": "filled"})

    def _is_inverse(self, instrument: str) -> bool:
        known = self._instruments.get(instrument)
        return known is not None and bool(known.nautilus.is_inverse)

    def _end(self, order_id: str, state: OrderState, proof: object) -> None:
        if self._live.pop(order_id, None) is not None:
            self.journal.state(order_id, state, proof)

    def _late(self, order_id: str, event: Any) -> LiveOrder:
        """An execution of an order that is over by the journal, or that nobody sent from here.

        NautilusTrader makes orders up where positions differ; the journal holds what it holds.
        """
        known = self.journal.order(order_id)
        journal = "no such order" if known is None else f"over: {known.state.value}"
        if known is None:
            intent = Intent(
                client_order_id=order_id,
                strategy=str(event.strategy_id),
                instrument=str(event.instrument_id),
                side=Side(event.order_side.name),
                kind=_kind(event),
                quantity=event.last_qty.as_decimal(),
                ts_init=self._now_ns(),
            )
            self.journal.intend([intent])
            known = self.journal.order(order_id)
            assert known is not None, "it was written a moment ago"
        self._found(
            UNASKED,
            str(event.instrument_id),
            order_id,
            journal,
            f"{event.order_side.name} {event.last_qty} at {event.last_px}",
            "booked as NautilusTrader tells it",
        )
        order = LiveOrder(known)
        if not known.state.is_terminal:
            self._live[order_id] = order
        return order

    def _quote(self, instrument: str) -> str:
        known = self._instruments.get(instrument)
        return "" if known is None else known.quote

    def _found(
        self, code: str, instrument: str, subject: str, journal: str, venue: str, action: str
    ) -> None:
        finding = Finding(
            code=code,
            instrument=instrument,
            subject=subject,
            journal=journal,
            venue=venue,
            action=action,
            ts_event=self._now_ns(),
        )
        self.journal.finding(finding)
        self._on_found(finding)


def fill_of(event: Any) -> VenueFill:
    """NautilusTrader's OrderFilled as the journal keeps it."""
    fee = event.commission
    side = event.liquidity_side.name
    return VenueFill(
        venue_order_id=str(event.venue_order_id),
        trade_id=str(event.trade_id),
        instrument=str(event.instrument_id),
        side=Side(event.order_side.name),
        quantity=event.last_qty.as_decimal(),
        price=event.last_px.as_decimal(),
        fee=Decimal(0) if fee is None else fee.as_decimal(),
        fee_currency=(event if fee is None else fee).currency.code,
        client_order_id=str(event.client_order_id),
        is_maker={"MAKER": True, "TAKER": False}.get(side),
        ts_event=event.ts_event,
        synthetic=bool(event.reconciliation),
    )


def _kind(event: Any) -> Any:
    from fairlead.engine.orders.model import Kind

    name = event.order_type.name
    return Kind(name) if name in Kind.__members__ else Kind.MARKET


def _new(intent: Intent, sent_ns: int) -> LiveOrder:
    return LiveOrder(new_order(intent, sent_ns))
