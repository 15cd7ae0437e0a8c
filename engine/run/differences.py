"""An account compared with its journal, from outside a run: read-only, nothing is concluded for it.

What a run compares, too: open orders on both sides, executed quantities, balances. A difference
counts once several looks have shown it, as a run that is up changes both meanwhile.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from decimal import Decimal
from pathlib import Path

import msgspec

from fairlead.adapters.base.venue import VenueError
from fairlead.engine.config.loaded import LoadedConfig, account_files
from fairlead.engine.errors import Exit, FairleadError
from fairlead.engine.observe.assumptions import plain
from fairlead.engine.orders.balance_check import BALANCE_DRIFT
from fairlead.engine.orders.balances import Balances
from fairlead.engine.orders.journal import Journal
from fairlead.engine.orders.late import GivenUp
from fairlead.engine.orders.live import STOP_KINDS, LiveOrder, could_be, fired
from fairlead.engine.orders.lock import holder_of
from fairlead.engine.orders.model import (
    Capabilities,
    Finding,
    Found,
    Lost,
    OrderState,
    Unsure,
    VenueBalance,
    VenueOrder,
    VenueOrders,
    VenueUnavailable,
    own_id,
)
from fairlead.engine.orders.reconcile import compare
from fairlead.engine.orders.search import KNOWN_IDS_WINDOW_NS
from fairlead.engine.risk.continuity import require_known
from fairlead.engine.run.reach import PlainReach
from fairlead.engine.secrets import redact

LOOKS = 3  # that must show a difference
LOOK_SECS = 2.0
GIVEN_UP_NS = 3600 * 1_000_000_000  # how far back an order that was given up may turn up
READ_ONLY = "nothing: this only looks"
ROUNDED = Decimal("0.000001")  # of a position: fees that a venue rounds
CALL_SECS = 60.0  # for all that one look asks


class BalanceTold(msgspec.Struct, frozen=True, kw_only=True):
    """A currency's total. `expected` is by the journal: None before balances were agreed on."""

    currency: str
    expected: str | None
    venue: str


class HeldTold(msgspec.Struct, frozen=True, kw_only=True):
    """A net position by the journal, and what the account has of its base currency."""

    instrument: str
    base: str
    journal: str
    venue: str


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """One account. `why` says why it could not be compared; then nothing else of it counts.

    `findings` are the differences; `journal_orders` and `venue_orders` count open orders.
    """

    venue: str
    account: str
    is_compared: bool = True
    why: str = ""
    journal_orders: int = 0
    venue_orders: int = 0
    positions: list[HeldTold] = []
    balances: list[BalanceTold] = []
    findings: list[Finding] = []
    notes: list[str] = []

    @property
    def exit(self) -> Exit:
        if not self.is_compared:
            return Exit.VENUE
        return Exit.DRIFT if self.findings else Exit.OK


class Known:
    """What a journal knows, as the comparison asks an order desk; it learns nothing."""

    def __init__(self, journal: Journal, can: Capabilities, now_ns: int) -> None:
        self.journal = journal
        self._orders = {one.intent.client_order_id: LiveOrder(one) for one in journal.open_orders()}
        self._can = can
        self._given_up = GivenUp(journal, lambda: now_ns)
        self._given_up.reconsider(GIVEN_UP_NS)

    def get(self, client_order_id: str) -> LiveOrder | None:
        return self._orders.get(client_order_id)

    def live_orders(self) -> list[LiveOrder]:
        return list(self._orders.values())

    def unresolved(self) -> list[LiveOrder]:
        return [one for one in self._orders.values() if not one.is_known]

    def may_turn_up_unnamed(self) -> list[LiveOrder]:
        return self._given_up.unnamed(self._can)

    def came_late(self, state: VenueOrder) -> LiveOrder | None:
        """What was given up and is, or may be, this order at the venue."""
        if state.client_order_id and own_id(state.client_order_id) in self._orders:
            sent, name = self._given_up.orders(), state.client_order_id
            return next((one for one in sent if one.intent.sent_id == name), None)
        if self.journal.order_by_venue_id(state.instrument, state.venue_order_id) is not None:
            return None
        if any(_is_perhaps(one, state) for one in self.unresolved()):
            return None
        late = self.may_turn_up_unnamed()
        return next((one for one in late if _is_perhaps(one, state)), None)

    def pushed_order(self, state: VenueOrder, fill: object) -> None:
        """A run's desk would hear of it."""


def _is_perhaps(order: LiveOrder, state: VenueOrder) -> bool:
    intents = [order.intent]
    if order.intent.kind in STOP_KINDS:
        intents.append(fired(order.intent))
    return any(could_be(one, state) for one in intents)


