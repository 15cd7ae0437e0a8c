"""Trading: intents to requests, answers to outcomes, lists to states (sections 3.2, 4 and 6).

No create is ever repeated. What an answer doesn't prove is Unknown, and is found again by its
fields: the venue keeps no client order id.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from decimal import Decimal

import msgspec

from fairlead.adapters.base import lost as lost_orders
from fairlead.adapters.base.clock import Offset
from fairlead.adapters.base.outcomes import cancel_outcome, create_outcome, reading
from fairlead.adapters.base.venue import ParseError, VenueError, VenueErrorKind, VenueInstrument
from fairlead.adapters.piexgo import parse
from fairlead.adapters.piexgo import schemas as s
from fairlead.adapters.piexgo.config import PiexgoOptions
from fairlead.adapters.piexgo.errors import is_undocumented
from fairlead.adapters.piexgo.http import MAX_CANCELS, NewOrder, PiexgoHttp
from fairlead.adapters.piexgo.symbols import rest_symbol
from fairlead.adapters.piexgo.websocket import EarlyOrders, LastPrices
from fairlead.engine.orders.model import (
    Absent,
    Accepted,
    CancelAccepted,
    CancelOutcome,
    CancelRefused,
    Fee,
    FindResult,
    Found,
    Intent,
    Kind,
    Lost,
    OrderRef,
    OrderState,
    Outcome,
    Refused,
    Side,
    Tif,
    Unsure,
    VenueBalance,
    VenueFill,
    VenueOrder,
    VenueUnavailable,
)
from fairlead.engine.orders.trigger import default_condition

BATCH_QUERY_MAX = 50
MAX_PAGES = 200
OPEN_PASSES = 4  # over more than one page of open orders, until none is new
# How a history is ordered is not documented. Where it is by when orders ended, those that were open
# when the lost one was sent may stand before it: so many older rows are read on.
OPEN_AT_ONCE_MAX = 200
EXACT_PAGES = 5  # of a history, for the exact amount of an order that ended long ago
MAX_PAID = 10_000  # orders whose fee is remembered, so that each is asked for once a change

KINDS = frozenset({Kind.LIMIT, Kind.MARKET, Kind.STOP_LIMIT})
_TYPES = {Kind.LIMIT: "LIMIT", Kind.MARKET: "MARKET", Kind.STOP_LIMIT: "STOP_LIMIT"}

Pages = Callable[[int], Awaitable[s.OrderPage]]


def new_order(intent: Intent, symbol: str) -> NewOrder:
    """Raises ValueError for an intent without what its kind needs."""
    if intent.kind is not Kind.MARKET and intent.price is None:
        raise ValueError(f"{intent.kind} order {intent.client_order_id} has no price")
    is_stop = intent.kind is Kind.STOP_LIMIT
    if is_stop and intent.trigger_price is None:
        raise ValueError(f"{intent.kind} order {intent.client_order_id} has no trigger")
    return NewOrder(
        symbol=symbol,
        side="BUY" if intent.side is Side.BUY else "SELL",
        type=_TYPES[intent.kind],  # type: ignore[arg-type]
        quantity=f"{intent.quantity:f}",
        price=None if intent.kind is Kind.MARKET else f"{intent.price:f}",
        stop_price=f"{intent.trigger_price:f}" if is_stop else None,
    )


def unsupported(intent: Intent, market_buy: str = "base") -> Refused | None:
    """A refusal for what the venue can't do (section 5), or None.

    A reduce-only order goes out as a plain one: the risk gate holds that it reduces.
    """
    reason = ""
    if intent.kind not in KINDS:
        reason = f"{intent.kind}"
    elif intent.time_in_force is not Tif.GTC and intent.kind is not Kind.MARKET:
        reason = f"time in force {intent.time_in_force} (expected GTC)"
    elif intent.post_only:
        reason = "post-only"
    elif (
        intent.kind is Kind.STOP_LIMIT
        and intent.trigger_condition is not None
        and intent.trigger_condition is not default_condition(intent.side)
    ):
        reason = f"{intent.kind} {intent.side} with {intent.trigger_condition}"
    elif intent.kind is Kind.MARKET and intent.side is Side.BUY and market_buy == "refuse":
        reason = "market buy whose size is known to be base (option market_buy)"
    if not reason:
        return None
    return Refused("PIEXGO-UNSUPPORTED", f"the venue has no {reason}; not sent")


def is_passed(intent: Intent, last: Decimal | None) -> bool:
    """Whether a stop's trigger is behind the market, where the venue may read it the other way."""
    if intent.kind is not Kind.STOP_LIMIT or last is None or intent.trigger_price is None:
        return False
    trigger = intent.trigger_price
    return trigger <= last if intent.side is Side.BUY else trigger >= last


