"""Orders that are over leave NautilusTrader's cache after a while, in a live run.

It keeps every order with its events for as long as a run lasts. A strategy may have one in mind
that is over: the newest stay whatever their age, so that only one of many orders ago is not found.
What a run is summed up by is taken from an order before it goes; the order itself is in the
journal. NautilusTrader knows of it then what it knows of an order of an earlier run: nothing. So it
goes only where nothing more is told of it (its desk neither has it nor looks for it), where no
report could bring it back (the desk reports what is open), and where nothing that is decided next
reads it. An account that NautilusTrader's own clients trade has no such desk, and a simulation has
its results in the cache: they keep all.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from nautilus_trader.model import Venue

from fairlead.adapters.base.account import Account
from fairlead.engine.config.model import Execution
from fairlead.engine.guard.run_state import RunState
from fairlead.engine.observe.gone import Gone, refusal, unsent
from fairlead.engine.observe.orders_file import order_rows
from fairlead.engine.orders.journal import JournalError
from fairlead.engine.orders.late import DRIFT_WATCH_NS, WATCHED_MAX
from fairlead.engine.research.marks import Marks

logger = logging.getLogger(__name__)

LOOK_SECS = 1.0  # at most, between two looks
ORDERS_A_LOOK = 50  # some milliseconds of the loop
GIVEN_UP_SECS = 60.0  # how long what the journal has given up is known


class ClosedOrders:
    """Of one run. What `state` and `marks` have of an order goes with it."""

    def __init__(
        self,
        cache: Any,
        accounts: Iterable[object],
        strategies: Sequence[Any],
        state: RunState,
        marks: Marks,
        kept: Callable[[Gone], None],
        execution: Execution,
    ) -> None:
        """`kept` is given each before it goes; where it raises OSError, as of a full disk, it
        stays."""
        self._cache = cache
        self._accounts = [one for one in accounts if isinstance(one, Account)]
        self._strategies = strategies
        self._state = state
        state.lets_go = True
        self._after = marks.after
        self._kept = kept
        self._keep_secs = execution.closed_orders_secs
        self._newest = execution.closed_orders  # that stay, of each strategy
        # When an order was first seen to be over, and whose it is; oldest first
        self._since: dict[Any, tuple[float, str]] = {}
        self._given_up: dict[str, tuple[float, frozenset[str]]] = {}  # by venue, when it was read
        self._is_full = False

    async def run(self) -> None:
        """Until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(min(LOOK_SECS, self._keep_secs))
            try:
                self.look(loop.time())
            except RuntimeError as error:  # NautilusTrader lends its cache: the next look does it
                if "borrowed" not in str(error):
                    raise

    def look(self, now: float) -> None:
        """Let go what was over for long enough; `now` in seconds."""
        by_venue = {
            account.venue: self._cache.client_order_ids_closed(venue=Venue(account.venue))
            for account in self._accounts
        }
        closed = {name for names in by_venue.values() for name in names}
        for name in self._since.keys() - closed:  # taken back by its desk
            del self._since[name]
        for name in sorted(closed - self._since.keys(), key=str):
            self._since[name] = now, str(self._cache.strategy_id_for_order(name))
        for name in list(islice(self._due(now), ORDERS_A_LOOK)):
            _, owner = self._since.pop(name)
            if not self._let_go(name, now):
                self._since[name] = now, owner  # looked at again as if it had ended now

    def _due(self, now: float) -> Iterator[Any]:
        """What was over for long, the oldest first, but the newest of each strategy."""
        count = Counter(owner for _, owner in self._since.values())
        for name, (since, owner) in self._since.items():
            if now - since < self._keep_secs:
                return
            if count[owner] > self._newest:
                count[owner] -= 1
                yield name

    def _let_go(self, client_order_id: Any, now: float) -> bool:
        order = self._cache.order(client_order_id)
        if order is None:
            return True
        name = str(client_order_id)
        venue = str(order.instrument_id.venue)
        account = next(one for one in self._accounts if one.venue == venue)
        if not order.is_closed or self._is_needed(order, name, account, now):
            return False
        try:
            self._kept(self._told(order, name))
        except OSError as error:
            if not self._is_full:
                self._is_full = True
                logger.error(
                    "orders that are over stay in memory: %s; what is kept of them is in the "
                    "state folder's disk",
                    error,
                )
            return False
        self._is_full = False
        for strategy in self._strategies:
            if strategy._guard.id == str(order.strategy_id):
                strategy._guard.exits.forgotten(order)
        self._cache.purge_order(client_order_id)
        self._forget(order, name)
        return True

    def _is_needed(self, order: Any, name: str, account: Account, now: float) -> bool:
        """Whether something may still be told of it, bring it back, or read it."""
        desk = account.desk
        if desk is None or desk.get(name) is not None:
            return True
        try:
            if order.status.name == "REJECTED" and name in self._watched(account, now):
                return True  # it may turn up after all
        except JournalError as error:
            desk.fail(error)
            return True
        number = order.venue_order_id
        if number is not None:
            if self._cache.client_order_id(number) not in (None, order.client_order_id):
                return True  # given to another since: its entry is that one's
            if any(one.venue_order_id == str(number) for one in account.externals()):
                return True
        for linked in order.linked_order_ids or ():
            other = self._cache.order(linked)
            if other is not None and not other.is_closed:
                return True
        return any(strategy._guard.needs(name) for strategy in self._strategies)

    def _watched(self, account: Account, now: float) -> frozenset[str]:
        """Orders that were given up, and that the desk would take back. Raises JournalError."""
        read, names = self._given_up.get(account.venue, (now - GIVEN_UP_SECS, frozenset()))
        if now - read >= GIVEN_UP_SECS:
            since_ns = account.now_ns() - DRIFT_WATCH_NS
            found = account.journal.given_up_since(since_ns, WATCHED_MAX)
            names = frozenset(one.intent.client_order_id for one, _ in found)
            self._given_up[account.venue] = now, names
        assert account.desk is not None, "asked of an account with a desk"
        return names.union(one.intent.client_order_id for one in account.desk.given_up())

    def _told(self, order: Any, name: str) -> Gone:
        (row,) = order_rows([order], self._state.markets)
        trades = {str(fill["trade_id"]): f"{name}/{fill['trade_id']}" for fill in row["fills"]}
        return Gone(
            row=row,
            refused=refusal(order),
            unsent=unsent(order),
            after={trade: self._after[key] for trade, key in trades.items() if key in self._after},
        )

    def _forget(self, order: Any, name: str) -> None:
        state = self._state
        fills = [one for one in order.events() if type(one).__name__ == "OrderFilled"]
        keys = [f"{name}/{one.trade_id}" for one in fills]
        for key in keys:
            self._after.pop(key, None)
        if state.markets is not None:
            for key in (name, f"{name}/end", *keys):
                state.markets.pop(key, None)
        if state.ticks is not None:
            state.ticks.pop(name, None)
        state.lent.pop(name, None)
        state.apart.pop(name, None)