async def compare_account(loaded: LoadedConfig, key: str) -> Compared:
    """Of the venue `key` of the config. Never raises for what keeps it from being compared."""
    base = Compared(venue=key, account=loaded.config.venues[key].account)
    files = account_files(loaded, key)
    try:
        require_known(files)
        reached = PlainReach(loaded, key)
    except (FairleadError, VenueError) as error:
        return _not(base, error)
    try:
        await reached.connect()
        path = files.journal
        with _journal(path, is_at_rest=holder_of(files.lock) is None) as journal:
            found = await _looks(loaded, key, reached, journal, base)
        if not path.exists():
            found.notes.append(f"there is no journal {path}: nothing is known of the account")
        return found
    except TimeoutError:
        return _not(base, VenueUnavailable("TIMED-OUT", f"no whole answer in {CALL_SECS:g} s"))
    except (FairleadError, VenueError, VenueUnavailable) as error:
        return _not(base, error)
    finally:
        await reached.close()


def _not(base: Compared, error: FairleadError | VenueError | VenueUnavailable) -> Compared:
    why = redact(f"{error.code}: {error.message}")
    return msgspec.structs.replace(base, is_compared=False, why=why)


@contextmanager
def _journal(path: Path, *, is_at_rest: bool) -> Iterator[Journal]:
    """The account's; an empty one where it has none. Raises JournalError."""
    if path.exists():
        with closing(Journal.reading(path, at_rest=is_at_rest)) as journal:
            yield journal
        return
    with tempfile.TemporaryDirectory(prefix="fairlead-") as folder:
        none = Journal(Path(folder) / "none.sqlite", fsync=False, now_ns=time.time_ns)
        with closing(none):
            yield none


async def _looks(
    loaded: LoadedConfig, key: str, reached: PlainReach, journal: Journal, base: Compared
) -> Compared:
    """Until one shows no difference, or all have shown the same."""
    lasting: dict[tuple[str, str], Finding] = {}
    for look in range(LOOKS):
        async with asyncio.timeout(CALL_SECS):
            seen = await _look(loaded, key, reached, journal, base)
        found = {(one.code, one.subject): one for one in seen.findings}
        lasting = {name: one for name, one in found.items() if not look or name in lasting}
        if not lasting:
            break
        if look + 1 < LOOKS:
            await asyncio.sleep(LOOK_SECS)
    return msgspec.structs.replace(seen, findings=list(lasting.values()))


async def _look(
    loaded: LoadedConfig, key: str, reached: PlainReach, journal: Journal, base: Compared
) -> Compared:
    """Raises VenueUnavailable, JournalError."""
    now_ns, orders, markets = time.time_ns(), reached.orders, reached.adapter.instruments
    known = Known(journal, reached.capabilities, now_ns)
    held = _held(journal)
    names = [
        n for n in dict.fromkeys((*loaded.config.venues[key].instruments, *held)) if n in markets
    ]
    listed = await orders.open_orders(names)
    findings = await open_differences(orders, known, names, listed, now_ns)
    live = [one for one in known.live_orders() if one.intent.instrument in names]
    findings += await _told(reached, [one for one in live if one.is_proven], now_ns)
    findings += await _unproven(reached, journal, known.unresolved(), now_ns)
    told = await orders.balances()
    totals: defaultdict[str, Decimal] = defaultdict(Decimal)
    for one in told:
        totals[one.currency] += one.free + one.locked

    def currencies_of(name: str) -> tuple[str, str]:
        market = markets.get(name)
        return ("", "") if market is None else (market.base, market.quote)

    currencies = sorted({one for name in names for one in currencies_of(name)})
    balances = Balances(journal, currencies, currencies_of)
    expected, drifted = _drifts(balances, told, totals, key.upper(), now_ns)
    findings += drifted
    notes = []
    if not balances.is_based:
        notes.append("the journal has agreed on no balances yet, so they are not compared")
    notes += _unlisted(live, listed, findings)
    is_cash = loaded.config.venues[key].account_type == "cash"
    positions = [
        HeldTold(
            instrument=name,
            base=currencies_of(name)[0],
            journal=plain(quantity),
            venue=plain(totals[currencies_of(name)[0]]),
        )
        for name, quantity in held.items()
        if quantity
    ]
    if is_cash:
        findings += _uncovered(positions, now_ns)
    return msgspec.structs.replace(
        base,
        journal_orders=sum(not one.is_held for one in live),
        venue_orders=len(listed),
        positions=positions,
        balances=[
            BalanceTold(
                currency=one,
                expected=plain(expected.get(one, Decimal(0))) if balances.is_based else None,
                venue=plain(totals[one]),
            )
            for one in currencies
        ],
        findings=findings,
        notes=notes,
    )


async def open_differences(
    orders: VenueOrders,
    known: Known,
    names: Sequence[str],
    listed: Sequence[VenueOrder],
    now_ns: int,
) -> list[Finding]:
    """What a run's own comparison finds of orders that are open at the venue; what was given up
    and is `listed` by its name, which a run's desk looks for by itself. Raises VenueUnavailable.
    """
    seen = await compare(orders, known, names, lambda: now_ns)
    late = []
    for state in listed:
        if (order := known.came_late(state)) is not None:
            journal = f"{order.intent.client_order_id} was sent, and given up as absent"
            if order.intent.release:
                journal = f"a release of {journal}"
            late.append(
                _finding(
                    "ORDER-LATE",
                    state.instrument,
                    state.venue_order_id,
                    journal,
                    f"{state.side} {plain(state.quantity)} @ {state.price}, {state.state}",
                    now_ns,
                )
            )
    told = {one.subject for one in late}
    return [*(one for one in seen.findings if one.subject not in told), *late]


