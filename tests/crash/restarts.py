"""Every strategy of `strategies/`, each on a market of its own, killed and started again.

The markets go up and down in steps while a life runs; it is killed at rest: with a protective
stop, a bracket's stop and quotes at the venue. Each life must go on with what it finds there.
"""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from fairlead.adapters.oceanex import simulator_markets as oceanex
from fairlead.adapters.poloniex import simulator_markets as poloniex
from fairlead.engine.orders.journal import Journal, JournaledOrder, JournalError
from fairlead.engine.orders.model import OrderState, Role
from tests.crash.judge import Found, judge
from tests.crash.launch import Request
from tests.crash.lives import END_SECS, Life, Starter, _wait, ended, hold
from tests.live.bracketing import is_live, owner_of, remaining
from tests.support import configs
from tests.support.audit import ORDER_IDS, plain_id
from tests.support.processes import Venue

LIFE_SECS = 240.0
STILL_SECS = 5.0  # of a still market, in which a life comes to rest or not
STEP_SECS = 0.2  # a bar of each strategy
STEPS_UP = 8  # and as many down, and half of it at the bottom, where entries find their place
STEP = Decimal("0.0012")  # of the price
MIDDLE = Decimal(60_000)
LEVELS = (3, 15, 40)  # from the middle, quote units
DEEP = Decimal(5)
BAR = "200-MILLISECOND-LAST"
INVENTORY = {"BTC": Decimal("0.1")}  # handed to the maker; the others sell what they have bought
BASES = ("BTC", "ETH", "LTC", "XRP")
MAKER, TREND, BREAKOUT, BRACKETED = "Maker-1", "Trend-2", "Breakout-3", "Bracketed-4"
STRATEGIES = {
    MAKER: (
        "imbalance_maker:ImbalanceMaker",
        {
            "order_quantity": "0.02",
            "max_inventory": "0.1",
            "start_inventory": str(INVENTORY["BTC"]),
            "half_spread_bps": "6",
            "requote_ms": 100,
            "stale_ms": 60_000,
        },
    ),
    TREND: (
        "trend_follower:TrendFollower",
        {"order_quantity": "0.05", "bar": BAR, "fast": 1, "slow": 3, "atr": 1, "channel_atr": "0"},
    ),
    BREAKOUT: (
        "breakout:Breakout",
        {
            "order_quantity": "0.05",
            "bar": BAR,
            "lookback": 1,
            "stop_bps": "20",
            "limit_bps": "50",
            "retry_ms": 200,
        },
    ),
    BRACKETED: (
        "bracketed_breakout:BracketedBreakout",
        {"order_quantity": "0.05", "bar": BAR, "lookback": 1, "target_bps": "70"},
    ),
}
MORE = """
[risk]
max_order_notional = "100000 USDT"
max_open_orders = 50
max_orders_per_second = 100
price_collar_bps = "2000"
stale_after_ms = 60000

[execution]
poll_ms = 100
absent_quarantine_secs = 1.0
"""
BALANCES = {"USDT": Decimal(1_000_000)} | dict.fromkeys(BASES, Decimal(1))
QUIET = frozenset({OrderState.OPEN, OrderState.WAITING})


def options(key: str) -> Any:
    """A still venue with one market for each strategy, all with the rules of its BTC_USDT."""
    shared: dict[str, Any] = {"balances": BALANCES, "is_market_live": False}
    if key == "oceanex":
        first = oceanex.DEFAULT_MARKETS[0]
        made = [
            msgspec.structs.replace(first, id=f"{base}USDT".lower(), base=base) for base in BASES
        ]
        return oceanex.OceanexSimOptions(markets=tuple(made), **shared)
    one = poloniex.DEFAULT_MARKETS[0]
    symbols = [msgspec.structs.replace(one, symbol=f"{base}_USDT") for base in BASES]
    return poloniex.PoloniexSimOptions(markets=tuple(symbols), **shared)


