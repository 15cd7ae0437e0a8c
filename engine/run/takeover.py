"""What the journals hold of earlier runs: whose it is, what nobody names, what counts.

A position or an open order in an instrument that the config names no more is still the account's,
and such an order may still fill: a live run loads the instrument all the same, so that both are
kept and counted, though no strategy trades them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
from nautilus_trader.model import InstrumentId

from fairlead.engine.brackets.story import went_with_entry
from fairlead.engine.config.loaded import LoadedConfig, account_files
from fairlead.engine.errors import Exit, FairleadError
from fairlead.engine.orders.journal import Journal, JournalError
from fairlead.engine.orders.journal_reads import Position
from fairlead.engine.risk.facts import CountedOrder, InstrumentFacts
from fairlead.engine.risk.view import instrument_facts

if TYPE_CHECKING:  # a check does not import what trades
    from fairlead.adapters.base.venue import VenueInstrument
    from fairlead.engine.kill.account import TradedDesk
    from fairlead.engine.orders.live import LiveOrder
    from fairlead.engine.risk.books import Missed
    from fairlead.engine.risk.gate import RiskGate


class Held(msgspec.Struct, kw_only=True):
    """One instrument's share of a journal: net position in base units, orders not over."""

    instrument: str
    position: Decimal = Decimal(0)
    strategies: set[str] = msgspec.field(default_factory=set)
    open_orders: list[str] = msgspec.field(default_factory=list)

    def __str__(self) -> str:
        parts = []
        if self.position:
            parts.append(f"a position of {self.position.normalize():f}")
        if self.open_orders:
            several = "s" if len(self.open_orders) > 1 else ""
            parts.append(f"{len(self.open_orders)} open order{several}")
        whose = ", ".join(sorted(self.strategies))
        return f"{' and '.join(parts)} in {self.instrument} ({whose})"

    def way_out(self, *, closes: bool) -> str:
        """What a person does to be rid of it; whether a kill `closes` positions there."""
        if not self.position:
            return "cancel it with `fairlead kill`"
        if closes:
            return "close it with `fairlead kill` and `--action flatten`"
        return "close it at the venue, where a kill closes none"


def held_beyond(journal: Journal, configured: Collection[str]) -> list[Held]:
    """What the journal holds beyond these instruments, by instrument. Raises JournalError."""
    found: dict[str, Held] = {}

    def of(instrument: str, strategy: str) -> Held:
        held = found.setdefault(instrument, Held(instrument=instrument))
        held.strategies.add(strategy)
        return held

    for position in journal.positions():
        if position.quantity and position.instrument not in configured:
            of(position.instrument, position.strategy).position += position.quantity
    for order in journal.open_orders():
        if order.intent.instrument not in configured:
            held = of(order.intent.instrument, order.intent.strategy)
            held.open_orders.append(order.intent.client_order_id)
    return sorted(found.values(), key=lambda held: held.instrument)


def unlisted(held: Iterable[Held], listed: Collection[str], journal: Path) -> FairleadError | None:
    """Why a run can't start: the venue lists an instrument no more that the journal holds."""
    gone = [one for one in held if one.instrument not in listed]
    if not gone:
        return None
    return FairleadError(
        "JRN-INSTRUMENT",
        f"{journal} holds {'; '.join(map(str, gone))}, which the venue does not list any more, so "
        "that it can't be counted; cancel and close it at the venue, then move the journal away "
        "and start with a new one (docs/journal.md)",
        Exit.DRIFT,
    )