def _drifts(
    balances: Balances,
    told: Sequence[VenueBalance],
    totals: Mapping[str, Decimal],
    venue: str,
    now_ns: int,
) -> tuple[dict[str, Decimal], list[Finding]]:
    """What the journal makes of each currency, and the differences beyond rounding."""
    if not balances.is_based:
        return {}, []
    drifts = balances.drifts(told)
    expected = {**totals, **{one.currency: one.expected for one in drifts}}
    return expected, [
        _finding(
            BALANCE_DRIFT,
            venue,
            one.currency,
            f"{plain(one.expected)} {one.currency}",
            f"{plain(one.actual)} {one.currency}",
            now_ns,
        )
        for one in drifts
    ]


def _held(journal: Journal) -> dict[str, Decimal]:
    """By instrument, also those of open orders: what the account is asked for."""
    found: defaultdict[str, Decimal] = defaultdict(Decimal)
    for position in journal.positions():
        found[position.instrument] += position.quantity
    for order in journal.open_orders():
        found[order.intent.instrument] += 0
    return dict(found)


def _unlisted(
    live: Iterable[LiveOrder], listed: Iterable[VenueOrder], findings: Iterable[Finding]
) -> Iterator[str]:
    """What is there though the venue's list lacks it."""
    numbers, differ = {one.venue_order_id for one in listed}, {one.subject for one in findings}
    count = sum(
        one.is_proven
        and one.venue_order_id not in numbers
        and one.intent.client_order_id not in differ
        for one in live
    )
    if count:
        yield (
            f"{count} that the venue does not list (it may not list a stop that waits) "
            f"{'was' if count == 1 else 'were'} asked for by number, and there"
        )


async def _told(reached: PlainReach, orders: Sequence[LiveOrder], now_ns: int) -> list[Finding]:
    """Orders that the journal has open at the venue. Raises VenueUnavailable."""
    told: dict[str, VenueOrder] = {}
    size = max(1, reached.capabilities.batch_query_max)
    for start in range(0, len(orders), size):
        for one in await reached.orders.orders([o.ref() for o in orders[start : start + size]]):
            told[one.venue_order_id] = one
    found = []
    for order in orders:
        state = told.get(order.venue_order_id or "")
        if state is None:
            code, venue = "ORDER-MISSING", "tells nothing of it"
        elif state.state.is_terminal:
            code, venue = "ORDER-ENDED", f"{state.state}, {plain(state.filled)} filled"
        elif state.filled != order.filled:
            code, venue = "ORDER-FILLED", f"{state.state}, {plain(state.filled)} filled"
        else:
            continue
        journal = f"{order.state}, {plain(order.filled)} filled"
        found.append(
            _finding(
                code, order.intent.instrument, order.intent.client_order_id, journal, venue, now_ns
            )
        )
    return found


async def _unproven(
    reached: PlainReach, journal: Journal, orders: Iterable[LiveOrder], now_ns: int
) -> list[Finding]:
    """Orders whose outcome the journal does not know; a look here proves none of them."""
    found = []
    for order in orders:
        since_ns = order.ts_sent - KNOWN_IDS_WINDOW_NS
        others = journal.known_venue_ids(order.intent.instrument, since_ns)
        [told] = await reached.orders.find_all([Lost(order.intent, others, order.ts_sent)])
        if isinstance(told, Found):
            venue = f"has it as {told.order.venue_order_id}, {told.order.state}"
        elif isinstance(told, Unsure):
            venue = f"can't tell: {told.reason}"
        else:
            venue = "shows no such order now, which proves nothing yet"
        found.append(
            _finding(
                "ORDER-UNKNOWN",
                order.intent.instrument,
                order.intent.client_order_id,
                OrderState.UNKNOWN.value,
                venue,
                now_ns,
            )
        )
    return found


def _uncovered(positions: Iterable[HeldTold], now_ns: int) -> Iterator[Finding]:
    """Of a cash account: base currencies of which there is less than the journal says is held."""
    held: defaultdict[str, Decimal] = defaultdict(Decimal)
    venue: dict[str, str] = {}
    for one in positions:
        held[one.base] += Decimal(one.journal)
        venue[one.base] = one.venue
    for base, quantity in held.items():
        if quantity > Decimal(venue[base]) * (1 + ROUNDED):
            yield _finding(
                "POSITION-UNCOVERED",
                base,
                base,
                f"holds {plain(quantity)} {base}",
                f"{venue[base]} {base} in all",
                now_ns,
            )


def _finding(
    code: str, instrument: str, subject: str, journal: str, venue: str, now_ns: int
) -> Finding:
    return Finding(
        code=code,
        instrument=instrument,
        subject=subject,
        journal=journal,
        venue=redact(venue),
        action=READ_ONLY,
        ts_event=now_ns,
    )
