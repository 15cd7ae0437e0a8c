"""Trading: intents to requests, answers to outcomes (sections 1.2, 4, 6).

No create is ever repeated. What an answer doesn't prove is Unknown, and is found again by its
fields: the venue keeps no client order id.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Literal

import msgspec

from fairlead.adapters.base import lost as lost_orders
from fairlead.adapters.base.clock import Offset
from fairlead.adapters.base.decode import Answer
from fairlead.adapters.base.outcomes import batch_outcome, cancel_outcome, create_outcome, reading
from fairlead.adapters.base.venue import ParseError, VenueError, VenueErrorKind, VenueInstrument
from fairlead.adapters.oceanex import parse
from fairlead.adapters.oceanex import schemas as s
from fairlead.adapters.oceanex.http import MAX_FILTER_PAGE, NewOrder, OceanexHttp
from fairlead.engine.orders.live import STOP_KINDS
from fairlead.engine.orders.model import (
    Absent,
    Accepted,
    CancelAccepted,
    CancelOutcome,
    CancelRefused,
    Fee,
    FindResult,
    Intent,
    Kind,
    Lost,
    OrderRef,
    Outcome,
    Refused,
    Side,
    Tif,
    Unknown,
    Unsure,
    VenueBalance,
    VenueFill,
    VenueOrder,
    VenueUnavailable,
)
from fairlead.engine.orders.trigger import kind_for

BATCH_SUBMIT_MAX = 20
BATCH_CANCEL_MAX = 50
BATCH_QUERY_MAX = 50
MAX_PAGES = 100
PROBE_BEHIND, PROBE_AHEAD, PROBE_BATCH = 200, 800, 250  # ids around our newest one

# In the order an order passes through them: one that moves while it is looked for is met later.
STATES = ("wait_trigger", "wait", "cancelling", "done", "cancel")
OPEN_STATES = ("wait_trigger", "wait", "cancelling")
# `/orders/filter` documents wait, done and cancel only; the others may be refused (4.7).
_UNDOCUMENTED = frozenset({"wait_trigger", "cancelling"})

_row = Answer(s.Order)


def new_order(intent: Intent, market: str) -> NewOrder:
    """An intent as the venue's `data`; both stop fields are sent always (section 6)."""
    side: Literal["buy", "sell"] = "buy" if intent.side is Side.BUY else "sell"
    volume = f"{intent.quantity:f}"
    if intent.kind is Kind.MARKET:
        return NewOrder(market=market, side=side, volume=volume, ord_type="market")
    if intent.price is None:
        raise ValueError(f"{intent.kind} order {intent.client_order_id} has no price")
    price = f"{intent.price:f}"
    if intent.kind is Kind.LIMIT:
        return NewOrder(market=market, side=side, volume=volume, price=price, ord_type="limit")
    if intent.trigger_price is None or intent.trigger_condition is None:
        raise ValueError(f"{intent.kind} order {intent.client_order_id} has no trigger")
    return NewOrder(
        market=market,
        side=side,
        volume=volume,
        price=price,
        ord_type="stop_limit",
        stop_price=f"{intent.trigger_price:f}",
        trigger_condition="gte" if intent.trigger_condition == "gte" else "lte",
    )


def unsupported(intent: Intent) -> Refused | None:
    """A refusal for what the venue can't do (section 5), or None.

    A reduce-only order goes out as a plain one: the risk gate holds that it reduces.
    """
    reason = ""
    if intent.time_in_force is not Tif.GTC and intent.kind is not Kind.MARKET:
        reason = f"time in force {intent.time_in_force} (expected GTC)"
    elif intent.post_only:
        reason = "post-only"
    elif (
        intent.kind in STOP_KINDS
        and intent.trigger_condition is not None
        and kind_for(intent.side, intent.trigger_condition) is not intent.kind
    ):
        reason = f"{intent.kind} {intent.side} with {intent.trigger_condition}"
    if not reason:
        return None
    return Refused("OCEANEX-UNSUPPORTED", f"the venue has no {reason}; not sent")