class Restarts:
    """One account's journal, the lives that write it, and the market that they trade."""

    def __init__(self, key: str, served: Venue, folder: Path, starter: Starter) -> None:
        self.key = key
        self.log = folder / "run.log"
        self.journal = folder / "state" / f"{key}-main.journal.sqlite"
        self._served = served
        self._starter = starter
        (self.account,) = served.balances()
        self._since = served.ledger_size()  # what the account was given is before that
        strategies = [
            {
                "id": name,
                "path": f"fairlead.strategies.{path}",
                "params": {"instrument_id": f"{base}_USDT.{key.upper()}", **params},
            }
            for base, (name, (path, params)) in zip(BASES, STRATEGIES.items(), strict=True)
        ]
        self._config = configs.write(
            folder,
            served,
            strategies=strategies,
            instruments=tuple(f"{base}_USDT" for base in BASES),
            more=MORE,
        )
        self._step = 0
        self._moved = 0.0
        self._middle = dict.fromkeys(BASES, Decimal(0))
        for base in BASES:
            self._clear(base)
            self._move(base, MIDDLE)

    # -- lives ---------------------------------------------------------------------------------

    def live_and_die(self) -> None:
        """A life that goes on with the orders of the one before, until it is killed at rest."""
        before = frozenset(order.intent.client_order_id for order in self.open_orders())
        life = self._starter.start(self._request())
        try:
            self._until_at_rest(life, before)
        finally:
            life.send_signal(signal.SIGKILL)
            _wait(lambda: life.poll() is not None, END_SECS)
        id_of = ORDER_IDS.get(self.key, plain_id)
        at_venue = {id_of(order) for order in self.standing()}
        owned = {order.venue_order_id for order in self.open_orders()}  # or over, and not yet read
        assert at_venue <= owned, f"{at_venue - owned} are nobody's"

    def live_and_stop(self) -> int:
        """One that is stopped in order, once it has gone on. Its exit code."""
        before = frozenset(order.intent.client_order_id for order in self.open_orders())

        def is_over() -> bool:
            self._tick()
            self.check()
            return self._has_gone_on(before)

        return ended(self._starter.start(self._request()), is_over, LIFE_SECS)

    def _until(self, life: Life, condition: Callable[[], bool], *, moving: bool) -> None:
        deadline = time.monotonic() + LIFE_SECS
        while not condition():
            if moving:
                self._tick()
            self.check()
            code = life.poll()
            assert code is None, f"ended with {code}: {self.log.read_text()[-3000:]}"
            assert time.monotonic() < deadline, f"{self._roles()}: {self.log.read_text()[-3000:]}"
            time.sleep(0.02)

    def _has_gone_on(self, before: frozenset[str]) -> bool:
        """Stops and quotes rest, and the breakout has moved its stop, the maker its quotes."""
        new = {
            (order.intent.strategy, order.intent.role)
            for order in self.open_orders()
            if order.intent.client_order_id not in before
        }
        moved = {(BREAKOUT, Role.STOP), (MAKER, Role.QUOTE)}
        return moved <= new and self._has_exit(BRACKETED)

    def _has_exit(self, strategy: str) -> bool:
        mine = (o.intent for o in self.open_orders() if o.intent.strategy == strategy)
        return any(intent.role.is_exit for intent in mine)

    def _until_at_rest(self, life: Life, before: frozenset[str]) -> None:
        """Until all orders that are to be found again stand in a still market; it is held there."""
        is_held = False

        def rests() -> bool:
            nonlocal is_held
            is_held = self._rests(life, before)
            return is_held or time.monotonic() > until

        deadline = time.monotonic() + LIFE_SECS
        while not is_held:
            assert time.monotonic() < deadline, f"no rest: {self._roles()}"
            self._until(life, lambda: self._has_gone_on(before), moving=True)
            until = time.monotonic() + STILL_SECS
            self._until(life, rests, moving=False)

    def _rests(self, life: Life, before: frozenset[str]) -> bool:
        """Whether nothing is on its way and the orders stand; then the life is held there.

        It goes on trading between a look and a kill, on a busy machine for long; and what is being
        written is seen by the next life alone. A stop that was killed before it was sent is never
        proven on OceanEx, which does not list waiting ones: where one stands none is sent.
        """
        if not (self._is_quiet() and self._has_gone_on(before)):
            return False
        hold(life)
        if self._is_quiet() and self._has_gone_on(before):
            return True
        life.send_signal(signal.SIGCONT)
        return False

    def _is_quiet(self) -> bool:
        """Nothing is on its way."""
        orders = self.open_orders()
        states = {order.state for order in orders}
        return states <= QUIET and not any(order.cancel_requested for order in orders)

    def _request(self) -> Request:
        return Request(arguments=["live", str(self._config)], log=str(self.log))

    # -- what must hold ------------------------------------------------------------------------

    def check(self) -> None:
        """At every moment: one live exit for a position, one quote and one entry a side."""
        counts = Counter(
            (order.intent.strategy, "exit" if order.intent.role.is_exit else order.intent.side)
            for order in self.open_orders()
        )
        assert not [what for what, count in counts.items() if count > 1], counts

    def judge(self) -> Found:
        """The whole story, by the venue's ledger. Raises AssertionError."""
        ledger = self._served.ledger(self._since)
        mine = [entry for entry in ledger["entries"] if owner_of(entry) == self.account]
        for base in BASES:
            inventory = INVENTORY.get(base, Decimal(0))
            worst = worst_sale(mine, base)
            assert worst <= inventory, f"{base}: sales for {worst} more than was held"
        assert self.standing() == [], "orders that nobody owns"
        return judge(self.journal, self.key, ledger, self._served.balances(), frozenset())

    def standing(self) -> list[dict[str, Any]]:
        """The account's live orders at the venue."""
        last = {
            (entry["order"]["id"], entry["order"]["trigger_price"] is None): entry["order"]
            for entry in self._served.ledger(self._since)["entries"]
            if entry["type"] == "order" and owner_of(entry) == self.account
        }
        return [order for order in last.values() if is_live(order)]

    def open_orders(self) -> list[JournaledOrder]:
        """As the journal has them; none before there is one."""
        if not self.journal.exists():
            return []
        try:
            journal = Journal.reading(self.journal)
        except JournalError:
            return []
        try:
            return journal.open_orders()
        finally:
            journal.close()

    def _roles(self) -> Mapping[tuple[str, Role], int]:
        return Counter((o.intent.strategy, o.intent.role) for o in self.open_orders())

    # -- the markets ---------------------------------------------------------------------------

    def _tick(self) -> None:
        """The next step of every market, when it is due."""
        now = time.monotonic()
        if now - self._moved < STEP_SECS:
            return
        self._moved = now
        self._step += 1
        at = self._step % (5 * STEPS_UP // 2)
        height = max(0, STEPS_UP - abs(at - STEPS_UP * 3 // 2))
        for base in BASES:
            self._move(base, (MIDDLE * (1 + STEP * height)).quantize(Decimal(1)))

    def _move(self, base: str, middle: Decimal) -> None:
        """The book goes there, trading with what is in its way, and the last trade is there."""
        before = self._middle[base]
        sides = ("SELL", "BUY") if middle >= before else ("BUY", "SELL")
        for side in sides:
            if before:
                for price in _prices(before, side):
                    self._level(base, side, price, Decimal(0))
        for side in sides:
            for price in _prices(middle, side):
                self._level(base, side, price, DEEP)
        self._middle[base] = middle
        aggressor = "BUY" if middle >= before else "SELL"
        self._post(base, price=str(middle), quantity="0.0001", aggressor=aggressor)

    def _clear(self, base: str) -> None:
        book = self._served.book(self._market(base))
        for name, side in (("bids", "BUY"), ("asks", "SELL")):
            for level in book[name]:
                self._level(base, side, Decimal(level[0]), Decimal(0))

    def _level(self, base: str, side: str, price: Decimal, size: Decimal) -> None:
        self._post(base, side=side, price=str(price), size=str(size))

    def _post(self, base: str, **body: str) -> None:
        self._served.post("market", market=self._market(base), **body)

    def _market(self, base: str) -> str:
        return f"{base}USDT".lower() if self.key == "oceanex" else f"{base}_USDT"


def _prices(middle: Decimal, side: str) -> Iterator[Decimal]:
    for away in LEVELS:
        yield middle + away if side == "SELL" else middle - away


def worst_sale(entries: Sequence[Mapping[str, Any]], base: str) -> Decimal:
    """The most by which live sells ever exceeded what was bought and not sold, base units.

    Looked at whenever a sell came to the venue.
    """
    held = worst = Decimal(0)
    live: dict[tuple[Any, bool], Decimal] = {}
    for entry in entries:
        if entry["type"] == "balance" and entry["currency"] == base:
            held += Decimal(entry["free_delta"]) + Decimal(entry["locked_delta"])
        if entry["type"] != "order" or not _is_sale(entry["order"], base):
            continue
        order = entry["order"]
        key = (order["id"], order["trigger_price"] is None)
        is_new = key not in live
        live[key] = remaining(order) if is_live(order) else Decimal(0)
        if is_new:
            worst = max(worst, sum(live.values()) - held)
    return worst


def _is_sale(order: Mapping[str, Any], base: str) -> bool:
    return order["side"] == "SELL" and str(order["market"]).upper().startswith(base)