def matches(row: VenueOrder, intent: Intent) -> bool:
    """Whether a venue order has the fields of an intent (trap 9)."""
    if row.side is not intent.side or row.quantity != intent.quantity:
        return False
    if row.kind is not intent.kind or row.instrument != intent.instrument:
        return False
    if intent.kind is not Kind.MARKET and row.price != intent.price:
        return False
    return row.trigger_price is None or row.trigger_price == intent.trigger_price


def _with_intent(order: VenueOrder, intent: Intent) -> VenueOrder:
    """Complete what the venue does not tell of a stop by what was asked for."""
    if intent.kind is not Kind.STOP_LIMIT:
        return order
    return msgspec.structs.replace(
        order,
        trigger_price=order.trigger_price or intent.trigger_price,
        trigger_condition=intent.trigger_condition,
    )


class PiexgoOrders:
    """`VenueOrders` of one account."""

    def __init__(
        self,
        options: PiexgoOptions,
        http: PiexgoHttp,
        venue: str,
        instruments: Mapping[str, VenueInstrument],
        early: EarlyOrders,
        prices: LastPrices,
        now_ns: Callable[[], int],
    ) -> None:
        self._options = options
        self._http = http
        self._venue = venue
        self._instruments = instruments
        self._early = early
        self._prices = prices
        self._now_ns = now_ns
        # Whether open orders are known to list stops that wait: told, or once seen.
        self._lists_triggers = options.lists_triggers
        self._paid: OrderedDict[str, tuple[Decimal, Fee]] = OrderedDict()  # filled, and its fee

    # -- submit, cancel ----------------------------------------------------------------------------

    async def submit(self, intents: Sequence[Intent]) -> list[Outcome]:
        """Send each intent once, one after the other; outcomes by position."""
        return [await self._one(intent) for intent in intents]

    async def _one(self, intent: Intent) -> Outcome:
        refusal = self._refusal(intent)
        if refusal is not None:
            return refusal
        try:
            order = new_order(intent, self._instruments[intent.instrument].symbol)
        except ValueError as e:
            return Refused("PIEXGO-INCOMPLETE", f"{e}; not sent")
        try:
            created = await self._http.create_order(order)
        except VenueError as e:
            return create_outcome(e)
        self._early.named(created.order_id)
        return Accepted(created.order_id)  # a query, or an event that came before, tells the rest

    def _refusal(self, intent: Intent) -> Refused | None:
        if intent.instrument not in self._instruments:
            return Refused("PIEXGO-UNKNOWN-MARKET", f"no market {intent.instrument[:60]}")
        refusal = unsupported(intent, self._options.market_buy)
        if refusal is not None:
            return refusal
        last = self._prices.fresh(intent.instrument, self._now_ns())
        if is_passed(intent, last):
            return Refused(
                "PIEXGO-TRIGGER-PASSED",
                f"{intent.kind} {intent.side} at {intent.trigger_price}, last trade {last}: "
                "the venue may wait for it the other way; not sent",
            )
        return None

    async def cancel(self, refs: Sequence[OrderRef]) -> list[CancelOutcome]:
        """Ask for cancels, by market in lots of 50; what became of each, a query tells."""
        outcomes: dict[int, CancelOutcome] = {}
        markets: dict[str, list[int]] = {}
        for index, ref in enumerate(refs):
            symbol = _symbol(ref.instrument)
            if symbol is None or not ref.venue_order_id:
                outcomes[index] = CancelRefused("PIEXGO-NO-ID", "no venue order id; not sent")
            else:
                markets.setdefault(symbol, []).append(index)
        for symbol, indexes in markets.items():
            for start in range(0, len(indexes), MAX_CANCELS):
                part = indexes[start : start + MAX_CANCELS]
                ids = [refs[index].venue_order_id or "" for index in part]
                outcomes.update(zip(part, await self._cancel_lot(symbol, ids), strict=True))
        return [outcomes[index] for index in range(len(refs))]

    async def _cancel_lot(self, symbol: str, ids: list[str]) -> list[CancelOutcome]:
        if len(ids) == 1:
            return [await self._cancel_one(symbol, ids[0])]
        try:
            await self._http.cancel_orders(symbol, ids)
        except VenueError as e:
            if e.kind is VenueErrorKind.REFUSED and e.is_sent:
                # One order that is gone must not keep the others alive.
                return [await self._cancel_one(symbol, order_id) for order_id in ids]
            return [cancel_outcome(e)] * len(ids)
        return [CancelAccepted()] * len(ids)

    async def _cancel_one(self, symbol: str, order_id: str) -> CancelOutcome:
        try:
            await self._http.cancel_order(symbol, order_id)
        except VenueError as e:
            return cancel_outcome(e)
        return CancelAccepted()

    async def replace(self, ref: OrderRef, intent: Intent) -> Outcome:
        return Refused("PIEXGO-UNSUPPORTED", "the venue can't replace orders; not sent")

    # -- lists -------------------------------------------------------------------------------------

    def _parsed(self, page: s.OrderPage) -> list[VenueOrder]:
        """Raises ParseError: a list with a row that can't be read is not complete."""
        return [parse.order(row, self._venue) for row in page.orders]

    async def _open(self) -> dict[str, VenueOrder]:
        """Every open order of the account. Raises VenueUnavailable.

        While pages are read, an order that ends moves the others up, and one may be passed over:
        more than one page is read again until nothing new is met.
        """
        found: dict[str, VenueOrder] = {}
        with reading("PIEXGO"):
            for _ in range(OPEN_PASSES):
                known, pages = len(found), 0
                for number in range(MAX_PAGES):
                    page = await self._http.open_orders(number)
                    found |= {order.venue_order_id: order for order in self._parsed(page)}
                    pages = number + 1
                    if not page.next_page:
                        break
                else:
                    raise VenueUnavailable("PIEXGO-PAGES", f"more than {MAX_PAGES} pages are open")
                if pages == 1 or len(found) == known:
                    break
        if any(order.state is OrderState.WAITING for order in found.values()):
            self._lists_triggers = True
        return found

    async def _ended(self, pages: Pages, since_ns: int) -> list[VenueOrder]:
        """A history, newest first, back to what was created at `since_ns`.

        Raises VenueUnavailable.
        """
        found: list[VenueOrder] = []
        older, is_newest_first = 0, True
        for number in range(MAX_PAGES):
            with reading("PIEXGO"):
                page = await pages(number)
                rows = self._parsed(page)
            found += rows
            older += sum(0 < row.ts_created < since_ns for row in rows)
            if rows and rows[0].ts_created < rows[-1].ts_created:
                is_newest_first = False  # then the last page is the one that counts
            if not page.next_page or (is_newest_first and older >= OPEN_AT_ONCE_MAX):
                return found
        raise VenueUnavailable("PIEXGO-PAGES", f"more than {MAX_PAGES} pages in a history")

    @property
    def _histories(self) -> tuple[Pages, Pages]:
        return self._http.trade_order_history, self._http.canceled_order_history

    # -- read --------------------------------------------------------------------------------------

    async def find(
        self, intent: Intent, known: frozenset[str], ts_sent: int, slack_ns: int = 0
    ) -> FindResult:
        """Look through open orders and both histories for one with the intent's fields.

        Absent only when all three were listed back to the time of sending. A stop that is not found
        is Unsure while the venue has never listed one that waits.
        """
        return (await self.find_all([Lost(intent, known, ts_sent, slack_ns)]))[0]

    async def find_all(self, lost: Sequence[Lost]) -> list[FindResult]:
        """`find` for each; the lists are of the whole account, and read once."""

        async def look(offset: Offset) -> list[FindResult]:
            since_ns = lost_orders.listed_since_ns(lost, offset)
            # In the order in which an order passes through them: one that moves is met later.
            rows = list((await self._open()).values())
            for pages in self._histories:
                rows += await self._ended(pages, since_ns)
            return [self._find_in(rows, one, offset) for one in lost]

        results = await lost_orders.looked(self._http.clock, lost, look)
        for found in results:
            if isinstance(found, Found):
                self._early.named(found.order.venue_order_id)
        return results

    def _find_in(self, rows: Sequence[VenueOrder], lost: Lost, offset: Offset) -> FindResult:
        intent = lost.intent
        alike = [_with_intent(row, intent) for row in rows if matches(row, intent)]
        found = lost_orders.chosen(alike, lost, offset)
        if found is not None:
            return found
        if intent.kind is Kind.STOP_LIMIT and not self._lists_triggers:
            return Unsure("PIEXGO-TRIGGERS-HIDDEN: it may wait for its trigger, unlisted")
        return Absent(
            f"none of {len(rows)} orders, open or ended, since "
            f"{lost_orders.since_ns(lost, offset)} ns has these fields"
        )

    async def orders(self, refs: Sequence[OrderRef]) -> list[VenueOrder]:
        """Current states by id, with what each has paid. Raises VenueUnavailable.

        Lists tell the exact amount, and many orders at once; `orderInfo` tells the fee, and what
        has left their first pages.
        """
        wanted = {ref.venue_order_id: ref for ref in refs if ref.venue_order_id}
        for order_id in wanted:
            self._early.named(order_id)
        found: dict[str, VenueOrder] = {}
        for pages in (self._http.open_orders, *self._histories):
            if wanted.keys() <= found.keys():
                break
            with reading("PIEXGO"):
                rows = self._parsed(await pages(0))
            found |= {o.venue_order_id: o for o in rows if o.venue_order_id in wanted}
        whole = [await self._whole(ref, found.get(order_id)) for order_id, ref in wanted.items()]
        return [order for order in whole if order is not None]

    async def _whole(self, ref: OrderRef, row: VenueOrder | None) -> VenueOrder | None:
        """A list's row with the fee of just what it tells as filled; without it where the venue
        tells it of more by now, or none that can be read. What no list has, `orderInfo` tells.

        None where the venue does not know the order. Raises VenueUnavailable.
        """
        if row is not None:
            filled, fees = self._paid.get(row.venue_order_id, (None, None))
            if not row.filled or row.filled == filled:
                return msgspec.structs.replace(row, fees=fees)
        detail = await self._info(ref)
        if detail is None:
            return row
        try:
            told = parse.detail(detail, self._venue)
        except ParseError as e:
            if row is None:
                raise VenueUnavailable("PIEXGO-BAD-ANSWER", str(e)) from e
            return row
        if told.fees is not None:
            self._paid[told.venue_order_id] = told.filled, told.fees
            if len(self._paid) > MAX_PAID:
                self._paid.popitem(last=False)
        if row is None:
            row = await self._exact(told) if told.filled else told
        return msgspec.structs.replace(row, fees=told.fees) if row.filled == told.filled else row

    async def _info(self, ref: OrderRef) -> s.OrderDetail | None:
        """One order; None where the venue does not know it. Raises VenueUnavailable."""
        symbol = _symbol(ref.instrument)
        if symbol is None:
            return None
        with reading("PIEXGO"):
            try:
                return await self._http.order_info(symbol, ref.venue_order_id or "")
            except VenueError as e:
                if (e.kind is VenueErrorKind.REFUSED and e.is_sent) or is_undocumented(e):
                    return None
                raise

    async def _exact(self, told: VenueOrder) -> VenueOrder:
        """The same order from a list, whose average price is not rounded, if it is soon found."""
        for pages in (self._http.open_orders, *self._histories):
            for number in range(EXACT_PAGES):
                with reading("PIEXGO"):
                    page = await pages(number)
                    rows = self._parsed(page)
                for row in rows:
                    if row.venue_order_id == told.venue_order_id:
                        return row
                if not page.next_page:
                    break
        return told

    async def open_orders(self, instruments: Sequence[str]) -> list[VenueOrder]:
        """Orders that are not terminal, stops that wait too where the venue lists them.

        Raises VenueUnavailable.
        """
        for instrument in instruments:
            if instrument not in self._instruments:
                raise VenueUnavailable("PIEXGO-UNKNOWN-MARKET", f"no market {instrument[:60]}")
        found = await self._open()
        return [
            order
            for order in found.values()
            if order.instrument in instruments and not order.state.is_terminal
        ]

    async def fills(self, refs: Sequence[OrderRef], ts_from: int) -> list[VenueFill]:
        """Always empty: the venue tells no executions."""
        return []

    async def balances(self) -> list[VenueBalance]:
        """Raises VenueUnavailable."""
        with reading("PIEXGO"):
            return parse.balances(await self._http.account())

    def fee(self, instrument: str, side: Side, quantity: Decimal, price: Decimal) -> Fee:
        """At the taker's rate, for what the venue never told the fee of. A buyer pays in base."""
        facts = self._instruments[instrument]
        if side is Side.BUY:
            return Fee(quantity * facts.taker_fee, facts.base)
        return Fee(quantity * price * facts.taker_fee, facts.quote)


def _symbol(instrument: str) -> str | None:
    """The market of an instrument id; its id is enough, no markets need to be known."""
    try:
        return rest_symbol(instrument.rpartition(".")[0])
    except ParseError:
        return None
