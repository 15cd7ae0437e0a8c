"""What a strategy's brackets read of orders, market and position: from journal, gate and view."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

import msgspec

from fairlead.engine.brackets.keeper import JournalLegs
from fairlead.engine.brackets.steps import Bracket, Grid, Leg, held_by
from fairlead.engine.orders.journal import Journal
from fairlead.engine.orders.model import Kind, Side
from fairlead.engine.risk.facts import RiskView
from fairlead.engine.risk.gate import RiskGate


class Cover(msgspec.Struct, kw_only=True):
    """Base units of one instrument and exit side, of all brackets together, by the journal.

    `live` is what exits that are not over ask for, `standing` those of them that the venue has;
    targets that went with their entry protect nothing, and are in neither.
    """

    held: Decimal = Decimal(0)
    live: Decimal = Decimal(0)
    standing: Decimal = Decimal(0)
    price: Decimal  # the worst of an exit, for what is too small to be sent


class BracketView:
    """The reading half of a `fairlead.engine.brackets.keeper.Owner`.

    `journals` are those of the accounts, by NautilusTrader venue name; none in a simulation of
    NautilusTrader's own.
    """

    def __init__(
        self, strategy: str, gate: RiskGate, view: RiskView, journals: Mapping[str, Journal]
    ) -> None:
        self._id = strategy
        self._gate = gate
        self._view = view
        self._legs = {venue: JournalLegs(journal) for venue, journal in journals.items()}

    def now_ns(self) -> int:
        return self._view.now_ns()

    def leg(self, bracket: Bracket, client_order_id: str) -> Leg | None:
        """By the journal; of what is not written there yet, what else is known."""
        known = self._journaled(bracket, client_order_id)
        return known or self.approved_leg(client_order_id, self._base(bracket))

    def _journaled(self, bracket: Bracket, client_order_id: str) -> Leg | None:
        legs = self._legs.get(bracket.instrument.rpartition(".")[2])
        return None if legs is None else legs.leg(client_order_id, self._base(bracket))

    def _base(self, bracket: Bracket) -> str:
        facts = self._view.instrument(bracket.instrument)
        return "" if facts is None else facts.base or ""

    def approved_leg(self, client_order_id: str, base: str) -> Leg | None:
        """An order that no journal knows: on its way, as the gate has approved it."""
        live = self._gate.ledger.live.get(client_order_id)
        if live is None:
            return None
        return Leg(
            client_order_id=client_order_id,
            kind=live.kind,
            quantity=live.quantity,
            filled=live.filled,
            price=live.price,
        )

    def price(self, instrument: str, side: Side) -> Decimal | None:
        """Of a whole and fresh market; of any other nothing is known.

        Nor while nothing may be created: a stop stays then, since no target could take its place.
        """
        if self._gate.is_stopped(self._id, instrument):
            return None
        now_ns = self._view.now_ns()
        market = self._view.reference(instrument)
        if market is None or not market.valid:
            return None
        if now_ns - market.ts_ns > self._gate.limits.stale_after_ns:
            return None
        touch = market.bid if side is Side.SELL else market.ask
        return touch if touch is not None else market.last

    def grid(self, instrument: str) -> Grid | None:
        facts = self._view.instrument(instrument)
        if facts is None:
            return None
        able = self._view.capabilities(instrument)
        return Grid(
            step=facts.size_increment,
            min_quantity=facts.min_quantity or Decimal(0),
            min_notional=facts.min_notional or Decimal(0),
            has_stops=able is None or able.takes(Kind.STOP_LIMIT),
            has_cancels=able is None or able.cancels or not self._legs,
        )

    def keeps_stops(self, instrument: str) -> bool:
        """Whether stops rest at the venue, and not with the engine while a run is there."""
        able = self._view.capabilities(instrument)
        return able is None or Kind.STOP_LIMIT in able.kinds

    def closes_bare(self) -> bool:
        """Whether a position whose stop the venue did not take is closed at the market."""
        return True

    def targets_most(self, instrument: str) -> int:
        """How many targets the venue takes with an entry in one call; 0: none."""
        able = self._view.capabilities(instrument)
        return 0 if able is None else able.bracket_targets

    def position(self, instrument: str) -> Decimal:
        """By the journal, else by the gate; fees in base currency are taken off.

        Never more than the gate has counted, which hears of a fill a moment after the journal: it
        would refuse the rest.
        """
        counted = self._gate.ledger.by_strategy.get((self._id, instrument), Decimal(0))
        legs = self._legs.get(instrument.rpartition(".")[2])
        if legs is None:
            return counted
        journaled = legs.position(self._id, instrument)
        if journaled * counted <= 0:
            return Decimal(0)
        return min(journaled, counted, key=abs)

    def covers(self, brackets: Iterable[Bracket]) -> dict[tuple[str, Side], Cover]:
        """What brackets hold at real accounts, and what stands for it: by the journal alone, as
        what is not in it never left. Raises JournalError.
        """
        found: dict[tuple[str, Side], Cover] = {}
        for one in brackets:
            entry = self._journaled(one, one.entry)
            if entry is None:
                continue
            known = [leg for name in one.exits if (leg := self._journaled(one, name)) is not None]
            exits = [leg for leg in known if leg.client_order_id not in one.sent[:-1]]
            key = one.instrument, one.exit_side
            cover = found.setdefault(key, Cover(price=one.stop_limit))
            cover.held += held_by(one, entry, known)
            cover.live += sum((leg.remaining for leg in exits), Decimal(0))
            cover.standing += sum((leg.remaining for leg in exits if leg.is_standing), Decimal(0))
        for (name, side), cover in found.items():
            position = self._legs[name.rpartition(".")[2]].position(self._id, name)
            most = position if side is Side.SELL else -position
            cover.held = max(min(cover.held, most), Decimal(0))
        return found

    def is_counted(self, leg: Leg) -> bool:
        """By the gate, where the order is live until its last fill is heard of."""
        live = self._gate.ledger.live.get(leg.client_order_id)
        return live is None or live.filled >= leg.filled

    def is_heard(self, leg: Leg) -> bool:
        return leg.client_order_id not in self._gate.ledger.live

    def leaving(self, instrument: str, side: Side, exits: frozenset[str]) -> Decimal:
        total = Decimal(0)
        for order in self._gate.ledger.live.values():
            if order.strategy != self._id or order.instrument != instrument:
                continue
            if order.contingent:  # a list's stop and target stand for each other, and its entry
                continue
            is_exit = order.side is side and (order.reduce_only or order.kind == Kind.MARKET)
            if is_exit and order.client_order_id not in exits:
                total += order.remaining
        return total
