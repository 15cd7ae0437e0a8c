"""All that is told, as JSON by row: built while somebody looks, at most every `LEAST_SECS`.

Each section is a table of rows by key; of two builds only the rows that differ are told. The work
is cut into pieces between which the loop has its turn, so that no tick waits for it.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from fairlead.engine.errors import FairleadError
from fairlead.engine.observe.page import rows, told
from fairlead.engine.observe.page.status import status_of
from fairlead.engine.observe.page.worth import Worths, worth_now
from fairlead.engine.secrets import redact

if TYPE_CHECKING:
    from fairlead.engine.observe.page.sources import ShownAccount, Sources

logger = logging.getLogger(__name__)

LEAST_SECS = 0.25
FILLS_MAX = 200
DENIALS_SHOWN = 50
WARNINGS_SHOWN = 100
PIECE = 50  # orders between two turns of the loop
ONE = ""  # the key of a section that has one row

_encode = msgspec.json.Encoder().encode
Table = dict[str, bytes]


class Change(msgspec.Struct, frozen=True):
    """What differs from the build before, by section: rows that are new or changed, keys gone."""

    changed: dict[str, dict[str, msgspec.Raw]]
    gone: dict[str, list[str]]


class Snapshot:
    """Of one run. `number` counts the builds."""

    def __init__(self, sources: Sources, *, is_controlled: bool) -> None:
        self.number = 0
        self.worths = Worths()
        self.fills: deque[Any] = deque(maxlen=FILLS_MAX)  # NautilusTrader's events
        self.fill_count = 0
        self.failures = 0
        self._sources = sources
        self._is_controlled = is_controlled
        self._tables: dict[str, Table] = {}
        self._built = -math.inf  # by the loop's clock
        self._building = asyncio.Lock()
        self._seen_orders: dict[str, tuple[tuple[object, ...], bytes]] = {}
        self._marks: dict[str, object] = {}  # by section, what it was made of
        self._told_failures: set[str] = set()

    # -- what the run tells --------------------------------------------------------------------

    def filled(self, event: Any) -> None:
        """A fill, as its strategy is told of it."""
        self.fill_count += 1
        self.fills.append(event)

    def sample(self) -> None:
        """Keep what the accounts are worth, where it is time to. Never raises."""
        now_ns = self._sources.now_ns()
        if self._sources.trades and self.worths.is_due(now_ns):
            try:
                self.worths.sample(now_ns, self.worth())
            except Exception as error:
                self._failed("worth", error)

    # -- what is read --------------------------------------------------------------------------

    async def fresh(self) -> None:
        """Build, where the last build is old. Never raises."""
        async with self._building:
            if asyncio.get_running_loop().time() - self._built >= LEAST_SECS:
                await self._build()

    def outdated(self) -> None:
        """The next who asks has it built anew."""
        self._built = -math.inf

    def worth(self) -> dict[tuple[str, str], Decimal]:
        """By venue and currency. Raises RuntimeError where NautilusTrader lends its cache."""
        sources = self._sources
        if sources.cache is None or not sources.trades:
            return {}
        loaded = sources.loaded
        paid = loaded.paid if sources.is_real else ()
        return {
            (key.upper(), currency): value
            for key in loaded.traded
            for currency, value in worth_now(
                sources.cache,
                key.upper(),
                loaded.config.venues[key].instruments,
                is_paid=key.upper() in paid,
            ).items()
        }

    def open_orders(self) -> int:
        """How many are not over now."""
        if self._sources.is_real:
            desks = (one.desk for one in self._sources.accounts)
            return sum(len(desk.live_orders()) for desk in desks if desk is not None)
        return len(list(self._simulated()))

    def table(self, section: str) -> list[bytes]:
        """Its rows as JSON, of the last build."""
        return list(self._tables.get(section, {}).values())

    def row(self, section: str) -> bytes:
        """Of a section that has one."""
        return self._tables.get(section, {}).get(ONE, b"null")

    def whole(self) -> Change:
        """Everything, for who sees it the first time."""
        return Change(
            {
                section: {key: msgspec.Raw(row) for key, row in table.items()}
                for section, table in self._tables.items()
            },
            {},
        )

    async def change(self) -> Change:
        """Build, and tell what differs from the build before."""
        before = self._tables
        await self.fresh()
        changed: dict[str, dict[str, msgspec.Raw]] = {}
        gone: dict[str, list[str]] = {}
        for section, table in self._tables.items():
            old = before.get(section, {})
            if table is old:
                continue
            rows_new = {k: msgspec.Raw(row) for k, row in table.items() if old.get(k) != row}
            if rows_new:
                changed[section] = rows_new
            if lost := [key for key in old if key not in table]:
                gone[section] = lost
        return Change(changed, gone)

    # -- building ------------------------------------------------------------------------------

    async def _build(self) -> None:
        self._built = asyncio.get_running_loop().time()
        self.sample()
        tables = dict(self._tables)
        tables["orders"] = await self._orders()
        for section, build in (
            ("fills", self._fills),
            ("positions", self._positions),
            ("books", self._books),
            ("equity", self._equity),
            ("denials", self._denials),
            ("warnings", self._warnings),
            ("status", lambda: self._status(len(tables["orders"]))),
        ):
            await asyncio.sleep(0)
            try:
                tables[section] = build()
            except Exception as error:  # the section stays as it was, until it can be made
                self._marks.pop(section, None)
                self._failed(section, error)
        self._tables = tables
        self.number += 1

    def _failed(self, section: str, error: Exception) -> None:
        """NautilusTrader lends its cache (RuntimeError): the next build reads it."""
        if isinstance(error, RuntimeError):
            return
        self.failures += 1
        text = f"{type(error).__name__}: {error}"
        if f"{section} {text}" not in self._told_failures and len(self._told_failures) < 100:
            self._told_failures.add(f"{section} {text}")
            is_ours = not isinstance(error, FairleadError)
            logger.error("PAGE: %s is not shown: %s", section, redact(text), exc_info=is_ours)

    def _unchanged(self, section: str, made_of: object) -> Table | None:
        """The table of before, where it was made of the same."""
        if self._marks.get(section) == made_of and section in self._tables:
            return self._tables[section]
        self._marks[section] = made_of
        return None

    async def _orders(self) -> Table:
        table: Table = {}
        seen: dict[str, tuple[tuple[object, ...], bytes]] = {}
        count = 0
        async for key, mark, make in self._live():
            count += 1
            if count % PIECE == 0:
                await asyncio.sleep(0)
            known = self._seen_orders.get(key)
            if known is None or known[0] != mark:
                known = (mark, _encode(make()))
            seen[key] = known
            table[key] = known[1]
        self._seen_orders = seen
        before = self._tables.get("orders")
        return before if before == table and before is not None else table

    async def _live(
        self,
    ) -> AsyncIterator[tuple[str, tuple[object, ...], Callable[[], told.OrderTold]]]:
        """Id of each order that is not over, what its row is made of, and what makes it."""
        sources = self._sources
        for account in sources.accounts:
            if account.desk is None:
                continue
            unknown = _unknown(account)
            for order in account.desk.live_orders():
                key = order.intent.client_order_id
                is_unknown = key in unknown
                mark = (
                    id(order.told),
                    order.state,
                    order.venue_order_id,
                    order.filled,
                    order.cancel_requested,
                    order.is_missing,
                    order.ts_sent,
                    is_unknown,
                )
                yield key, mark, partial(rows.of_order, order, is_unknown=is_unknown)
        for order in () if sources.is_real else self._simulated():
            changed = (order.status, str(order.filled_qty), order.ts_last)
            yield str(order.client_order_id), changed, partial(rows.of_simulated, order)

    def _simulated(self) -> Iterable[Any]:
        cache = self._sources.cache
        if cache is None or not self._sources.trades:
            return ()
        try:
            return [*cache.orders_open(), *cache.orders_inflight()]
        except RuntimeError:  # lent
            return ()

    def _fills(self) -> Table:
        if (same := self._unchanged("fills", self.fill_count)) is not None:
            return same
        known = self._tables.get("fills", {})
        table: Table = {}
        for event in self.fills:
            key = f"{event.client_order_id}/{event.trade_id}"
            table[key] = known.get(key) or _encode(rows.of_fill(event))
        return table

    def _positions(self) -> Table:
        return {key: _encode(row) for key, row in rows.positions(self._sources)}

    def _books(self) -> Table:
        return {
            name: _encode(rows.of_book(one, self._sources.cache))
            for name, one in self._sources.status.books.items()
        }

    def _equity(self) -> Table:
        if (same := self._unchanged("equity", self.worths.count)) is not None:
            return same
        return {
            f"{venue} {currency}": _encode(
                told.EquityTold(
                    venue=venue.lower(),
                    currency=currency,
                    points=[
                        told.EquityPoint(ts_ns=ts, worth=format(round(value, 8), "f"))
                        for ts, value in points
                    ],
                )
            )
            for (venue, currency), points in self.worths.points.items()
        }

    def _denials(self) -> Table:
        parts = self._sources.parts
        counts = {} if parts is None else dict(sorted(parts.run_state.denial_counts.items()))
        if (same := self._unchanged("denials", counts)) is not None:
            return same
        last = [] if parts is None else list(parts.run_state.denials)[-DENIALS_SHOWN:][::-1]
        shown = told.Denials(counts=counts, last=[rows.of_denial(one) for one in last])
        return {ONE: _encode(shown)}

    def _warnings(self) -> Table:
        sources, parts = self._sources, self._sources.parts
        warned = {} if parts is None else dict(parts.run_state.warnings)
        found = [finding for account in sources.accounts for finding in account.findings]
        made_of = (sources.status.problem_count, len(found), warned)
        if (same := self._unchanged("warnings", made_of)) is not None:
            return same
        told_of = [(one.ts_ns, one.code, one.message, 1) for one in sources.status.problems]
        told_of += [
            (one.ts_event, one.code, rows.of_finding(one), 1) for one in found[-WARNINGS_SHOWN:]
        ]
        told_of += [(0, code, text, count) for (code, text), count in warned.items()]
        told_of.sort(key=lambda one: -one[0])
        shown = [
            told.Warned(ts_ns=ts, code=code, text=redact(text), count=count)
            for ts, code, text, count in told_of[:WARNINGS_SHOWN]
        ]
        return {ONE: _encode(shown)}

    def _status(self, open_orders: int) -> Table:
        shown = status_of(
            self._sources,
            open_orders=open_orders,
            fills=self.fill_count,
            worth=self.worth(),
            is_controlled=self._is_controlled,
        )
        return {ONE: _encode(shown)}


def _unknown(account: ShownAccount) -> set[str]:
    """Client order ids of the account's orders whose outcome nothing proves."""
    unresolved = getattr(account.desk, "unresolved", None)
    return set() if unresolved is None else {one.intent.client_order_id for one in unresolved()}
