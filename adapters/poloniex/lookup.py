"""Reading orders and executions back (document sections 2, 2.2, 8). Raises VenueError."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence

from fairlead.adapters.base.venue import ParseError, VenueError, VenueErrorKind
from fairlead.adapters.poloniex import schemas as s
from fairlead.adapters.poloniex.http import MAX_HISTORY, MAX_OPEN_ORDERS, PoloniexHttp
from fairlead.adapters.poloniex.parse import MS, Names, account_fill, regular_order, smart_order
from fairlead.adapters.poloniex.requests import wire_id
from fairlead.adapters.poloniex.symbols import SMART, WireId, symbol_of
from fairlead.adapters.poloniex.tracking import Tracker
from fairlead.engine.orders.live import STOP_KINDS
from fairlead.engine.orders.model import (
    Absent,
    FindResult,
    Found,
    Intent,
    Lost,
    OrderRef,
    Unsure,
    VenueFill,
    VenueOrder,
)

MAX_PAGES = 20
# Before an order was sent, by a clock that may have been set since it was last measured. What else
# is in the history is told apart by its client order id, so that a wide window costs nothing.
HISTORY_MARGIN_MS = 120_000
ONE_BY_ONE = 3  # more regular orders than this are read from the open list first


class Lookup:
    """Finds orders by whichever id is known; smart orders with their children."""

    def __init__(self, *, http: PoloniexHttp, names: Names, tracker: Tracker) -> None:
        self._http = http
        self._names = names
        self._tracker = tracker

    # -- one order -----------------------------------------------------------------------------

    def regular(self, order: s.Order) -> VenueOrder:
        """Raises VenueError for an order that isn't what the document says."""
        try:
            return self._tracker.adopt(regular_order(order, self._names), is_smart_source=False)
        except ParseError as error:
            raise _misread(error) from error

    def smart(self, order: s.SmartOrder) -> VenueOrder:
        try:
            told = smart_order(order, self._names)
        except ParseError as error:
            raise _misread(error) from error
        child = order.triggered_order
        self._tracker.smart(told, child.id if child is not None else None)
        return told

    async def smart_by_id(self, venue_order_id: str) -> VenueOrder:
        """The smart order, its child's state once triggered (read anew: it moves on)."""
        found = await self._http.smart_order(order_id=venue_order_id.removeprefix(SMART))
        told = self.smart(found)
        if found.triggered_order is None or told.state.is_terminal:
            return told
        return self.regular(await self._http.order(order_id=found.triggered_order.id))

    async def by_wire(self, wire: WireId) -> VenueOrder | None:
        """By the client order id on the wire; None only if the venue says that there is none."""
        text = wire.text()
        if wire.condition is not None:
            smart = await _or_none(self._http.smart_order(client_order_id=text))
            if smart is not None:
                return self.smart(smart)
        regular = await _or_none(self._http.order(client_order_id=text))
        return None if regular is None else self.regular(regular)

    # -- a lost order --------------------------------------------------------------------------

    async def find(
        self, intent: Intent, known: frozenset[str], ts_sent: int, slack_ns: int = 0
    ) -> FindResult:
        """By client order id, then through the open orders and the history since it was sent."""
        return (await self.find_all([Lost(intent, known, ts_sent, slack_ns)]))[0]

    async def find_all(self, lost: Sequence[Lost]) -> list[FindResult]:
        """`find` for each; the lists of an instrument are read once, back to its first send."""
        results: dict[int, FindResult] = {}
        markets: dict[str, list[int]] = {}
        for index, one in enumerate(lost):
            try:
                found = await self._by_client_id(one)
            except VenueError as error:
                results[index] = Unsure(f"{error.code}: {error.message}")
                continue
            if found is not None:
                results[index] = Found(found)
            else:
                markets.setdefault(one.intent.instrument, []).append(index)
        for indexes in markets.values():
            try:
                listed = await self._listed([lost[index] for index in indexes])
            except VenueError as error:
                unsure = Unsure(f"{error.code}: {error.message}")
                results |= dict.fromkeys(indexes, unsure)
                continue
            results |= {index: _found_in(listed, lost[index]) for index in indexes}
        return [results[index] for index in range(len(lost))]

    async def _by_client_id(self, lost: Lost) -> VenueOrder | None:
        intent = lost.intent
        for wire in (*self._tracker.wires(intent.client_order_id), wire_id(intent)):
            found = await self.by_wire(wire)
            if found is not None and found.venue_order_id not in lost.known:
                return found
        return None

    async def _listed(self, lost: Sequence[Lost]) -> list[VenueOrder]:
        """Every order since the first of these, all of one instrument, was sent."""
        instrument = lost[0].intent.instrument
        symbol = symbol_of(instrument)
        start_ms = max(0, min(one.ts_sent for one in lost) // MS - HISTORY_MARGIN_MS)
        orders: list[VenueOrder] = []
        # First, so that children are told under their parents' ids.
        if any(one.intent.kind in STOP_KINDS for one in lost):
            smart = await self._http.smart_order_history(symbol=symbol, start_ms=start_ms)
            _check_whole(smart)
            orders += [self.smart(order) for order in smart]
        orders += await self.open_orders([instrument])
        history = await self._http.order_history(symbol=symbol, start_ms=start_ms)
        _check_whole(history)
        orders += [self.regular(order) for order in history]
        return orders

    # -- many ----------------------------------------------------------------------------------

    async def orders(self, refs: Sequence[OrderRef]) -> list[VenueOrder]:
        """Current states; an order that the venue doesn't know is left out."""
        found: list[VenueOrder] = []
        regular = [r for r in refs if r.venue_order_id and not r.venue_order_id.startswith(SMART)]
        listed: dict[str, VenueOrder] = {}
        if len(regular) > ONE_BY_ONE:
            symbols = sorted({r.instrument for r in regular})
            listed = {o.venue_order_id: o for o in await self._open_regular(symbols)}
        for ref in refs:
            order = listed.get(ref.venue_order_id or "")
            if order is None:
                order = await self._one(ref)
            if order is not None:
                found.append(order)
        return found

    async def _one(self, ref: OrderRef) -> VenueOrder | None:
        venue_id = ref.venue_order_id
        try:
            if venue_id is None:
                assert ref.client_order_id is not None, "an order is named by either id"
                wires = self._tracker.wires(ref.client_order_id)
                default = (WireId(client_order_id=ref.client_order_id),)
                for wire in wires or default:
                    order = await self.by_wire(wire)
                    if order is not None:
                        return order
                return None
            if venue_id.startswith(SMART):
                return await self.smart_by_id(venue_id)
            return self.regular(await self._http.order(order_id=venue_id))
        except VenueError as error:
            if error.kind is VenueErrorKind.NOT_FOUND:
                return None
            raise

    async def open_orders(self, instruments: Sequence[str]) -> list[VenueOrder]:
        """Regular and smart, without a child beside its parent."""
        regular = await self._open_regular(instruments)
        wanted = set(instruments)
        found = {order.venue_order_id: order for order in regular}
        waiting = await self._http.open_smart_orders(limit=MAX_OPEN_ORDERS)
        if len(waiting) >= MAX_OPEN_ORDERS:  # the list has no pages
            raise VenueError(
                VenueErrorKind.UNKNOWN,
                "POLONIEX-SMART-FULL",
                f"expected under {MAX_OPEN_ORDERS} smart orders that wait; the list may miss some",
            )
        for smart in waiting:
            order = self.smart(smart)
            if order.instrument in wanted and not order.state.is_terminal:
                found[order.venue_order_id] = order
        return list(found.values())

    async def _open_regular(self, instruments: Sequence[str]) -> list[VenueOrder]:
        found: list[VenueOrder] = []
        only = symbol_of(instruments[0]) if len(instruments) == 1 else None
        wanted = set(instruments)
        from_id: str | None = None
        for _ in range(MAX_PAGES):
            page = await self._http.open_orders(
                symbol=only, from_id=from_id, direction="NEXT" if from_id else None
            )
            for row in page:
                order = self.regular(row)
                if order.triggered and not order.venue_order_id.startswith(SMART):
                    order = await self._named_by_parent(row, order)
                if order.instrument in wanted:
                    found.append(order)
            if len(page) < MAX_OPEN_ORDERS:
                return found
            from_id = page[-1].id
        raise VenueError(
            VenueErrorKind.UNKNOWN, "POLONIEX-PAGES", f"more than {MAX_PAGES} pages of open orders"
        )

    async def _named_by_parent(self, row: s.Order, order: VenueOrder) -> VenueOrder:
        """A child that carries its parent's client id, after a restart: read the parent once."""
        parent = await _or_none(self._http.smart_order(client_order_id=row.client_order_id or ""))
        if parent is None:
            return order  # a stop sent as a plain LIMIT, as its condition was true
        told = self.smart(parent)
        self._tracker.link(row.id, told.venue_order_id)
        return self.regular(row)

    async def fills(self, refs: Sequence[OrderRef]) -> list[VenueFill]:
        found: list[VenueFill] = []
        for ref in refs:
            venue_id = ref.venue_order_id
            if venue_id is None:
                continue
            order_id: str | None = venue_id
            if venue_id.startswith(SMART):
                if self._tracker.child_of(venue_id) is None:
                    await self.smart_by_id(venue_id)
                order_id = self._tracker.child_of(venue_id)
            if order_id is None:
                continue  # not triggered: nothing can be filled
            for trade in await self._http.order_trades(order_id):
                try:
                    found.append(account_fill(trade, self._names, venue_id))
                except ParseError as error:
                    raise _misread(error) from error
        return found


def _check_whole(page: Sequence[s.Order] | Sequence[s.SmartOrder]) -> None:
    """A full page of a history is no proof that an order is absent. Raises VenueError."""
    if len(page) >= MAX_HISTORY:
        raise VenueError(
            VenueErrorKind.UNKNOWN,
            "POLONIEX-HISTORY-FULL",
            f"expected under {MAX_HISTORY} orders since the send; the page may miss some",
        )


def _found_in(orders: Sequence[VenueOrder], lost: Lost) -> FindResult:
    """By the client order id under any suffix (replacements)."""
    fitting = {
        order.venue_order_id: order
        for order in orders
        if order.client_order_id == lost.intent.client_order_id
        and order.venue_order_id not in lost.known
    }
    if len(fitting) > 1:
        ids = ", ".join(sorted(fitting))[:120]
        return Unsure(f"orders {ids} have this client order id", ambiguous=True)
    if fitting:
        return Found(next(iter(fitting.values())))
    return Absent("not by client order id, not among open orders, not in the history")


def _misread(error: ParseError) -> VenueError:
    return VenueError(VenueErrorKind.UNKNOWN, "POLONIEX-BAD-ANSWER", str(error))


async def _or_none[T](asking: Awaitable[T]) -> T | None:
    """None when the venue says that there is no such order."""
    try:
        return await asking
    except VenueError as error:
        if error.kind is VenueErrorKind.NOT_FOUND:
            return None
        raise
