"""Trading: fill-or-kill intents to requests, answers to outcomes (sections 3, 5, 6).

No create is ever repeated. The create's answer is final and holds the executions; one that is lost
is looked for by client order id, whose echo may be longer than what was sent.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Collection, Container, Mapping, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Literal

import msgspec

from fairlead.adapters.base.outcomes import create_outcome, reading
from fairlead.adapters.base.venue import ParseError, VenueError, VenueErrorKind, VenueInstrument
from fairlead.adapters.zerocap import parse
from fairlead.adapters.zerocap import schemas as s
from fairlead.adapters.zerocap.config import ZerocapOptions
from fairlead.adapters.zerocap.errors import CODE
from fairlead.adapters.zerocap.http import MAX_PAGE, NewOrder, ZerocapHttp
from fairlead.adapters.zerocap.parse import Source
from fairlead.adapters.zerocap.purse import Purse
from fairlead.adapters.zerocap.websocket import Ladders
from fairlead.engine.orders.model import (
    Absent,
    Accepted,
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
    Unknown,
    Unsure,
    VenueBalance,
    VenueFill,
    VenueOrder,
    VenueUnavailable,
)

MAX_PAGES = 100
IDLE_PAGES = 2  # without news in a row: then a list ends
MAX_SENT_IDS = 100_000
BATCH_QUERY_MAX = 50
MAX_ECHO_MORE = 8  # characters that an echo of a client order id may have more
MAX_KEPT_FILLS = 1_000  # orders whose executions are kept from their answers
# What the venue keeps may be stamped this much before our time of sending: whole seconds, and
# clocks that are set while we run. Orders are told apart by id: a wide window costs nothing.
FIND_SKEW_SECS = 120
_RELEASE = re.compile(r"-r\d\d")  # what a later release has after the id (`Intent.sent_id`)
_KINDS: Mapping[Kind, Literal["limit", "market"]] = {Kind.LIMIT: "limit", Kind.MARKET: "market"}


def unsupported(intent: Intent) -> Refused | None:
    """A refusal by name for what the venue can't do (section 6), or None."""
    reason = ""
    if intent.kind not in _KINDS:
        reason = f"{intent.kind} orders"
    elif intent.kind is Kind.LIMIT and intent.time_in_force is not Tif.FOK:
        reason = f"time in force {intent.time_in_force} (expected FOK)"
    elif intent.post_only:
        reason = "post-only"
    if not reason:
        return None
    return Refused(f"{CODE}-UNSUPPORTED", f"the venue has no {reason}; not sent")


def is_echo(told: str, sent: str) -> bool:
    """Whether a client order id that the venue tells is the one that was sent (section 5).

    A later release of the same held order has a longer id too, and is another order.
    """
    more = told.removeprefix(sent) if told.startswith(sent) else None
    return more is not None and len(more) <= MAX_ECHO_MORE and _RELEASE.match(more) is None


def owner_of(told: str, sent: Container[str]) -> str | None:
    """Whose echo a client order id is: the longest of those that were sent (section 5).

    So of two ids of which one begins the other, each has its own order.
    """
    for more in range(min(MAX_ECHO_MORE, len(told)) + 1):
        name = told[: len(told) - more]
        if name in sent and is_echo(told, name):
            return name
    return None


class _Pages:
    """The rows of a list that comes in pages. It is whole when all that it says it has were seen.

    Dialect A calls the first page 0, and C 1 (section 3). A venue that counts from the other, or
    calls both the first, is read whole too: a page without news is not the end.
    """

    def __init__(self, first: int, wanted: Collection[str]) -> None:
        self.rows: dict[str, s.OrderRow] = {}
        self.total: int | None = None
        self.page: int | None = first  # to be asked for next; None: none is left
        self._asked: set[int] = set()
        self._wanted = wanted
        self._idle = 0  # pages in a row that told nothing new

    def told(self, found: s.OrderPage) -> bool:
        """Whether nothing more need be asked. Raises ParseError for a row without an id."""
        before = len(self.rows)
        for row in found.order_list:
            name = row.id or row.order_id
            if not name:
                raise ParseError("orders", "expected an id of each order, received none")
            self.rows[name] = row
        if found.total is not None:
            self.total = max(found.total, self.total or 0)
        if self._wanted and all(name in self.rows for name in self._wanted):
            return True
        if self.is_whole and len(found.order_list) < MAX_PAGE:
            return True
        self._next(is_news=len(self.rows) > before)
        return False

    @property
    def is_whole(self) -> bool:
        return self.total is not None and len(self.rows) >= self.total

    def _next(self, *, is_news: bool) -> None:
        assert self.page is not None
        self._asked.add(self.page)
        self._idle = 0 if is_news else self._idle + 1
        if self._idle < IDLE_PAGES:
            self.page = max(self._asked) + 1
        else:
            self.page = 0 if 0 not in self._asked else None


