"""Trading: an entry with its exits to one request, answers to outcomes (sections 3 and 5).

No create is ever repeated. There is no client order id: what became of a lost one is told by what
lists and position held before and after. There is no single cancel.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from decimal import Decimal

import msgspec

from fairlead.adapters.base import lost as lost_orders
from fairlead.adapters.base.clock import Offset
from fairlead.adapters.base.outcomes import create_outcome, reading
from fairlead.adapters.base.venue import ParseError, VenueError, VenueInstrument
from fairlead.adapters.mudawyl import bracket, parse
from fairlead.adapters.mudawyl import schemas as s
from fairlead.adapters.mudawyl.bracket import Group
from fairlead.adapters.mudawyl.config import MudawylOptions
from fairlead.adapters.mudawyl.errors import CODE
from fairlead.adapters.mudawyl.http import (
    MAX_TARGETS,
    MudawylHttp,
    order_path,
    position_path,
)
from fairlead.adapters.mudawyl.schemas import told
from fairlead.engine.orders.model import (
    Absent,
    Accepted,
    CancelOutcome,
    CancelRefused,
    Fee,
    FindResult,
    Found,
    Intent,
    Lost,
    OrderRef,
    OrderState,
    Outcome,
    Refused,
    Side,
    Unknown,
    Unsure,
    VenueBalance,
    VenueFill,
    VenueOrder,
    VenueUnavailable,
)
from fairlead.engine.secrets import Secret

BATCH_MAX = MAX_TARGETS + 2  # and an entry, and a stop
BATCH_QUERY_MAX = 100
SNAPSHOTS_KEPT = 1_000
AGREED_SECS = 0.25  # a person's word that took longer: what was read before it may be over
CLOCK_NS = 60 * 1_000_000_000  # how far the exchange's clock may be from ours


NO_CAPTCHA = Refused(
    f"{CODE}-NO-CAPTCHA", "no provider of reCAPTCHA tokens is named (option captcha); not sent"
)


class Snapshot(msgspec.Struct, frozen=True):
    """What an instrument had just before a request: order ids, and the position."""

    ids: frozenset[str]
    quantity: Decimal
    group: Group


class Ready(msgspec.Struct, frozen=True):
    snapshot: Snapshot
    captcha: Secret


class MudawylOrders:
    """`VenueOrders` of one exchange key."""

    def __init__(
        self,
        http: MudawylHttp,
        options: MudawylOptions,
        instruments: Mapping[str, VenueInstrument],
    ) -> None:
        self._http = http
        self._options = options
        self._key = options.key_id
        self._instruments = instruments
        self._before: OrderedDict[str, Snapshot] = OrderedDict()  # by client order id
        self._quantities: OrderedDict[str, Decimal] = OrderedDict()  # asked for, by venue order id
        self._one_by_one = asyncio.Lock()  # two requests would clear one another

    # -- submit ------------------------------------------------------------------------------------

    async def submit(self, intents: Sequence[Intent]) -> list[Outcome]:
        """Send each entry with the exits that follow it once; outcomes by position."""
        outcomes: dict[str, Outcome] = {}
        for one in bracket.grouped(intents):
            if isinstance(one, Group):
                async with self._one_by_one:
                    send = self._close if bracket.closes(one.entry) else self._submit
                    outcomes |= await send(one)
            else:
                outcomes[one[0].client_order_id] = one[1]
        return [outcomes[intent.client_order_id] for intent in intents]

    async def _submit(self, group: Group) -> dict[str, Outcome]:
        facts = self._instruments.get(group.entry.instrument)
        if facts is None:
            text = f"no market {group.entry.instrument[:60]}"
            return _all(group, Refused(f"{CODE}-UNKNOWN-MARKET", text))
        why = bracket.problem(group, facts)
        if why:
            return _all(group, Refused(f"{CODE}-UNSUPPORTED", f"{why}; not sent"))
        ready = await self._agreed("POST", order_path, lambda: self._snapshot(group, facts))
        if not isinstance(ready, Ready):
            return _all(group, ready)
        self._keep(ready.snapshot)
        order = bracket.request(group, facts)
        try:
            rows = await self._http.create_order(self._key, order, ready.captcha)
        except VenueError as e:
            return _all(group, create_outcome(e))
        return await self._outcomes(group, facts, rows)

    async def _close(self, group: Group) -> dict[str, Outcome]:
        """A market exit of all that is held: the gateway's own call, which ends every order of the
        symbol. One of a part is refused: nothing here closes a part.
        """
        intent = group.entry
        name = intent.client_order_id
        facts = self._instruments.get(intent.instrument)
        if facts is None:
            text = f"no market {intent.instrument[:60]}"
            return {name: Refused(f"{CODE}-UNKNOWN-MARKET", text)}
        ready = await self._agreed("DELETE", position_path, lambda: self._held(group, facts))
        if not isinstance(ready, Ready):
            return {name: ready}
        self._keep(ready.snapshot)
        try:
            await self._http.close_position(self._key, facts.symbol, ready.captcha)
            fresh = await self._rows(facts)
        except VenueError as e:
            return {name: create_outcome(e)}
        except VenueUnavailable as e:
            return {name: Unknown(f"{CODE}-ANSWER: closed, and not read what by: {e}")}
        before = self._before[name].ids
        found = bracket.bound(group, [row for row in fresh if row.id not in before])
        self._remember_all(group, found)
        return _told(group, found, facts, Unknown(f"{CODE}-ANSWER: closed, and not listed by what"))

    async def _agreed(
        self,
        method: str,
        path: Callable[[str], str],
        read: Callable[[], Awaitable[Snapshot | Refused]],
    ) -> Ready | Outcome:
        """What is there, and a person's word for the change. Who takes long for it is asked before
        what is sent: what is there is read anew then, and decides."""
        if not self._http.has_captcha:
            return NO_CAPTCHA
        try:
            found = await read()
            if isinstance(found, Refused):
                return found
            began = time.monotonic()
            captcha = await self._http.permit(f"{method} {path(self._key)}")
            if time.monotonic() - began > AGREED_SECS:
                found = await read()
        except VenueError as e:
            return create_outcome(e)
        except VenueUnavailable as e:
            text = f"what is there before it could not be read ({e}); not sent"
            return Refused(f"{CODE}-NOT-READ", text)
        return found if isinstance(found, Refused) else Ready(found, captcha)

    async def _held(self, group: Group, facts: VenueInstrument) -> Snapshot | Refused:
        """What a market exit would close. Raises VenueUnavailable."""
        intent = group.entry
        with reading(CODE):
            signed, _ = parse.held(await self._http.position(self._key, facts.symbol))
            listed = await self._http.open_orders(self._key, facts.symbol)
            past = await self._http.order_history(self._key, facts.symbol)
        held = signed if intent.side is Side.SELL else -signed
        if not 0 < held <= intent.quantity:
            text = (
                f"a market exit closes the whole position, {signed:f}; {intent.side}"
                f" {intent.quantity:f} came; not sent"
            )
            return Refused(f"{CODE}-LONE-EXIT", text)
        return Snapshot(frozenset(row.id for row in (*listed, *past)), signed, group)

    async def _snapshot(self, group: Group, facts: VenueInstrument) -> Snapshot | Refused:
        """What a new order would clear, of every market of the config: the document does not say
        whether it clears its symbol or the account. A position is refused whatever the option says:
        what it is sold by is no order of ours, and nothing would book it. Raises VenueUnavailable.
        """
        ids: frozenset[str] = frozenset()
        for each in self._instruments.values():
            with reading(CODE):
                listed = await self._http.open_orders(self._key, each.symbol)
                signed, _ = parse.held(await self._http.position(self._key, each.symbol))
                if each.id == facts.id:
                    past = await self._http.order_history(self._key, each.symbol)
                    ids = frozenset(row.id for row in (*listed, *past))
            if signed or (listed and self._options.clearing == "refuse"):
                return _uncleared(each.symbol, signed, len(listed))
        return Snapshot(ids, Decimal(0), group)

    def _keep(self, snapshot: Snapshot) -> None:
        for intent in snapshot.group.intents:
            self._before[intent.client_order_id] = snapshot
        while len(self._before) > SNAPSHOTS_KEPT:
            self._before.popitem(last=False)

    async def _outcomes(
        self, group: Group, facts: VenueInstrument, rows: Sequence[s.Order]
    ) -> dict[str, Outcome]:
        """What the answer proves, and, of a leg that it leaves out, what the lists say then."""
        found = bracket.bound(group, rows)
        if group.entry.client_order_id not in found:
            return _all(group, Unknown(f"{CODE}-ANSWER: without the entry that was sent"))
        try:
            listed = await self._rows(facts)
        except VenueUnavailable as e:
            self._remember_all(group, found)
            text = f"{CODE}-ANSWER: without it, and the lists could not be read: {e}"
            return _told(group, found, facts, Unknown(text))
        before = self._before[group.entry.client_order_id].ids
        told = {row.id for row in rows}
        fresh = [row for row in listed if row.id not in before | told]
        found = bracket.bound(group, [*rows, *fresh])
        text = "the exchange did not take it: neither the answer nor the lists have it"
        missing = Refused(f"{CODE}-LEG-MISSING", text)
        self._remember_all(group, found)
        outcomes = _told(group, found, facts, missing)
        stop = group.stop
        if stop is None:
            return outcomes
        row = found.get(stop.client_order_id)
        if row is None:
            text = "the entry stands without its stop: neither the answer nor the lists have it"
            outcomes[stop.client_order_id] = Refused(f"{CODE}-STOP-MISSING", text)
        elif row.id not in {each.id for each in listed}:
            text = f"{CODE}-STOP-NOT-LISTED: it was answered, and the lists do not have it yet"
            outcomes[stop.client_order_id] = Unknown(text)
        return outcomes

    async def flatten(self, instrument: str) -> None:
        """Close the instrument's position and cancel all of its orders. Raises VenueError."""
        await self._http.close_position(self._key, self._instruments[instrument].symbol)

    # -- cancel, replace ---------------------------------------------------------------------------

    async def cancel(self, refs: Sequence[OrderRef]) -> list[CancelOutcome]:
        """The gateway has none; what it has closes the position too, and is a call of its own."""
        text = (
            "the gateway can't cancel one order; only all of a symbol, which closes its position"
            " too (flatten)"
        )
        return [CancelRefused(f"{CODE}-NO-CANCEL", text)] * len(refs)

    async def replace(self, ref: OrderRef, intent: Intent) -> Outcome:
        return Refused(f"{CODE}-UNSUPPORTED", "the gateway can't replace an order; not sent")

    # -- read --------------------------------------------------------------------------------------

    async def find(
        self, intent: Intent, known: frozenset[str], ts_sent: int, slack_ns: int = 0
    ) -> FindResult:
        """Look for an order among what is new since the request that it was part of."""
        return (await self.find_all([Lost(intent, known, ts_sent, slack_ns)]))[0]

    async def find_all(self, lost: Sequence[Lost]) -> list[FindResult]:
        """`find` for each; each instrument is read once."""
        read: dict[str, tuple[list[s.Order], Decimal] | str] = {}
        for name in {one.intent.instrument for one in lost}:
            facts = self._instruments.get(name)
            if facts is None:
                read[name] = f"no market {name[:60]}"
                continue
            try:
                with reading(CODE):
                    signed, _ = parse.held(await self._http.position(self._key, facts.symbol))
                read[name] = await self._rows(facts), signed
            except VenueUnavailable as e:
                read[name] = f"{e.code}: {e.message}"
        return [self._found(one, read[one.intent.instrument]) for one in lost]

    def _found(self, lost: Lost, read: tuple[list[s.Order], Decimal] | str) -> FindResult:
        if isinstance(read, str):
            return Unsure(read)
        rows, quantity = read
        before = self._before.get(lost.intent.client_order_id)
        known = lost.known | (before.ids if before else frozenset())
        since = 0 if before else lost.ts_sent - CLOCK_NS - lost.slack_ns
        facts, asked = self._instruments[lost.intent.instrument], lost.intent.quantity
        if before is None:
            since = max(since, _entered(rows, lost))
        fresh = [row for row in rows if row.id not in known and _created(row) >= since]
        fits = [row for row in fresh if bracket.is_of(row, lost.intent)]
        try:
            orders = [_named(parse.order(row, facts, asked), lost.intent) for row in fits]
        except ParseError as e:
            return Unsure(f"{CODE}-BAD-ANSWER: {e}")
        found = _only(orders) if before else _chosen(orders, lost)
        if isinstance(found, Found):
            self._remember(found.order.venue_order_id, lost.intent.quantity)
            return Found(self._whole(found.order))
        if found is not None:
            return found
        if before is None or quantity in (before.quantity, 0):
            is_explained = True
        else:  # by the entry that it went with, or by nobody knows what
            since_then = [row for row in rows if row.id not in before.ids]
            is_explained = any(bracket.is_of(row, before.group.entry) for row in since_then)
        if before is not None and not is_explained:
            return Unsure(f"the position went from {before.quantity:f} to {quantity:f} since")
        return Absent(f"{len(fresh)} new orders in list and history, none of them this one")

    async def _rows(self, facts: VenueInstrument) -> list[s.Order]:
        """Open orders and history, each order once, as it is open. Raises VenueUnavailable."""
        with reading(CODE):
            past = await self._http.order_history(self._key, facts.symbol)
            listed = await self._http.open_orders(self._key, facts.symbol)
            # What ended between the two reads is in the second of the histories.
            past += await self._http.order_history(self._key, facts.symbol)
        rows = {row.id: row for row in listed}
        return list((rows | {row.id: row for row in past}).values())

    async def orders(self, refs: Sequence[OrderRef]) -> list[VenueOrder]:
        """Current states by the exchange's order id; one that is not listed is left out."""
        found = []
        wanted = {ref.venue_order_id: ref for ref in refs if ref.venue_order_id}
        for order_id, asked in wanted.items():
            if asked.quantity is not None and order_id not in self._quantities:
                self._remember(order_id, asked.quantity)  # of a process before
        for facts in self._of({ref.instrument for ref in wanted.values()}):
            for row, order in await self._orders(facts, await self._rows(facts)):
                ref = wanted.get(row.id)
                if ref is not None and ref.instrument == facts.id:
                    whole = self._whole(order)
                    found.append(
                        msgspec.structs.replace(whole, client_order_id=ref.client_order_id)
                    )
        return found

    def _whole(self, order: VenueOrder) -> VenueOrder:
        """With the quantity that was asked for, where the exchange took off what it can't close."""
        asked = self._quantities.get(order.venue_order_id)
        if asked is None or asked <= order.quantity:
            return order
        state = OrderState.CANCELED if order.state is OrderState.FILLED else order.state
        return msgspec.structs.replace(order, quantity=asked, state=state)

    def _remember_all(self, group: Group, found: Mapping[str, s.Order]) -> None:
        for intent in group.intents:
            row = found.get(intent.client_order_id)
            if row is not None:
                self._remember(row.id, intent.quantity)

    def _remember(self, order_id: str, quantity: Decimal) -> None:
        self._quantities[order_id] = quantity
        while len(self._quantities) > SNAPSHOTS_KEPT:
            self._quantities.popitem(last=False)

    async def _orders(
        self, facts: VenueInstrument, rows: Sequence[s.Order]
    ) -> list[tuple[s.Order, VenueOrder]]:
        """Of an order that closes the position the quantity is what it was asked for, as far as it
        is known, else what there is now, and where that is nothing the least that there can be: no
        row tells it. Raises VenueUnavailable.
        """
        closes = Decimal(0)
        with reading(CODE):
            if not all(row.amount for row in rows):
                signed, _ = parse.held(await self._http.position(self._key, facts.symbol))
                closes = abs(signed)
            closes = closes or Decimal(1).scaleb(-facts.size_precision)
            return [
                (row, parse.order(row, facts, self._quantities.get(row.id, closes))) for row in rows
            ]

    async def open_orders(self, instruments: Sequence[str]) -> list[VenueOrder]:
        found = []
        for facts in self._of(instruments):
            with reading(CODE):
                rows = await self._http.open_orders(self._key, facts.symbol)
            orders = await self._orders(facts, rows)
            found += [order for _, order in orders if not order.state.is_terminal]
        return found

    async def fills(self, refs: Sequence[OrderRef], ts_from: int) -> list[VenueFill]:
        wanted = {ref.venue_order_id: ref for ref in refs if ref.venue_order_id}
        found = []
        for facts in self._of({ref.instrument for ref in refs}):
            with reading(CODE):
                rows = await self._http.trade_history(self._key, facts.symbol)
                fills = [parse.fill(row, facts) for row in rows if row.order in wanted]
            for fill in fills:
                cid = wanted[fill.venue_order_id].client_order_id
                found.append(msgspec.structs.replace(fill, client_order_id=cid))
        return found

    async def balances(self) -> list[VenueBalance]:
        """Of the key, with the positions of the config's markets (see `parse.balances`)."""
        positions = {}
        with reading(CODE):
            for facts in self._instruments.values():
                row = await self._http.position(self._key, facts.symbol)
                positions[facts.id] = parse.held(row)
            row_of_key = await self._http.key_balance(self._key)
        return parse.balances(row_of_key, positions, self._instruments)

    def fee(self, instrument: str, side: Side, quantity: Decimal, price: Decimal) -> Fee:
        """By the config's table, of a taker."""
        return self._instruments[instrument].fee(side, quantity, price)

    def _of(self, names: Sequence[str] | set[str]) -> list[VenueInstrument]:
        return [self._instruments[name] for name in sorted(names) if name in self._instruments]