def held_notes(loaded: LoadedConfig) -> Iterator[str]:
    """A line for each that `fairlead check` tells: it prevents nothing, but nobody trades it."""
    for key in loaded.traded:
        venue = loaded.config.venues[key]
        path = account_files(loaded, key).journal
        if not path.exists():
            continue
        try:
            with closing(Journal.reading(path)) as journal:
                found = held_beyond(journal, venue.instruments)
        except JournalError:
            continue  # a start says what is wrong with it, and so does `check --journals`
        spec = loaded.specs.get(key)
        closes = spec is None or spec.has_desk
        for held in found:
            yield (
                f"{path} holds {held}, which [venues.{key}] does not name: a live run loads and "
                "counts it, and no strategy trades it; what is open in it is cancelled at an "
                f'ordered stop unless run.on_stop = "keep"; add "{held.instrument}" to '
                f"instruments for a strategy that does, or {held.way_out(closes=closes)}"
            )


def claims(
    loaded: LoadedConfig,
    journals: Iterable[Journal] = (),
    is_flat: Callable[[Position], bool] = lambda one: not one.quantity,
) -> dict[str, list[InstrumentId]]:
    """Instruments by strategy id: each goes to the first strategy whose params name it.

    But to one that has orders or a position in it, by the accounts' journals, where that one has
    none: what `is_flat` is no position. NautilusTrader allows one claimant for an instrument. One
    that nobody names or holds goes to nobody, and its orders show up as external.
    """
    claimed = _named(loaded)
    listed = loaded.config.instruments
    for name, holders in _holders(journals, is_flat).items():
        having = [strategy for strategy in claimed if strategy in holders]
        instrument = InstrumentId.from_str(name)
        if name not in listed or not having or any(instrument in claimed[one] for one in having):
            continue
        for mine in claimed.values():
            if instrument in mine:
                mine.remove(instrument)
        claimed[having[0]].append(instrument)
    return claimed


class Claiming:
    """NautilusTrader's claims of a run. One is lent while an order of another's is told of, which
    it would else give to the strategy that has the instrument."""

    def __init__(
        self, strategies: Iterable[Any], claimed: Mapping[str, Sequence[InstrumentId]]
    ) -> None:
        self._strategies = {str(one.strategy_id): one for one in strategies}
        self._claimed = {name: list(claimed[name]) for name in self._strategies}
        self._lent: dict[str, tuple[str | None, str]] = {}  # from whom and to whom, by instrument
        for name, mine in self._claimed.items():
            self._strategies[name].set_external_order_instrument_ids(mine)

    def has(self, strategy: str) -> bool:
        return strategy in self._strategies

    def lend(self, instrument: str, strategy: str) -> None:
        """Nothing of a strategy that is not in this run."""
        self.give_back(instrument)
        one = InstrumentId.from_str(instrument)
        owner = next((name for name, mine in self._claimed.items() if one in mine), None)
        if strategy in self._strategies and strategy != owner:
            self._move(one, owner, strategy)
            self._lent[instrument] = owner, strategy

    def give_back(self, instrument: str) -> None:
        if instrument in self._lent:
            owner, strategy = self._lent.pop(instrument)
            self._move(InstrumentId.from_str(instrument), strategy, owner)

    def _move(self, instrument: InstrumentId, giver: str | None, taker: str | None) -> None:
        if giver is not None:
            self._claimed[giver].remove(instrument)
            self._strategies[giver].set_external_order_instrument_ids(self._claimed[giver])
        if taker is not None:
            self._claimed[taker].append(instrument)
            self._strategies[taker].set_external_order_instrument_ids(self._claimed[taker])


def _holders(
    journals: Iterable[Journal], is_flat: Callable[[Position], bool]
) -> dict[str, set[str]]:
    """Strategies by instrument, of what is not over."""
    found: dict[str, set[str]] = {}
    for journal in journals:
        for order in journal.open_orders():
            found.setdefault(order.intent.instrument, set()).add(order.intent.strategy)
        for position in journal.positions():
            if not is_flat(position):
                found.setdefault(position.instrument, set()).add(position.strategy)
    return found