def matches(row: VenueOrder, intent: Intent) -> bool:
    """Whether a venue order has the fields of an intent (4.1).

    Trigger fields count where the venue tells them: its document doesn't promise them.
    """
    if row.side is not intent.side or row.quantity != intent.quantity:
        return False
    is_stop = intent.kind in STOP_KINDS
    if (row.kind in STOP_KINDS) != is_stop:
        return False
    if not is_stop and row.kind is not intent.kind:
        return False
    if intent.kind is not Kind.MARKET and row.price != intent.price:
        return False
    if row.trigger_price is not None and row.trigger_price != intent.trigger_price:
        return False
    return row.trigger_condition is None or row.trigger_condition == intent.trigger_condition


def _with_intent(order: VenueOrder, intent: Intent) -> VenueOrder:
    """Complete what the venue may leave out of a stop order by what was asked for."""
    if intent.kind not in STOP_KINDS:
        return order
    return msgspec.structs.replace(
        order,
        kind=intent.kind,
        trigger_price=order.trigger_price or intent.trigger_price,
        trigger_condition=order.trigger_condition or intent.trigger_condition,
    )


class _Listing(msgspec.Struct, frozen=True):
    """What the venue's lists of one instrument tell; `unlisted` are states it does not list."""

    rows: list[VenueOrder]
    unlisted: list[str]