def _uncleared(symbol: str, signed: Decimal, listed: int) -> Refused:
    ends = f"cancel the {listed} open orders of {symbol}"
    if signed:
        text = f"a new order would close the position ({signed:f}) and {ends}; close it first"
    else:
        text = f"a new order would {ends}; the option clearing allows it"
    return Refused(f"{CODE}-CLEARING", f"{text}; not sent")


def _all(group: Group, outcome: Outcome) -> dict[str, Outcome]:
    return {intent.client_order_id: outcome for intent in group.intents}


def _told(
    group: Group, found: Mapping[str, s.Order], facts: VenueInstrument, missing: Outcome
) -> dict[str, Outcome]:
    """Each intent's outcome by its row; `missing` of those without one."""
    outcomes: dict[str, Outcome] = {}
    for intent in group.intents:
        row = found.get(intent.client_order_id)
        if row is None:
            outcomes[intent.client_order_id] = missing
            continue
        try:
            order = _named(parse.order(row, facts, intent.quantity), intent)
        except ParseError:
            outcomes[intent.client_order_id] = Accepted(row.id)  # it is there; a query tells more
            continue
        if order.state is OrderState.REFUSED:
            text = "the exchange rejected it"
            outcomes[intent.client_order_id] = Refused(f"{CODE}-REJECTED", text)
        else:
            outcomes[intent.client_order_id] = Accepted(row.id, order)
    return outcomes


