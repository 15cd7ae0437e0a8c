"""A strategy with one bracket, a still market that a test moves, and the venue's truth."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from nautilus_trader.model import BookType, ClientOrderId, InstrumentId, OrderSide
from nautilus_trader.trading import StrategyConfig

from fairlead.adapters.oceanex.simulator_markets import OceanexSimOptions
from fairlead.adapters.poloniex.simulator_markets import PoloniexSimOptions
from fairlead.engine.brackets.keeper import SUBJECT
from fairlead.engine.brackets.steps import Bracket
from fairlead.engine.guard import GuardedStrategy
from fairlead.engine.orders.journal import Journal, JournaledOrder, JournalError
from fairlead.engine.risk.checks import Denial
from tests.support import configs
from tests.support.patience import PATIENCE_SECS
from tests.support.processes import Venue, start, wait_for

MARKETS = {"oceanex": "btcusdt", "poloniex": "BTC_USDT"}
BALANCES = {"USDT": Decimal(100_000), "BTC": Decimal(0)}  # an exit can only sell what was bought
OPTIONS = {
    "oceanex": OceanexSimOptions(balances=BALANCES, is_market_live=False),
    "poloniex": PoloniexSimOptions(balances=BALANCES, is_market_live=False),
}
STRATEGY = "Bracketing-1"
SUBJECT_ID = f"{SUBJECT} {STRATEGY}"
MIDDLE = Decimal(60_000)
STARTED = "started"  # a file beside the folder of commands
LEVELS = (1, 5, 20)  # from the middle, quote units
STEP = Decimal("0.000001")  # the size increment of BTC_USDT on both
DEEP = Decimal(5)  # base units at each level
EXECUTION = """
[execution]
poll_ms = 100
absent_quarantine_secs = 1.0
settle_timeout_secs = 1.5
"""
FLATTENS = 'max_daily_loss = ["0.1 USDT"]\non_breach = "halt+cancel+flatten"\n'  # a fee breaks it
RISK = """
[risk]
max_order_notional = "100000 USDT"
price_collar_bps = "2000"
stale_after_ms = 60000
"""


class BracketingConfig(StrategyConfig):
    """Prices in quote units; `entry` empty is a market order. `orders` is a folder of commands."""

    def __init__(
        self,
        *,
        instrument_id: InstrumentId,
        orders: str,
        quantity: str = "0.0123",
        stop: str = "59400",
        target: str = "60600",
        entry: str = "",
        **native: Any,
    ) -> None:
        self.instrument_id = instrument_id
        self.orders = orders
        self.quantity = Decimal(quantity)
        self.stop = Decimal(stop)
        self.target = Decimal(target)
        self.entry = Decimal(entry) if entry else None


class Bracketing(GuardedStrategy):
    """Does once what each file in its folder names: `bracket`, `close`, `exit`, `forget`."""

    config_class = BracketingConfig

    def __init__(self, config: BracketingConfig) -> None:
        super().__init__(config)
        self.name = config.instrument_id

    def on_start(self) -> None:
        Path(self.config.orders).with_name(STARTED).touch()
        self.subscribe_book_deltas(self.name, BookType.L2_MBP, managed=True)
        self.subscribe_trades(self.name)
        self.clock.set_timer("commands", timedelta(milliseconds=20))

    def on_time_event(self, event: Any) -> None:
        if self.cache.top_of_book(self.name) is None:
            return
        for command in Path(self.config.orders).iterdir():
            command.unlink()
            getattr(self, f"_do_{command.name}")()

    def _do_bracket(self) -> None:
        made, wanted = self.cache.instrument(self.name), self.config
        self.bracket(
            self.name,
            OrderSide.BUY,
            made.make_qty(wanted.quantity),
            stop=made.make_price(wanted.stop),
            target=made.make_price(wanted.target),
            entry=None if wanted.entry is None else made.make_price(wanted.entry),
        )

    def on_gate_denied(self, order: Any, denial: Denial) -> None:
        self.log.error(f"DENIED {order.order_type}: {denial}")

    def _do_close(self) -> None:
        (position,) = self.cache.positions_open(strategy_id=self.strategy_id)
        self.close_position(position)

    def _do_exit(self) -> None:
        self.market_exit()

    def _do_forget(self) -> None:
        (bracket,) = self.open_brackets()
        self.cancel_bracket(ClientOrderId(bracket.entry))


class Bench:
    """Runs of the strategy on one served venue, its market, and what the venue knows."""

    def __init__(self, key: str, served: Venue, folder: Path) -> None:
        self.key = key
        self.served = served
        self.market = MARKETS[key]
        self.log = folder / "run.log"
        self.toml = folder / "test.toml"
        self.journal = folder / "state" / f"{key}-main.journal.sqlite"
        self.kill_file = folder / "state" / "KILL"
        self._folder = folder
        self.commands = folder / "commands"
        self.started = folder / STARTED
        self.commands.mkdir()
        self._process: subprocess.Popen[str] | None = None
        (self.account,) = served.balances()
        self._since = served.ledger_size()
        self._nudges = 0
        for side in ("bids", "asks"):
            self._clear(side)
        self.move(MIDDLE)

    # -- runs ----------------------------------------------------------------------------------

    def start(self, **options: str) -> None:
        self.started.unlink(missing_ok=True)
        self._process = start("live", self.config(**options), log=self.log)

    def config(self, *, risk: str = RISK, run: str = "", **params: str) -> Path:
        named = {
            "instrument_id": f"BTC_USDT.{self.key.upper()}",
            "orders": str(self.commands),
            **params,
        }
        strategy = {"id": STRATEGY, "path": "tests.live.bracketing:Bracketing", "params": named}
        more = risk + EXECUTION + run
        return configs.write(self._folder, self.served, strategies=[strategy], more=more)

    def command(self, what: str) -> None:
        (self.commands / what).touch()
        self.wait(lambda: not (self.commands / what).exists(), f"{what} to be done")

    def end(self, number: int = signal.SIGTERM) -> int:
        assert self._process is not None
        if self._process.poll() is None:
            self._process.send_signal(number)
        try:
            return self._process.wait(PATIENCE_SECS)
        finally:
            if self._process.poll() is None:
                self._process.kill()
                self._process.wait(PATIENCE_SECS)

    def wait(self, condition: Any, what: str) -> None:
        assert self._process is not None
        process = self._process

        def is_over() -> bool:
            self.nudge()
            return condition() or process.poll() is not None

        wait_for(is_over, f"{what}; see {self.log}")
        assert process.poll() is None, self.told()

    def told(self) -> str:
        return self.log.read_text()[-4000:] if self.log.exists() else ""

    # -- the market ----------------------------------------------------------------------------

    def move(self, middle: Decimal) -> None:
        """The book goes there, trading with what is in its way, and the last trade is there."""
        book = self.served.book(self.market)
        is_up = not book["bids"] or Decimal(book["bids"][0][0]) < middle
        for side in ("asks", "bids") if is_up else ("bids", "asks"):
            self._clear(side)
        for side in ("SELL", "BUY") if is_up else ("BUY", "SELL"):
            for away in LEVELS:
                price = middle + away if side == "SELL" else middle - away
                self._level(side, price, DEEP)
        self.trade(middle, Decimal("0.0001"), "BUY" if is_up else "SELL")
        self.middle = middle

    def nudge(self) -> None:
        """A level far from the price changes: a venue sends a book when there is news."""
        self._nudges += 1
        size = DEEP + Decimal(self._nudges % 9) / 10
        self._level("BUY", self.middle - LEVELS[-1], size)

    def trade(self, price: Decimal, quantity: Decimal, aggressor: str) -> None:
        self.served.post(
            "market",
            market=self.market,
            price=str(price),
            quantity=str(quantity),
            aggressor=aggressor,
        )

    def _clear(self, name: str) -> None:
        for level in self.served.book(self.market)[name]:
            side = "BUY" if name == "bids" else "SELL"
            self._level(side, Decimal(level[0]), Decimal(0))

    def _level(self, side: str, price: Decimal, size: Decimal) -> None:
        self.served.post("market", market=self.market, side=side, price=str(price), size=str(size))

    # -- the venue's truth ---------------------------------------------------------------------

    def entries(self) -> list[dict[str, Any]]:
        found = self.served.ledger(self._since)["entries"]
        return [entry for entry in found if owner_of(entry) == self.account]

    def orders(self) -> list[dict[str, Any]]:
        """As they are now, oldest first."""
        found = {e["order"]["id"]: e["order"] for e in self.entries() if e["type"] == "order"}
        return [found[number] for number in sorted(found)]

    def exits(self) -> list[dict[str, Any]]:
        return [order for order in self.orders() if order["side"] == "SELL"]

    def standing(self) -> list[tuple[str, Decimal]]:
        """Each live exit at the venue: what it is, and its remaining base units."""
        return [
            ("target" if o["trigger_price"] is None else "stop", remaining(o))
            for o in self.exits()
            if is_live(o)
        ]

    def held(self) -> Decimal:
        """Base units bought and not sold, fees off."""
        return sum((moved(entry) for entry in self.entries()), Decimal(0))

    def sellable(self) -> Decimal:
        return self.held() // STEP * STEP

    def covered(self) -> Decimal:
        return sum((quantity for _, quantity in self.standing()), Decimal(0))

    def ends(self) -> list[tuple[str, str, Decimal | None]]:
        """Each exit: what it is, its status, and the average price that it got."""
        return [
            (
                "target" if order["trigger_price"] is None else "stop",
                order["status"],
                Decimal(order["funds"]) / Decimal(order["executed"])
                if Decimal(order["executed"])
                else None,
            )
            for order in self.exits()
        ]

    def fault(self, method: str, path: str, kind: str, secs: float = 0.5) -> None:
        self.served.post("faults", method=method, path=path, kind=kind, times=1, secs=secs)

    def refuse_stops(self, path: str) -> None:
        """From the next order on: where an entry goes the same way, that one passes."""
        if path == "/v1/orders$":
            self.fault("POST", path, "delay", secs=0.01)
        body = {"method": "POST", "path": path, "kind": "too_many", "times": 1000}
        self.served.post("faults", **body)

    def brackets(self) -> list[Bracket] | None:
        """Those that the journal has as open; None before the first."""
        note = self._read(lambda journal: journal.last_note(SUBJECT_ID, list[Bracket]))
        return None if note is None else note[1]

    def open_orders(self) -> list[JournaledOrder]:
        return self._read(lambda journal: journal.open_orders()) or []

    def _read[T](self, what: Callable[[Journal], T]) -> T | None:
        """None while there is no journal, or its tables are not there yet."""
        if not self.journal.exists():
            return None
        try:
            journal = Journal.reading(self.journal)
        except JournalError:
            return None
        try:
            return what(journal)
        finally:
            journal.close()

    def last_order(self) -> str:
        """Its client order id."""
        with sqlite3.connect(f"file:{self.journal}?mode=ro", uri=True) as db:
            newest = "SELECT client_order_id FROM orders ORDER BY ts_sent DESC"
            return str(db.execute(newest).fetchone()[0])

    def states(self) -> list[str]:
        with sqlite3.connect(f"file:{self.journal}?mode=ro", uri=True) as db:
            return [row[0] for row in db.execute("SELECT state FROM orders ORDER BY ts_sent")]


def owner_of(entry: dict[str, Any]) -> str:
    return str(entry["order"]["account"] if entry["type"] == "order" else entry["account"])


def is_live(order: dict[str, Any]) -> bool:
    return order["status"] not in ("filled", "canceled")


def remaining(order: dict[str, Any]) -> Decimal:
    return Decimal(order["quantity"]) - Decimal(order["executed"])


def moved(entry: dict[str, Any]) -> Decimal:
    """What an entry of the ledger did to the base units that the account has."""
    if entry["type"] != "balance" or entry["currency"] != "BTC":
        return Decimal(0)
    return Decimal(entry["free_delta"]) + Decimal(entry["locked_delta"])


def worst_cover(entries: list[dict[str, Any]]) -> Decimal:
    """The most by which live exits ever exceeded what was held, base units; not above 0 is right.

    Looked at whenever an exit came to the venue.
    """
    held = worst = Decimal(0)
    live: dict[int, Decimal] = {}
    for entry in entries:
        held += moved(entry)
        if entry["type"] != "order" or entry["order"]["side"] != "SELL":
            continue
        order = entry["order"]
        is_new = order["id"] not in live
        live[order["id"]] = remaining(order) if is_live(order) else Decimal(0)
        if is_new:
            worst = max(worst, sum(live.values()) - held)
    return worst