class OceanexOrders:
    """`VenueOrders` of one account."""

    def __init__(
        self,
        http: OceanexHttp,
        instruments: Mapping[str, VenueInstrument],
        *,
        lists_triggers: bool = False,
    ) -> None:
        self._http = http
        self._instruments = instruments
        # Whether `/orders/filter` is known to list waiting triggers: told, or once seen (4.7). An
        # empty list of them proves nothing before.
        self._lists_triggers = lists_triggers

    # -- submit ------------------------------------------------------------------------------------

    async def submit(self, intents: Sequence[Intent]) -> list[Outcome]:
        """Send each intent once: one market's orders in one request; outcomes by position."""
        outcomes: dict[int, Outcome] = {}
        markets: dict[str, list[int]] = {}
        for index, intent in enumerate(intents):
            refusal = self._refusal(intent)
            if refusal is None:
                markets.setdefault(intent.instrument, []).append(index)
            else:
                outcomes[index] = refusal
        for indexes in markets.values():
            for start in range(0, len(indexes), BATCH_SUBMIT_MAX):
                part = indexes[start : start + BATCH_SUBMIT_MAX]
                batch = [intents[index] for index in part]
                answers = (
                    [await self._one(batch[0])] if len(batch) == 1 else await self._many(batch)
                )
                outcomes.update(zip(part, answers, strict=True))
        return [outcomes[index] for index in range(len(intents))]

    def _refusal(self, intent: Intent) -> Refused | None:
        instrument = self._instruments.get(intent.instrument)
        if instrument is None:
            return Refused("OCEANEX-UNKNOWN-MARKET", f"no market {intent.instrument[:60]}")
        refusal = unsupported(intent)
        if refusal is not None:
            return refusal
        try:
            new_order(intent, instrument.symbol)
        except ValueError as e:
            return Refused("OCEANEX-INCOMPLETE", f"{e}; not sent")
        return None

    def _symbol(self, instrument: str) -> str:
        return self._instruments[instrument].symbol

    async def _one(self, intent: Intent) -> Outcome:
        try:
            row = await self._http.create_order(new_order(intent, self._symbol(intent.instrument)))
        except VenueError as e:
            return create_outcome(e)
        try:
            order = _with_intent(parse.order(row, intent.instrument), intent)
        except ParseError:
            return Accepted(str(row.id))  # it has an id, so it exists; a query tells the rest
        return Accepted(order.venue_order_id, order)

    async def _many(self, intents: list[Intent]) -> list[Outcome]:
        """`/orders/multi`. How it fails in part is not documented, so only matched rows count."""
        instrument = intents[0].instrument
        orders = [new_order(intent, "") for intent in intents]
        try:
            rows = await self._http.create_orders(self._symbol(instrument), orders)
        except VenueError as e:
            return [batch_outcome(e)] * len(intents)
        found = [_readable(row, instrument) for row in rows]
        outcomes: list[Outcome | None] = [None] * len(intents)
        for index, intent in enumerate(intents):  # by position first, then by fields
            row = found[index] if index < len(found) else None
            if row is not None and matches(row, intent):
                outcomes[index] = _accepted(row, intent)
                found[index] = None
        for index, intent in enumerate(intents):
            if outcomes[index] is not None:
                continue
            for position, row in enumerate(found):
                if row is not None and matches(row, intent):
                    outcomes[index] = _accepted(row, intent)
                    found[position] = None
                    break
        unmatched = Unknown("OCEANEX-MULTI: no order of the answer has these fields")
        return [unmatched if outcome is None else outcome for outcome in outcomes]

    # -- cancel, replace ---------------------------------------------------------------------------

    async def cancel(self, refs: Sequence[OrderRef]) -> list[CancelOutcome]:
        """Ask for cancels; a cancel may be repeated, so a failed batch is tried one by one."""
        outcomes: dict[int, CancelOutcome] = {}
        sendable: list[int] = []
        for index, ref in enumerate(refs):
            if _order_id(ref) is None:  # the id is enough: no markets need to be known
                outcomes[index] = CancelRefused("OCEANEX-NO-ID", "no venue order id; not sent")
            else:
                sendable.append(index)
        for start in range(0, len(sendable), BATCH_CANCEL_MAX):
            part = sendable[start : start + BATCH_CANCEL_MAX]
            batch = [refs[index] for index in part]
            outcomes.update(zip(part, await self._cancel_batch(batch), strict=True))
        return [outcomes[index] for index in range(len(refs))]

    async def _cancel_batch(self, refs: list[OrderRef]) -> list[CancelOutcome]:
        if len(refs) == 1:
            return [await self._cancel_one(refs[0])]
        try:
            rows = await self._http.cancel_orders([int(ref.venue_order_id or 0) for ref in refs])
        except VenueError as e:
            if e.kind in (VenueErrorKind.REFUSED, VenueErrorKind.NOT_FOUND):
                # One order that is gone must not keep the others alive.
                return [await self._cancel_one(ref) for ref in refs]
            return [cancel_outcome(e)] * len(refs)
        by_id = {str(row.id): row for row in rows}
        missing = Unknown("OCEANEX-MULTI: the answer doesn't name this order")
        return [
            _cancelled(by_id[ref.venue_order_id or ""], ref.instrument)
            if ref.venue_order_id in by_id
            else missing
            for ref in refs
        ]

    async def _cancel_one(self, ref: OrderRef) -> CancelOutcome:
        try:
            row = await self._http.cancel_order(int(ref.venue_order_id or 0))
        except VenueError as e:
            return cancel_outcome(e)
        return _cancelled(row, ref.instrument)

    async def replace(self, ref: OrderRef, intent: Intent) -> Outcome:
        return Refused("OCEANEX-UNSUPPORTED", "the venue can't replace orders; not sent")

    # -- read --------------------------------------------------------------------------------------

    async def find(
        self, intent: Intent, known: frozenset[str], ts_sent: int, slack_ns: int = 0
    ) -> FindResult:
        """Look through every state for an order with the intent's fields (4.1).

        Absent only when all states that could hold it were listed to the time of sending. A stop
        order that is not found is Unsure while the venue has never listed a waiting trigger.
        """
        return (await self.find_all([Lost(intent, known, ts_sent, slack_ns)]))[0]

    async def find_all(self, lost: Sequence[Lost]) -> list[FindResult]:
        """`find` for each; the lists of an instrument are read once, back to its first send."""

        async def look(offset: Offset) -> list[FindResult]:
            return await self._look(lost, offset)

        return await lost_orders.looked(self._http.clock, lost, look)

    async def _look(self, lost: Sequence[Lost], offset: Offset) -> list[FindResult]:
        markets: dict[str, list[int]] = {}
        for index, one in enumerate(lost):
            markets.setdefault(one.intent.instrument, []).append(index)
        results: dict[int, FindResult] = {}
        for instrument, indexes in markets.items():
            listing: _Listing | Unsure
            if instrument not in self._instruments:
                listing = Unsure(f"no market {instrument[:60]}")
            else:
                first_ns = lost_orders.listed_since_ns([lost[i] for i in indexes], offset)
                listing = await self._list(instrument, first_ns)
            for index in indexes:
                results[index] = (
                    listing
                    if isinstance(listing, Unsure)
                    else await self._find_in(listing, lost[index], offset)
                )
        return [results[index] for index in range(len(lost))]

    async def _list(self, instrument: str, since_ns: int) -> _Listing | Unsure:
        """Every order since then, in the order in which it may pass through the states."""
        found, unlisted = [], []
        try:
            for state in STATES:
                rows, is_listed = await self._listed(instrument, state, since_ns)
                found += rows
                if not is_listed:
                    unlisted.append(state)
        except VenueUnavailable as e:
            return Unsure(str(e))
        return _Listing(found, unlisted)

    async def _find_in(self, listing: _Listing, lost: Lost, offset: Offset) -> FindResult:
        intent = lost.intent
        rows = [_with_intent(row, intent) for row in listing.rows if matches(row, intent)]
        found = lost_orders.chosen(rows, lost, offset)
        may_hide = intent.kind in STOP_KINDS and not self._lists_triggers
        if found is None and may_hide:
            near = await self._near(intent, lost.known)
            found = lost_orders.chosen(near, lost, offset)
        if found is not None:
            return found
        if may_hide:
            return Unsure("OCEANEX-TRIGGERS-HIDDEN: it may wait for its trigger, unlisted")
        states = ", ".join(state for state in STATES if state not in listing.unlisted)
        return Absent(
            f"none of {len(listing.rows)} orders of {intent.instrument} since "
            f"{lost_orders.since_ns(lost, offset)} ns in states {states} has these fields"
        )

    async def _near(self, intent: Intent, known: frozenset[str]) -> list[VenueOrder]:
        """Ask for the ids around our newest one: `GET /orders` tells waiting triggers too.

        Ids count up over the whole venue, and others' orders are left out of the answer. What is
        found is the order; what is not found proves nothing.
        """
        symbol = self._symbol(intent.instrument)
        newest = max((int(one) for one in known if one.isdigit()), default=0)
        if not newest:
            return []
        ids = [
            one
            for one in range(max(1, newest - PROBE_BEHIND), newest + PROBE_AHEAD)
            if str(one) not in known
        ]
        found: list[VenueOrder] = []
        for start in range(0, len(ids), PROBE_BATCH):
            try:
                rows = await self._http.orders(ids[start : start + PROBE_BATCH])
                states = [
                    parse.order(row, intent.instrument) for row in rows if row.market == symbol
                ]
            except (VenueError, ParseError):
                return found  # a look that failed is a look that found nothing more
            found += [_with_intent(state, intent) for state in states if matches(state, intent)]
        return found

    async def _listed(
        self, instrument: str, state: str, since_ns: int
    ) -> tuple[list[VenueOrder], bool]:
        """All orders of one state back to `since_ns`, and whether the venue lists the state.

        Raises VenueUnavailable.
        """
        symbol = self._symbol(instrument)
        orders: dict[str, VenueOrder] = {}
        is_listed = False
        for page in range(1, MAX_PAGES + 1):
            with reading("OCEANEX"):
                try:
                    groups = await self._http.orders_filter(symbol, states=[state], page=page)
                except VenueError as e:
                    if e.kind is VenueErrorKind.REFUSED and state in _UNDOCUMENTED and page == 1:
                        return [], False
                    raise
                group = next((group for group in groups if group.state == state), None)
                rows = [parse.order(row, instrument) for row in group.orders] if group else []
            if group is None:
                if page == 1 and state not in _UNDOCUMENTED:
                    raise VenueUnavailable(
                        "OCEANEX-BAD-ANSWER", f"expected orders in state {state}, received none"
                    )
                return list(orders.values()), is_listed
            is_listed = True
            if rows and state == "wait_trigger":
                self._lists_triggers = True
            fresh = [row for row in rows if row.venue_order_id not in orders]
            orders.update({row.venue_order_id: row for row in fresh})
            # A short page may still be followed by another: only an empty one is the end (1.2).
            if not fresh or any(0 < row.ts_created < since_ns for row in rows):
                return list(orders.values()), True
        raise VenueUnavailable(
            "OCEANEX-PAGES", f"more than {MAX_PAGES} pages of {MAX_FILTER_PAGE} orders in {state}"
        )

    async def orders(self, refs: Sequence[OrderRef]) -> list[VenueOrder]:
        """Current states by id, in batches. Raises VenueUnavailable."""
        named = {ref.venue_order_id: ref for ref in refs if _order_id(ref) is not None}
        ids = [int(venue_id) for venue_id in named if venue_id is not None]
        found: list[VenueOrder] = []
        for start in range(0, len(ids), BATCH_QUERY_MAX):
            for row in await self._query(ids[start : start + BATCH_QUERY_MAX]):
                if (ref := named.get(str(row.id))) is not None:
                    with reading("OCEANEX"):
                        found.append(parse.order(row, ref.instrument))
        return found

    async def _query(self, ids: list[int]) -> list[s.Order]:
        with reading("OCEANEX"):
            try:
                return await self._http.orders(ids)
            except VenueError as e:
                if e.kind is not VenueErrorKind.NOT_FOUND:
                    raise
        if len(ids) == 1:
            return []
        # One unknown id may have failed the batch; ask for each.
        return [row for each in ids for row in await self._query([each])]

    async def open_orders(self, instruments: Sequence[str]) -> list[VenueOrder]:
        """Orders that are not terminal, triggers too where the venue lists them (4.7).

        Raises VenueUnavailable.
        """
        orders: dict[str, VenueOrder] = {}
        for instrument in instruments:
            if instrument not in self._instruments:
                raise VenueUnavailable("OCEANEX-UNKNOWN-MARKET", f"no market {instrument[:60]}")
            for state in OPEN_STATES:
                rows, _ = await self._listed(instrument, state, 0)
                orders.update({row.venue_order_id: row for row in rows})
        return [order for order in orders.values() if not order.state.is_terminal]

    async def fills(self, refs: Sequence[OrderRef], ts_from: int) -> list[VenueFill]:
        """Always empty: REST tells no executions (4.8)."""
        return []

    async def balances(self) -> list[VenueBalance]:
        """Raises VenueUnavailable."""
        with reading("OCEANEX"):
            return parse.balances(await self._http.member())

    def fee(self, instrument: str, side: Side, quantity: Decimal, price: Decimal) -> Fee:
        """Per side: a buyer pays in base, a seller in quote (1.1)."""
        return self._instruments[instrument].fee(side, quantity, price)


def _order_id(ref: OrderRef) -> int | None:
    text = ref.venue_order_id or ""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 19 else None


def _readable(raw: msgspec.Raw, instrument: str) -> VenueOrder | None:
    try:
        return parse.order(_row(raw), instrument)
    except ParseError:
        return None  # a row that isn't an order is an order that wasn't made, or an error: unknown


def _accepted(order: VenueOrder, intent: Intent) -> Accepted:
    return Accepted(order.venue_order_id, _with_intent(order, intent))


def _cancelled(row: s.Order, instrument: str) -> CancelOutcome:
    try:
        return CancelAccepted(parse.order(row, instrument))
    except ParseError:
        return CancelAccepted()  # taken; the state is told by a query
