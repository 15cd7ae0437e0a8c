"""Trading: fill-or-kill intents to requests, answers to outcomes (sections 3, 5, 6).

No create is ever repeated. The create's answer is final and holds the executions; one that is lost
is looked for by client order id, whose echo may be longer than what was sent.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Literal

import msgspec

from fairlead.adapters.base.outcomes import create_outcome, reading
from fairlead.adapters.base.venue import ParseError, VenueError, VenueInstrument
from fairlead.adapters.zerocap import parse
from fairlead.adapters.zerocap import schemas as s
from fairlead.adapters.zerocap.config import ZerocapOptions
from fairlead.adapters.zerocap.errors import CODE
from fairlead.adapters.zerocap.http import NewOrder, ZerocapHttp
from fairlead.adapters.zerocap.parse import Source
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
BATCH_QUERY_MAX = 50
MAX_ECHO_MORE = 8  # characters that an echo of a client order id may have more
MAX_KEPT_FILLS = 1_000  # orders whose executions are kept from their answers
# What the venue keeps may be stamped this much before our time of sending: whole seconds, and
# clocks that are set while we run. Orders are told apart by id: a wide window costs nothing.
FIND_SKEW_SECS = 120
LISTED_LATE_SECS = 120  # after an order of a later time
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


class Purse:
    """Dialect A's balances: what the config says of a moment, and every execution since then.

    The venue stamps whole seconds: what it did in the second of that moment counts as later.
    Currencies that the config does not name begin at 0.
    """

    def __init__(self, start: Mapping[str, Decimal], at: datetime | None) -> None:
        self._held = {currency.upper(): amount for currency, amount in start.items()}
        self._booked: set[str] = set()
        self.start_ms = 0 if at is None else int(at.timestamp()) * 1000
        self._seen_ms = self.start_ms  # of the newest order that was listed

    @property
    def from_ms(self) -> int:
        """Where the venue's list is read from: what comes late, or is listed late, is there."""
        return max(self.start_ms, self._seen_ms - LISTED_LATE_SECS * 1000)

    def seen(self, order: VenueOrder) -> None:
        self._seen_ms = max(self._seen_ms, order.ts_created // parse.NS_PER_MS)

    def book(self, fills: Iterable[VenueFill], instruments: Mapping[str, VenueInstrument]) -> None:
        """Each execution once, by its id."""
        for fill in fills:
            facts = instruments.get(fill.instrument)
            if facts is None or fill.trade_id in self._booked:
                continue
            self._booked.add(fill.trade_id)
            sign = 1 if fill.side is Side.BUY else -1
            self._add(facts.base, sign * fill.quantity)
            self._add(facts.quote, -sign * fill.quantity * fill.price)

    def _add(self, currency: str, amount: Decimal) -> None:
        self._held[currency] = self._held.get(currency, Decimal(0)) + amount

    def balances(self) -> list[VenueBalance]:
        return [
            VenueBalance(currency=c, free=held, locked=Decimal(0)) for c, held in self._held.items()
        ]


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
        self._purse = Purse(options.balances, options.balances_at)

    # -- submit ------------------------------------------------------------------------------------

    async def submit(self, intents: Sequence[Intent]) -> list[Outcome]:
        """Send each intent once, one after the other; outcomes by position."""
        return [await self._submit(intent) for intent in intents]

    async def _submit(self, intent: Intent) -> Outcome:
        order = self._new_order(intent)
        if isinstance(order, Refused):
            return order
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
            kind, price = "limit", self._market_limit(intent, facts)
            if price is None:
                text = "no ladder covers the quantity now, and the venue has no market orders"
                return Refused(f"{CODE}-NO-LADDER", f"{text}; not sent")
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

    def _market_limit(self, intent: Intent, facts: VenueInstrument) -> Decimal | None:
        """The tier's price, worse by the slippage that the config allows."""
        ladder = self._ladders.get(intent.instrument)
        price = None if ladder is None else ladder.price_for(intent.side, intent.quantity)
        if price is None:
            return None
        is_buy = intent.side is Side.BUY
        slippage = self._options.market_slippage * (1 if is_buy else -1)
        tick = Decimal(1).scaleb(-facts.price_precision)
        limit = (price * (1 + slippage)).quantize(tick, ROUND_CEILING if is_buy else ROUND_FLOOR)
        return limit if limit > 0 else None

    def _outcome(self, row: s.OrderRow, intent: Intent) -> Outcome:
        """What the create's answer proves; it must be of this order."""
        if row.client_order_id and not is_echo(row.client_order_id, intent.sent_id):
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
        self._purse.book(fills, self._instruments)
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
        return [self._found(rows, one) for one in lost]

    def _found(self, rows: Sequence[s.OrderRow], lost: Lost) -> FindResult:
        sent = lost.intent.sent_id
        named = [
            row
            for row in rows
            if is_echo(row.client_order_id, sent) and (row.id or row.order_id) not in lost.known
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
        return Absent(f"{len(rows)} orders listed since it was sent; none has its client order id")

    async def _listed(
        self, *, start_ms: int = 0, ids: str = "", status: str = ""
    ) -> list[s.OrderRow]:
        """Every row of all pages, oldest first. Raises VenueUnavailable."""
        rows: dict[str, s.OrderRow] = {}
        with reading(CODE):
            for page in range(1, MAX_PAGES + 1):
                # Oldest first: what is created meanwhile moves no page.
                found = await self._http.fetch_orders(
                    start_ms=start_ms, ids=ids, status=status, page=page, sort_order="asc"
                )
                fresh = {row.id: row for row in found.order_list if row.id not in rows}
                rows |= fresh
                # A page may hold less than was asked for: only one without news is the last.
                if not fresh or (found.total is not None and len(rows) >= found.total):
                    return list(rows.values())
        text = f"expected every order on at most {MAX_PAGES} pages, received {len(rows)}"
        raise VenueUnavailable(f"{CODE}-INCOMPLETE", text)

    async def orders(self, refs: Sequence[OrderRef]) -> list[VenueOrder]:
        """Current states by venue order id; one that the venue doesn't list is left out."""
        return [order for _, order in await self._by_id(refs)]

    async def _by_id(self, refs: Sequence[OrderRef]) -> list[tuple[s.OrderRow, VenueOrder]]:
        wanted = {ref.venue_order_id: ref for ref in refs if ref.venue_order_id}
        names, found = list(wanted), []
        for start in range(0, len(names), BATCH_QUERY_MAX):
            part = names[start : start + BATCH_QUERY_MAX]
            for row in await self._listed(ids=",".join(part)):
                ref = wanted.get(row.id)
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
                    self._purse.seen(parse.order(row, self._venue, Source.FETCH))
                    fills = parse.fills(row, self._venue, Source.FETCH)
                    self._purse.book(fills, self._instruments)
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