def _created(row: s.Order) -> int:
    """When it was made, ns; a row that tells no time may be of any: the latest."""
    try:
        return parse.created_ns(row) or 2**63
    except ParseError:
        return 2**63


def _entered(rows: Sequence[s.Order], lost: Lost) -> int:
    """Of an exit: when the last entry was made that was there before it, ns by the exchange's
    clock; what is older closed another position. 0 where none is known.

    Where nobody tells which were there before it, those are that are older by the clocks.
    """
    intent = lost.intent
    if not bracket.is_exit(intent):
        return 0
    known, before = lost.before, 2**63
    if known is None:
        known, before = lost.known, lost.ts_sent - lost_orders.CREATED_NS
    times = [
        _created(row)
        for row in rows
        if row.id in known
        and row.side != intent.side.value.lower()
        and not told(row.reduce_only)
        and (row.filled or 0) != 0
    ]
    return max((time for time in times if time <= before), default=0)


def _only(orders: Sequence[VenueOrder]) -> Found | Unsure | None:
    """Of what is new since the request: it is it, unless there are several."""
    if len(orders) > 1:
        text = f"{len(orders)} new orders have these fields"
        return Unsure(text, ambiguous=True, candidates=tuple(orders))
    return Found(orders[0]) if orders else None


def _chosen(orders: Sequence[VenueOrder], lost: Lost) -> Found | Unsure | None:
    """Of what is not much older than the request, by times: one that is older by a moment only is
    it, one by more leaves it unsure, as nobody knows the exchange's clock.

    One that is later is never too late: a leg may be told with the time at which it fired.
    """
    widened = msgspec.structs.replace(lost, slack_ns=lost.slack_ns + CLOCK_NS)
    return lost_orders.chosen(orders, widened, Offset(0, 2**62, 0))


def _named(order: VenueOrder, intent: Intent) -> VenueOrder:
    """Under our own id, and as what was asked for."""
    return msgspec.structs.replace(
        order,
        client_order_id=intent.client_order_id,
        kind=intent.kind,
        trigger_price=intent.trigger_price,
        trigger_condition=intent.trigger_condition,
    )