class ZerocapOrders:
    """`VenueOrders` of one account."""

    def __init__(
        self,
        http: ZerocapHttp,
        options: ZerocapOptions,
        venue: str,
        instruments: Mapping[str, VenueInstrument],
        ladders: Ladders,
    ) -> None:
        self._http = http
        self._options = options
        self._venue = venue
        self._instruments = instruments
        self._ladders = ladders
        self._kept: OrderedDict[str, list[VenueFill]] = OrderedDict()  # by venue order id
        self._sent: OrderedDict[str, None] = OrderedDict()  # client order ids
        self._purse = Purse(options.balances, options.balances_at)

    # -- submit ------------------------------------------------------------------------------------

    async def submit(self, intents: Sequence[Intent]) -> list[Outcome]:
        """Send each intent once, one after the other; outcomes by position."""
        return [await self._submit(intent) for intent in intents]

    async def _submit(self, intent: Intent) -> Outcome:
        order = self._new_order(intent)
        if isinstance(order, Refused):
            return order
        self._sent[intent.sent_id] = None
        if len(self._sent) > MAX_SENT_IDS:
            self._sent.popitem(last=False)
        try:
            row = await self._http.create_order(order)
        except VenueError as e:
            return create_outcome(e)
        return self._outcome(row, intent)

    def _new_order(self, intent: Intent) -> NewOrder | Refused:
        facts = self._instruments.get(intent.instrument)
        if facts is None:
            return Refused(f"{CODE}-UNKNOWN-MARKET", f"no market {intent.instrument[:60]}")
        refusal = unsupported(intent)
        if refusal is not None:
            return refusal
        kind, price = _KINDS[intent.kind], intent.price
        if kind == "market" and self._options.dialect == "C":
            limit = self._market_limit(intent, facts)
            if isinstance(limit, Refused):
                return limit
            kind, price = "limit", limit
        if kind == "limit" and price is None:
            text = f"{intent.kind} order {intent.client_order_id} has no price; not sent"
            return Refused(f"{CODE}-INCOMPLETE", text)
        return NewOrder(
            symbol=facts.symbol,
            side="buy" if intent.side is Side.BUY else "sell",
            type=kind,
            amount=f"{intent.quantity:f}",
            price="0" if price is None else f"{price:f}",
            client_order_id=intent.sent_id,
        )

    def _market_limit(self, intent: Intent, facts: VenueInstrument) -> Decimal | Refused:
        """The tier's price, worse by the slippage that the config allows."""
        ladder = self._ladders.get(intent.instrument)
        price = None if ladder is None else ladder.price_for(intent.side, intent.quantity)
        if price is None:
            text = "no ladder covers the quantity now, and the venue has no market orders"
            return Refused(f"{CODE}-NO-LADDER", f"{text}; not sent")
        is_buy = intent.side is Side.BUY
        slippage = self._options.market_slippage * (1 if is_buy else -1)
        tick = Decimal(1).scaleb(-facts.price_precision)
        limit = (price * (1 + slippage)).quantize(tick, ROUND_CEILING if is_buy else ROUND_FLOOR)
        if limit > 0:
            return limit
        text = f"the tier's price {price} less the slippage {-slippage} is below one tick"
        return Refused(f"{CODE}-NO-LIMIT", f"{text}; not sent")

    def _outcome(self, row: s.OrderRow, intent: Intent) -> Outcome:
        """What the create's answer proves; it must be of this order."""
        told = row.client_order_id
        if told and owner_of(told, {*self._sent, intent.sent_id}) != intent.sent_id:
            return Unknown(f"{CODE}-ANSWER: of another client order id")
        try:
            order = self._named(parse.order(row, self._venue, Source.CREATE), intent)
            fills = parse.fills(row, self._venue, Source.CREATE)
        except ParseError as e:
            return Accepted(row.id) if row.id else Unknown(f"{CODE}-ANSWER: {e}")
        if not _is_of(order, intent):
            return Unknown(f"{CODE}-ANSWER: of an order with other fields")
        if order.state is OrderState.REFUSED:
            return Refused(f"{CODE}-REJECTED", order.reason or "the venue rejected the order")
        self._keep(order, fills)
        return Accepted(order.venue_order_id, order)

    @staticmethod
    def _named(order: VenueOrder, intent: Intent) -> VenueOrder:
        """Under our own id, and, of a market order of dialect C, as the kind that was asked for."""
        price = intent.price if intent.kind is Kind.MARKET else order.price
        return msgspec.structs.replace(
            order, client_order_id=intent.sent_id, kind=intent.kind, price=price
        )

    def _keep(self, order: VenueOrder, fills: list[VenueFill]) -> None:
        """Executions that explain all that is filled need not be asked for again."""
        self._purse.book(order, fills, self._instruments)
        if fills and sum(fill.quantity for fill in fills) == order.filled:
            self._kept[order.venue_order_id] = fills
            if len(self._kept) > MAX_KEPT_FILLS:
                self._kept.popitem(last=False)

    # -- cancel, replace ---------------------------------------------------------------------------

    async def cancel(self, refs: Sequence[OrderRef]) -> list[CancelOutcome]:
        """Nothing rests at the venue: an order is done when its create has answered."""
        refused = CancelRefused(f"{CODE}-FOK", "orders are fill-or-kill: none can be cancelled")
        return [refused] * len(refs)

    async def replace(self, ref: OrderRef, intent: Intent) -> Outcome:
        return Refused(f"{CODE}-UNSUPPORTED", "orders are fill-or-kill: none can be replaced")

    # -- read --------------------------------------------------------------------------------------

    async def find(
        self, intent: Intent, known: frozenset[str], ts_sent: int, slack_ns: int = 0
    ) -> FindResult:
        """Look for an order by its client order id, from the time of sending on."""
        return (await self.find_all([Lost(intent, known, ts_sent, slack_ns)]))[0]

    async def find_all(self, lost: Sequence[Lost]) -> list[FindResult]:
        """`find` for each; the list is read once, from the first send on."""
        offset = self._http.clock.offset
        behind_ns = 0 if offset is None else min(offset.low_ns, 0)
        first_ns = min((one.ts_sent for one in lost), default=0) + behind_ns
        start_ms = max(0, first_ns // parse.NS_PER_MS - FIND_SKEW_SECS * 1000)
        try:
            rows = await self._listed(start_ms=start_ms)
        except VenueUnavailable as e:
            return [Unsure(f"{e.code}: {e.message}")] * len(lost)
        names = {*self._sent, *(one.intent.sent_id for one in lost)}
        owners = [(owner_of(row.client_order_id, names), row) for row in rows]
        return [self._found(owners, one) for one in lost]

    def _found(self, owners: Sequence[tuple[str | None, s.OrderRow]], lost: Lost) -> FindResult:
        sent = lost.intent.sent_id
        named = [
            row
            for owner, row in owners
            if owner == sent and (row.id or row.order_id) not in lost.known
        ]
        exact = [row for row in named if row.client_order_id == sent]
        orders = []
        for row in exact or named:
            try:
                order = self._named(parse.order(row, self._venue, Source.FETCH), lost.intent)
            except ParseError as e:
                return Unsure(f"{CODE}-BAD-ANSWER: {e}")
            if _is_of(order, lost.intent):
                orders.append(order)
        if len(orders) > 1:
            text = f"{len(orders)} orders have the client order id {sent}"
            return Unsure(text, ambiguous=True, candidates=tuple(orders))
        if orders:
            return Found(orders[0])
        return Absent(
            f"{len(owners)} orders listed since it was sent; none has its client order id"
        )

    async def _listed(
        self, *, start_ms: int = 0, ids: str = "", status: str = "", wanted: Collection[str] = ()
    ) -> list[s.OrderRow]:
        """Every row of all pages, oldest first, or at least the wanted. Raises VenueUnavailable.

        A list of which less was seen than the venue says that there is proves of no order that it
        is not there: it is no list.
        """
        pages = _Pages(self._http.first_page, wanted)
        with reading(CODE):
            for _ in range(MAX_PAGES):
                if pages.page is None:
                    break
                # Oldest first: what is created meanwhile moves no page.
                found = await self._page(pages.page, start_ms=start_ms, ids=ids, status=status)
                if pages.told(found):
                    return list(pages.rows.values())
        if pages.page is None and pages.is_whole:
            return list(pages.rows.values())
        total = "no total" if pages.total is None else f"a total of {pages.total}"
        text = f"expected all orders, received {len(pages.rows)} and {total}"
        raise VenueUnavailable(f"{CODE}-INCOMPLETE", text)

    async def _page(self, page: int, *, start_ms: int, ids: str, status: str) -> s.OrderPage:
        try:
            return await self._http.fetch_orders(
                start_ms=start_ms, ids=ids, status=status, page=page, sort_order="asc"
            )
        except VenueError as e:
            if page or e.kind is not VenueErrorKind.REFUSED:
                raise
            return s.OrderPage(order_list=[])  # it has no page 0

    async def orders(self, refs: Sequence[OrderRef]) -> list[VenueOrder]:
        """Current states by venue order id; one that the venue doesn't list is left out."""
        return [order for _, order in await self._by_id(refs)]

    async def _by_id(self, refs: Sequence[OrderRef]) -> list[tuple[s.OrderRow, VenueOrder]]:
        wanted = {ref.venue_order_id: ref for ref in refs if ref.venue_order_id}
        names, found = list(wanted), []
        for start in range(0, len(names), BATCH_QUERY_MAX):
            part = names[start : start + BATCH_QUERY_MAX]
            for row in await self._listed(ids=",".join(part), wanted=part):
                ref = wanted.get(row.id or row.order_id)
                if ref is None:
                    continue  # a venue that ignores `ids` tells of others too
                with reading(CODE):
                    order = parse.order(row, self._venue, Source.FETCH)
                named = msgspec.structs.replace(order, client_order_id=ref.client_order_id)
                found.append((row, named))
        return found

    async def open_orders(self, instruments: Sequence[str]) -> list[VenueOrder]:
        """Orders in flight; normally none."""
        rows = await self._listed(status="open")
        with reading(CODE):
            found = [parse.order(row, self._venue, Source.FETCH) for row in rows]
        return [
            order
            for order in found
            if order.instrument in instruments and not order.state.is_terminal
        ]

    async def fills(self, refs: Sequence[OrderRef], ts_from: int) -> list[VenueFill]:
        """Executions of the named orders: from their answers where they were told, else fetched."""
        kept = [ref for ref in refs if ref.venue_order_id in self._kept]
        found = [fill for ref in kept for fill in self._kept[ref.venue_order_id or ""]]
        for row, order in await self._by_id([ref for ref in refs if ref not in kept]):
            with reading(CODE):
                fills = parse.fills(row, self._venue, Source.FETCH)
            self._keep(order, fills)
            found += fills
        return found

    async def balances(self) -> list[VenueBalance]:
        """By the config and the venue's list of executions in dialect A, asked for in C."""
        if self._options.dialect == "A":
            rows = await self._listed(start_ms=self._purse.from_ms)
            with reading(CODE):
                for row in rows:
                    order = parse.order(row, self._venue, Source.FETCH)
                    self._purse.seen(order, self._http.clock.now_ns())
                    fills = parse.fills(row, self._venue, Source.FETCH)
                    self._purse.book(order, fills, self._instruments)
            return self._purse.balances()
        with reading(CODE):
            return parse.balances(await self._http.balances(), self._options.balance_account)

    def fee(self, instrument: str, side: Side, quantity: Decimal, price: Decimal) -> Fee:
        """None is taken: the spread holds it (section 5)."""
        return Fee(Decimal(0), self._instruments[instrument].quote)


def _is_of(order: VenueOrder, intent: Intent) -> bool:
    """Whether an order has the fields that were asked for."""
    return (order.instrument, order.side, order.quantity) == (
        intent.instrument,
        intent.side,
        intent.quantity,
    )