def _named(loaded: LoadedConfig) -> dict[str, list[InstrumentId]]:
    """Instruments by strategy id, as the params name them."""
    names = set(loaded.config.instruments)
    claimed: dict[str, list[InstrumentId]] = {}
    for strategy in loaded.config.strategies:
        mine = claimed.setdefault(strategy.id, [])
        for text in _texts(strategy.params):
            # A bar type starts with its instrument: BTC_USDT.VENUE-5-SECOND-LAST-INTERNAL.
            name = next((n for n in names if text == n or text.startswith(f"{n}-")), None)
            if name is not None:
                mine.append(InstrumentId.from_str(name))
                names.remove(name)
    return claimed


def _texts(params: Mapping[str, Any]) -> Iterator[str]:
    for value in params.values():
        if isinstance(value, str):
            yield value
        elif isinstance(value, list):
            yield from (item for item in value if isinstance(item, str))


class Counts(Protocol):
    """An account whose journal counts."""

    @property
    def venue(self) -> str: ...
    @property
    def journal(self) -> Journal: ...
    @property
    def instruments(self) -> Mapping[str, VenueInstrument]: ...

    def now_ns(self) -> int: ...


def count_in(gate: RiskGate, account: Counts, desk: TradedDesk) -> None:
    """Positions by strategy, as the results know them, what these have missed since, and every
    order that is not proven to be over."""
    held, missed = _booked(gate, account)
    since: defaultdict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for one in missed:
        since[one.strategy, one.fill.instrument] += one.signed
    by_strategy: dict[str, dict[str, Decimal]] = {}
    prices: dict[str, Decimal] = {}
    for position in held:
        name = position.instrument
        before = position.quantity - since[position.strategy, name]
        by_strategy.setdefault(position.strategy, {})[name] = before
        if (price := position.avg_price) is not None:
            prices[name] = max(price, prices.get(name, price))
    for strategy, positions in by_strategy.items():
        gate.seed_positions(positions, strategy, prices)
    gate.caught_up(missed, account.now_ns())
    for order in desk.live_orders():
        gate.adopt(_standing(order, account.journal))


def count_out(gate: RiskGate, account: Counts) -> None:
    """At the end: what the journal holds, though no strategy has heard of its last fills."""
    if not gate.books.is_counted(account.venue):
        return  # the start failed before
    try:
        held, missed = _booked(gate, account)
    except JournalError:
        return  # it is told what is wrong with it
    gate.books.missed(missed, account.now_ns())
    for one in held:
        gate.settle(one.strategy, one.instrument, one.quantity, one.avg_price or Decimal(0))


def count_again(gate: RiskGate, account: Counts, desk: TradedDesk) -> None:
    """The same at a later moment, before the first order: what is over counts no more."""
    for order in list(gate.ledger.live.values()):
        if order.instrument.rpartition(".")[2] == account.venue:
            gate.closed(order.client_order_id)
    count_in(gate, account, desk)


def _booked(gate: RiskGate, account: Counts) -> tuple[list[Position], list[Missed]]:
    """What is held, and which executions no result has, of one moment. Raises JournalError."""

    def facts_of(name: str) -> InstrumentFacts | None:
        known = account.instruments.get(name)
        return None if known is None else instrument_facts(known.nautilus)

    journal = account.journal
    with journal.one_moment():
        return journal.positions(), gate.books.take_missed(account.venue, journal, facts_of)


def _standing(order: LiveOrder, journal: Journal) -> CountedOrder:
    """One whose replacement is not settled may have either quantity: it counts with the larger.

    An exit that went with its entry is so still: counted as one of its own it would refuse what
    closes the position beside it, as where its stop was not taken.
    """
    intent, changed = order.intent, order.replacing
    return CountedOrder(
        client_order_id=intent.client_order_id,
        strategy=intent.strategy,
        instrument=intent.instrument,
        side=intent.side,
        quantity=max(intent.quantity, changed.quantity) if changed else intent.quantity,
        filled=order.filled,
        reduce_only=intent.reduce_only,
        contingent=intent.reduce_only and went_with_entry(journal, intent),
        kind=intent.kind,
        price=intent.price,
        role=intent.role,
    )
