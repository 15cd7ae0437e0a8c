"""Orders that NautilusTrader takes for another's, told as whose they are.

A flatten, of this process or of `fairlead kill`, books positions to KILL in the journal and closes
them with orders of KILL's. An order that was given up, and came, is told to NautilusTrader as an
order of its own, by a report; what stands at the start may be of a strategy that the run has no
more. NautilusTrader gives each such order to the strategy that claims the instrument, or to nobody:
the claim is lent to whose it is, where that is in the run, until NautilusTrader has the order. What
is executed of it the gate has from here, by the journal, so that no strategy's own position moves
by what is another's, whoever hears of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Protocol

import msgspec

from fairlead.engine import identifiers
from fairlead.engine.orders.journal import Journal
from fairlead.engine.orders.journal_reads import JournaledOrder
from fairlead.engine.orders.live import KILL_STRATEGY
from fairlead.engine.orders.model import Intent, Side, VenueFill
from fairlead.engine.orders.taken_over import Handed, handed_since

START_TRIES = 10  # where another process writes to the journal meanwhile


class Claims(Protocol):
    """To which strategy NautilusTrader gives an order that it does not know, by instrument."""

    def has(self, strategy: str) -> bool: ...  # whether the run has it
    def lend(self, instrument: str, strategy: str) -> None: ...
    def give_back(self, instrument: str) -> None: ...


# Of NautilusTrader: a strategy's signed position; None of the strategy: whether it has the order
Holds = Callable[[str, str], Decimal]
Knows = Callable[[str], bool]


class Apart:
    """Of one account. Quantities in base units, signed where they are positions."""

    def __init__(self, journal: Journal) -> None:
        # By the client order id that NautilusTrader has, and whose it is
        self.on_order: Callable[[str, str], None] = lambda *_: None
        self.on_handed: Callable[[str, str, str, Decimal], None] = lambda *_: None
        self.on_filled: Callable[[str, VenueFill], None] = lambda *_: None  # and whose it is
        self.claims: Claims | None = None
        self._journal = journal
        self._seq: int | None = None  # what the gate has of the journal; None: not begun
        self._booked: dict[str, set[str]] = {}  # trade ids by client order id
        self._own: set[str] = set()  # client order ids of this process's desk
        self._told: set[str] = set()  # ids of reports that were told since the start
        self._open: set[str] = set()  # KILL's
        self._missed: set[str] = set()  # another process's, that NautilusTrader does not have
        self._givers: defaultdict[str, defaultdict[str, Decimal]] = defaultdict(
            lambda: defaultdict(Decimal)
        )
        # By instrument: the id that NautilusTrader gets, and the journal's
        self._lent: dict[str, tuple[str, str]] = {}

    def start(self, count: Callable[[], None], has: Callable[[str], bool]) -> None:
        """`count` takes all that the journal holds now; from then on each step is told. `has`: by
        client order id, whether this process's desk has it."""
        for _ in range(START_TRIES):
            self._seq = self._journal.newest()
            count()
            unheard = {
                one.intent.client_order_id: one.intent.strategy
                for one in self._journal.open_orders()
                if not self._hears(one.intent.strategy)
            }
            self._booked = {name: self._trades(name) for name in unheard}
            if self._journal.newest() == self._seq:
                break
        self._own = {name for name in unheard if has(name)}
        self._open = {name for name, strategy in unheard.items() if strategy == KILL_STRATEGY}
        self._missed = self._open - self._own
        for name, strategy in unheard.items():
            self.on_order(name, strategy)

    def _hears(self, strategy: str) -> bool:
        if strategy == KILL_STRATEGY:
            return False
        return self.claims is None or self.claims.has(strategy)

    def reported(self, intent: Intent, name: str) -> None:
        """NautilusTrader is about to be told of an order by a report under the id `name`."""
        name = str(identifiers.client_order_id(name))
        if self._seq is None or intent.strategy == KILL_STRATEGY or name in self._told:
            return
        self._told.add(name)
        self._own.add(intent.client_order_id)
        self.on_order(name, intent.strategy)
        if self.claims is not None:
            self._lend(intent, name, intent.strategy)

    def filled(self, intent: Intent, fill: VenueFill) -> None:
        """This process's desk has booked an execution."""
        if self._seq is not None and intent.client_order_id in self._own:
            name = intent.client_order_id
            self._tell(name, intent.strategy, fill)

    def sent(self, intent: Intent, holds: Holds) -> None:
        """An order of KILL's is about to leave this process."""
        name = intent.client_order_id
        self._own.add(name)
        self.on_order(name, intent.strategy)
        self.look()
        self.lend(intent, holds)

    def lend(self, intent: Intent, holds: Holds) -> None:
        """Until NautilusTrader has the order: it is of the strategy that holds what it closes."""
        sign = 1 if intent.side is Side.SELL else -1
        for giver, quantity in self._givers[intent.instrument].items():
            held = sign * holds(giver, intent.instrument)
            if quantity and held >= intent.quantity and self.claims is not None:
                self._lend(intent, intent.client_order_id, giver)
                return

    def _lend(self, intent: Intent, name: str, strategy: str) -> None:
        assert self.claims is not None, "there is something to lend"
        self._lent[intent.instrument] = name, intent.client_order_id
        self.claims.lend(intent.instrument, strategy)

    def settle(self, knows: Knows) -> None:
        """What NautilusTrader has by now; what was lent for it, or for nothing, is given back."""
        self._missed -= {name for name in self._missed if knows(name)}
        for instrument, (told, name) in list(self._lent.items()):
            if self.claims is not None and (knows(told) or self._is_void(name)):
                del self._lent[instrument]
                self.claims.give_back(instrument)

    def _is_void(self, name: str) -> bool:
        order = self._journal.order(name)
        return order is None or (order.state.is_terminal and not order.filled)

    def look(self) -> None:
        """Tell what was handed over and executed since the last look. Raises JournalError."""
        if self._seq is None or (not self._open and self._journal.newest() == self._seq):
            return
        with self._journal.one_moment():
            newest = self._journal.newest()
            handed = handed_since(self._journal, self._seq)
            intended = self._journal.intended_since(self._seq, KILL_STRATEGY)
        self._seq = newest
        for one in handed:
            self._handed(one)
        for name in intended:
            self._booked.setdefault(name, set())
            self._open.add(name)
            if name not in self._own:
                self._missed.add(name)
                self.on_order(name, KILL_STRATEGY)
        for name in list(self._open):
            self._book(name)

    def _handed(self, one: Handed) -> None:
        over, of = one.over, self._givers[one.instrument]
        self.on_handed(over.giver, over.taker, one.instrument, over.quantity)
        if over.taker == KILL_STRATEGY:
            of[over.giver] += over.quantity
        else:
            of[over.taker] -= over.quantity

    def _book(self, name: str) -> None:
        """Tell the executions of one of KILL's that were not told yet. Raises JournalError."""
        for fill in self._journal.fills_of(name):
            self._tell(name, KILL_STRATEGY, fill)

    def _tell(self, name: str, strategy: str, fill: VenueFill) -> None:
        known = self._booked.setdefault(name, set())
        if fill.trade_id not in known:
            known.add(fill.trade_id)
            self.on_filled(strategy, msgspec.structs.replace(fill, client_order_id=name))

    def over(self) -> Iterator[JournaledOrder]:
        """Those of another process that have ended with an execution since the last time."""
        for name in list(self._open):
            order = self._journal.order(name)
            if order is not None and not order.state.is_terminal:
                continue
            self._open.discard(name)
            self._book(name)
            if order is None or not order.filled:
                self._missed.discard(name)
            elif name not in self._own:
                yield order

    def is_behind(self, instrument: str) -> bool:
        """Whether NautilusTrader lacks what another process has executed there, or may."""
        orders = (self._journal.order(name) for name in self._missed)
        return any(one is not None and one.intent.instrument == instrument for one in orders)

    def _trades(self, name: str) -> set[str]:
        return {fill.trade_id for fill in self._journal.fills_of(name)}
