"""The live orders of an account, and how a venue's words move them: states, executions, their end.

States only move forward, every execution is booked once, and what can't be true (more filled than
ordered) is a finding that halts the instrument.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from decimal import Decimal

import msgspec

from fairlead.engine.orders.live import CHAIN_READS, STOP_KINDS, LiveOrder
from fairlead.engine.orders.model import (
    Fee,
    Finding,
    Intent,
    OrderState,
    Refused,
    Side,
    VenueFill,
    VenueOrder,
    VenueUnavailable,
)
from fairlead.engine.orders.shared import WITHDRAWN, Part, Shared

# How far an order has come; what lies behind comes from a page older than what is known.
_PROGRESS = {OrderState.WAITING: 0, OrderState.OPEN: 1, OrderState.CANCELLING: 2}
ID_REUSED = "VENUE-ID-REUSED"
FORGOTTEN = "ORDER-FORGOTTEN"
MET_OWN = "MET-OWN-ORDER"
ABSENT = "ABSENT-PROVEN"  # the venue never had it
_UNSENT = frozenset({"DESK-UNSENT", "DESK-HALTED", "DESK-KILLED", WITHDRAWN})
FEE_ASSUMED = "FEE-ASSUMED"
FILL_LAG_READS = 5  # that lacked a true execution, or its fee, before that is filled in


class Table(Part):
    """Every order that is not terminal, by client order id and by the venue's."""

    def __init__(self, shared: Shared, on_unknown: Callable[[int], None] | None) -> None:
        super().__init__(shared)
        self.live: dict[str, LiveOrder] = {}
        self.by_venue_id: dict[tuple[str, str], str] = {}
        self._on_unknown = on_unknown  # told the number of unproven orders
        self._unknown_count = 0
        # Whether the engine holds again what it released (order, record, code, what proves it)
        self.kept_back: Callable[[LiveOrder, str, str, object], bool] = lambda *_: False

    def unresolved(self) -> list[LiveOrder]:
        """Orders whose outcome nothing proves yet."""
        return [one for one in self.live.values() if not one.is_proven and not one.is_held]

    # -- whose an id is ------------------------------------------------------------------------

    def adopt(self, order: LiveOrder, venue_order_id: str) -> None:
        """The venue has the order: journal it, then tell."""
        if order.venue_order_id is not None:
            return
        intent = order.intent
        state = order.first_state()
        former = self._journal.accepted(
            intent.client_order_id, venue_order_id, instrument=intent.instrument, state=state
        )
        self.own(order, venue_order_id, former)
        order.state = state
        if order.held is None:
            self._sink.order_accepted(intent, venue_order_id, self._now_ns())
        else:
            self._sink.order_released(order.held, venue_order_id, self._now_ns())
        self._shared.poll_now.set()
        self.count_unknown()
        order.settled.set()

    def own(self, order: LiveOrder, venue_order_id: str, former: str | None = None) -> None:
        """The id is this order's; `former` is the client order id of another that had it."""
        cid = order.intent.client_order_id
        if order.venue_order_id is not None:
            before = (order.intent.instrument, order.venue_order_id)
            if self.by_venue_id.get(before) == cid:
                del self.by_venue_id[before]
        order.venue_order_id = venue_order_id
        self.by_venue_id[order.intent.instrument, venue_order_id] = cid
        order.seen()
        if former is not None:
            self._reused(order, former)

    def disown(self, order: LiveOrder) -> None:
        """What the venue knew of the order is over there, and the order is not."""
        key = (order.intent.instrument, order.venue_order_id or "")
        if self.by_venue_id.get(key) == order.intent.client_order_id:
            del self.by_venue_id[key]
        order.venue_order_id = None
        order.misses, order.is_missing = 0, False
        order.told_filled, order.owes_read = order.filled, False

    def _reused(self, order: LiveOrder, former: str) -> None:
        order.is_reuse_told = True
        known = self._journal.order(former)
        self._shared.tell(
            ID_REUSED,
            order.intent.instrument,
            order.venue_order_id or "",
            f"of {former}, {'unknown' if known is None else known.state}",
            f"given to {order.intent.client_order_id}",
            "the venue counts anew (was it reset?); the new order and its executions are booked as "
            "its own",
        )
        old = self.live.get(former)
        if old is not None and old.venue_order_id == order.venue_order_id:
            self.displaced(old)

    def displaced(self, order: LiveOrder) -> None:
        """Its id names another order at the venue: nothing is asked or cancelled by it any more."""
        order.is_displaced = order.is_missing = True
        self.forget(order, f"{order.venue_order_id} is the id of another order there")

    def forget(self, order: LiveOrder, how: str) -> None:
        """Said once. It stays open: that it was cancelled, or filled, is not known."""
        order.is_forgotten = True
        intent = order.intent
        cid = intent.client_order_id
        self._shared.tell(
            FORGOTTEN,
            intent.instrument,
            cid,
            f"{order.state}, {order.filled} of {intent.quantity} executed",
            how,
            "kept as open, no cancel is sent; end this run, look at the venue what became of it, "
            f"then: fairlead resolve {cid} --gone (or --filled QUANTITY@PRICE) --reason WHY "
            "--config CONFIG",
        )
        if order.cancel_requested:
            message = "the venue tells nothing of the order; it stays open until a person decides"
            self._sink.cancel_refused(intent, FORGOTTEN, message, self._now_ns())

    # -- what the venue says -------------------------------------------------------------------

    def apply(self, order: LiveOrder, state: VenueOrder, *, from_push: bool = False) -> None:
        """Move the order to what the venue says. Never back: a stale page changes nothing."""
        if order.state.is_terminal:
            return  # an answer that was overtaken by a push
        order.seen()
        intent = order.intent
        if state.filled > intent.quantity:
            self._shared.tell(
                "OVERFILL",
                intent.instrument,
                intent.client_order_id,
                f"quantity {intent.quantity}",
                f"filled {state.filled}",
                "the instrument is halted",
            )
        if state.triggered and not order.triggered:
            order.triggered = True
            self._sink.order_triggered(intent, state.venue_order_id, self._now_ns())
        order.told_filled = max(order.told_filled, state.filled)
        if state.filled > order.filled and self._lacks_fee(order, state, is_read=not from_push):
            self._shared.poll_now.set()
            return  # the next read tells all of it
        if not self._can.reports_fills:
            if state.filled > order.filled:
                self.fill(order, self._synthesise(order, state))
        elif (state.filled > order.filled or order.owes_read) and not from_push:
            self.fetch_fills(order)
        if state.state.is_terminal:
            if order.replacing is None or state.state is OrderState.FILLED:
                self._terminal(order, state)  # else another order may have taken over
        elif _PROGRESS.get(state.state, -1) > _PROGRESS.get(order.state, -1):
            order.state = state.state
            self._journal.state(intent.client_order_id, state.state, state)

    def _terminal(self, order: LiveOrder, state: VenueOrder) -> None:
        intent = order.intent
        if order.old_ids and self._can.reports_fills:
            # What the state tells as filled is of the last of the chain: those before it may have
            # executions that no replacement counted, and only reads from now on are of all of them.
            order.end_reads = order.end_reads or 0
            if order.end_reads < CHAIN_READS:
                self.fetch_fills(order)
                return
        if order.filled < state.filled and not self._are_fills_missing(order):
            self.fetch_fills(order)  # true executions are on their way: wait for them
            return
        if order.filled < state.filled:
            fill = self._synthesise(order, state)
            self._shared.tell(
                "FILL-SYNTHESISED",
                intent.instrument,
                intent.client_order_id,
                f"filled {order.filled}",
                f"filled {state.filled}",
                "the venue never listed the execution; booked at the average price",
            )
            self.fill(order, fill)
        if intent.client_order_id not in self.live:
            return  # that last fill was the end
        terminal = state.state
        if terminal is not OrderState.FILLED and not order.filled:
            why = state.reason or terminal.value
            if self.kept_back(order, "RELEASE_UNFILLED", why, state):
                return
        if not state.reason and (met := self._met_by(order, terminal)) is not None:
            state = msgspec.structs.replace(state, reason=self._tell_met(order, state, met))
        self._journal.state(intent.client_order_id, terminal, state)
        self.finish(order, terminal)
        if terminal is OrderState.CANCELED:
            self._sink.order_canceled(intent, state.venue_order_id, self._now_ns())
        elif terminal is OrderState.EXPIRED:
            self._sink.order_expired(intent, state.venue_order_id, self._now_ns())
        elif terminal is OrderState.REFUSED:
            self._sink.order_refused(intent, "VENUE-REJECTED", state.reason, self._now_ns())
        self._shared.balances_now.set()

    def _met_by(self, order: LiveOrder, terminal: OrderState) -> Intent | None:
        """The own resting order that one which nobody cancelled would have traded with.

        One without a price that filled in part reaches no further than it filled, at least: beyond
        that it may have found too little. One that took nothing met the best there was.
        """
        if order.cancel_requested or terminal not in (OrderState.CANCELED, OrderState.EXPIRED):
            return None
        taker = order.intent
        if taker.post_only or (taker.kind in STOP_KINDS and not order.triggered):
            return None  # it takes nothing: whoever ended it had another reason
        reach = taker.price
        if reach is None and order.filled:
            reach = order.cost / order.filled
        for one in self.live.values():
            maker = one.intent
            if maker.instrument != taker.instrument or maker.side is taker.side:
                continue
            if one.state is not OrderState.OPEN or maker.price is None:
                continue
            if reach is None or (
                maker.price <= reach if taker.side is Side.BUY else maker.price >= reach
            ):
                return maker
        return None

    def _tell_met(self, order: LiveOrder, state: VenueOrder, maker: Intent) -> str:
        """Why the venue ended it, which no venue tells."""
        intent = order.intent
        own = f"{maker.side} {maker.quantity} at {maker.price} ({maker.client_order_id})"
        self._shared.tell(
            MET_OWN,
            intent.instrument,
            intent.client_order_id,
            f"{intent.side} {intent.quantity}, filled {order.filled}, beside its own {own}",
            state.state.value,
            "the venue ended it, as it would have traded with an order of its own account",
        )
        return f"{MET_OWN}: ended by the venue, as it would have traded with our own {own}"

    def _synthesise(self, order: LiveOrder, state: VenueOrder) -> VenueFill:
        """The execution that explains the change of the executed quantity."""
        intent = order.intent
        quantity = state.filled - order.filled
        price = self._price_of_change(order, state, quantity)
        fee = self._fee_of_change(order, state, quantity, price)
        return VenueFill(
            venue_order_id=state.venue_order_id,
            trade_id=f"{state.venue_order_id}-{state.filled.normalize():f}",
            instrument=intent.instrument,
            side=intent.side,
            quantity=quantity,
            price=price,
            fee=fee.amount,
            fee_currency=fee.currency,
            client_order_id=intent.client_order_id,
            ts_event=self._now_ns(),
            synthetic=True,
        )

    def _price_of_change(self, order: LiveOrder, state: VenueOrder, quantity: Decimal) -> Decimal:
        """Average price of the new part; clamped to the limit, as the venue may round averages."""
        if state.avg_price is None:
            assert order.intent.price is not None, "a fill without any price"
            return order.intent.price
        price = (state.avg_price * state.filled - order.cost) / quantity
        limit = order.intent.price
        if limit is None:
            return price if price > 0 else state.avg_price
        return min(price, limit) if order.intent.side is Side.BUY else max(price, limit)

    def _fee_of_change(
        self, order: LiveOrder, state: VenueOrder, quantity: Decimal, price: Decimal
    ) -> Fee:
        """What the new part has cost: by the venue's word of the whole order, else by its table."""
        intent, told = order.intent, state.fees
        if told is not None:
            fills = self._journal.fills_of(intent.client_order_id)
            booked = (fill.fee for fill in fills if fill.fee_currency == told.currency)
            return Fee(told.amount - sum(booked, Decimal(0)), told.currency)
        fee = self._venue.fee(intent.instrument, intent.side, quantity, price)
        if self._can.order_fees:
            self._shared.tell(
                FEE_ASSUMED,
                intent.instrument,
                intent.client_order_id,
                f"{fee.amount:f} {fee.currency} for {quantity} @ {price}",
                "does not tell what the order has paid",
                "booked by the table of rates; what is told later of this order corrects it",
            )
        return fee

    def _lacks_fee(self, order: LiveOrder, state: VenueOrder, *, is_read: bool) -> bool:
        """Whether what is newly executed waits: its fee is told by a read only."""
        if not self._can.order_fees:
            return False
        if state.fees is not None:
            order.fill_lag = 0
            return False
        if is_read:
            self._count_lag(order)
        return not self._are_fills_missing(order)

    @staticmethod
    def _count_lag(order: LiveOrder) -> None:
        """A read lacked what the order's state says has happened."""
        if order.fill_lag == 0:
            order.fill_lag_since = asyncio.get_running_loop().time()
        order.fill_lag += 1

    def fill(self, order: LiveOrder, fill: VenueFill) -> None:
        intent = order.intent
        base_fee = Decimal(0)
        if fill.fee_currency == self._shared.base_currency(intent.instrument):
            base_fee = fill.fee
        owner = self._journal.order_by_venue_id(fill.instrument, fill.venue_order_id)
        if owner is not None and owner != intent.client_order_id:
            return  # of another order that has the id by now: booked there
        told: list[Finding] = []

        def findings(booked: VenueFill) -> list[Finding]:
            told.extend(self._findings_of(order, fill, booked))
            return told

        booked = self._journal.fill(intent, fill, base_fee, findings)
        if booked is None:
            return  # the same trade again: a replay, or REST after a push
        for finding in told:
            self._sink.finding(finding)
        fill = booked
        order.filled += fill.quantity
        order.cost += fill.quantity * fill.price
        if order.old_ids:  # the last of a chain may be open still: the venue tells when it is over
            self._shared.poll_now.set()
        elif order.filled >= intent.quantity:
            self._journal.state(intent.client_order_id, OrderState.FILLED, None)
            self.finish(order, OrderState.FILLED)
        self._sink.order_filled(intent, fill)
        self._shared.balances_now.set()

    def _findings_of(
        self, order: LiveOrder, fill: VenueFill, booked: VenueFill
    ) -> Iterator[Finding]:
        """What there is to tell of an execution, as the venue told it and as it is booked."""
        intent = order.intent
        if booked.trade_id != fill.trade_id and not order.is_reuse_told:
            order.is_reuse_told = True
            yield self._shared.finding(
                ID_REUSED,
                fill.instrument,
                fill.trade_id,
                "an execution of another order",
                f"told of {intent.client_order_id} too",
                "the venue gives ids twice (was it reset?); booked as an execution of its own",
            )
        if order.filled + booked.quantity > intent.quantity:
            yield self._shared.finding(
                "OVERFILL",
                intent.instrument,
                intent.client_order_id,
                f"filled {order.filled} of {intent.quantity}",
                f"another {booked.quantity} (trade {booked.trade_id})",
                "booked, and the instrument is halted",
            )

    def _are_fills_missing(self, order: LiveOrder) -> bool:
        """Whether enough reads, over longer than the venue can lag, brought no execution."""
        lag_secs = asyncio.get_running_loop().time() - order.fill_lag_since
        return order.fill_lag >= FILL_LAG_READS and lag_secs >= self._can.max_order_lag_secs

    def may_be_unbooked(self, order: LiveOrder) -> bool:
        """Whether the order may have moved the account by what is not booked yet.

        An execution that the venue tells in the order's state and never lists does not count
        for ever.
        """
        if order.is_held:
            return False
        if not order.is_proven or order.replacing is not None:
            return True
        if (order.misses or order.is_missing) and not order.is_forgotten:
            return True
        if not (self._can.reports_fills or self._can.order_fees):
            return False
        is_told = order.told_filled > order.filled and not self._are_fills_missing(order)
        return is_told or order.owes_read or order.reading is not None

    def fetch_fills(self, order: LiveOrder) -> None:
        """One read at a time: several at once would tell no more than one."""
        if self._can.reports_fills and order.reading is None:
            order.owes_read = False
            order.reading = self._shared.spawn(self.read_fills(order), "read fills")

    async def read_fills(self, order: LiveOrder) -> None:
        """An answer that is lost tells nothing of the executions, and counts as no read."""
        before = order.filled
        is_of_end = order.end_reads is not None
        try:
            fills = await self._venue.fills(order.refs(), order.ts_sent)
        except VenueUnavailable as error:
            self._shared.away.failed("executions", error)
            order.owes_read = True
        else:
            self._shared.away.answered("executions")
            if is_of_end:
                order.end_reads = (order.end_reads or 0) + 1
            for fill in fills:
                if order.intent.client_order_id in self.live:
                    self.fill(order, fill)
            if order.filled != before or order.told_filled <= order.filled:
                order.fill_lag = 0  # nothing was lacking
            else:
                self._count_lag(order)
        finally:
            order.reading = None
        self._shared.poll_now.set()

    def refuse(self, order: LiveOrder, code: str, message: str, evidence: object) -> None:
        cid = order.intent.client_order_id
        is_unsent = code in _UNSENT or (isinstance(evidence, Refused) and not evidence.is_sent)
        kind = "RELEASE_UNSENT" if is_unsent else "RELEASE_REFUSED"
        if self.kept_back(order, "RELEASE_ABSENT" if code == ABSENT else kind, code, evidence):
            return
        self._journal.state(cid, OrderState.REFUSED, evidence)
        self.finish(order, OrderState.REFUSED)
        self._sink.order_refused(order.intent, code, message, self._now_ns())

    def finish(self, order: LiveOrder, state: OrderState) -> None:
        order.state = state
        self.live.pop(order.intent.client_order_id, None)
        if order.venue_order_id is not None:
            key = (order.intent.instrument, order.venue_order_id)
            if self.by_venue_id.get(key) == order.intent.client_order_id:
                del self.by_venue_id[key]
        order.settled.set()
        self.count_unknown()

    def count_unknown(self) -> None:
        """Tell how many outcomes nothing proves now, when that has changed."""
        count = sum(order.state is OrderState.UNKNOWN for order in self.live.values())
        if count != self._unknown_count:
            self._unknown_count = count
            if self._on_unknown is not None:
                self._on_unknown(count)
