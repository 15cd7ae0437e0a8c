"""What happened to a run, as its mode reads it to decide the exit code. Plain values only."""

from __future__ import annotations

import logging
import traceback
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any, Protocol

import msgspec

from fairlead.engine.errors import place_of
from fairlead.engine.guard.offer import Offer
from fairlead.engine.guard.turns import Turns
from fairlead.engine.orders.model import Quoted, Side
from fairlead.engine.risk.checks import Denial
from fairlead.engine.secrets import redact

logger = logging.getLogger(__name__)

FAULTS_MAX = 100  # kept with traceback; `fault_count` counts them all
DENIALS_MAX = 1000  # kept with message; `denial_counts` counts them all
TRACEBACK_CHARS_MAX = 16_000
MESSAGE_CHARS_SHOWN = 300
WARNINGS_MAX = 100


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """An exception that escaped a strategy's callback; `place` is FILE:LINE in its own code."""

    strategy: str
    callback: str
    error: str
    message: str
    place: str
    traceback: str

    def __str__(self) -> str:
        text = self.message.partition("\n")[0][:MESSAGE_CHARS_SHOWN]
        what = f"{self.error}: {text}" if text else self.error
        return f"{self.strategy}.{self.callback}: {what} ({self.place})"


class Breach(msgspec.Struct, frozen=True, kw_only=True):
    """An order, or a modify, that the gate did not approve came into being."""

    strategy: str
    client_order_id: str
    what: str


class DenialRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One order, or a modify of it, that the gate refused; `order` is NautilusTrader's.

    `market` is the top of the book then, as `RunState.markets` has it.
    """

    strategy: str
    client_order_id: str
    instrument: str
    denial: Denial
    ts_ns: int = 0
    order: Any = None
    market: Any = None


class Keeper(Protocol):
    """Keeps the orders of a venue account that no order desk sends (docs/nautilus-venues.md)."""

    def intend(self, orders: Sequence[Any]) -> None:
        """What is about to be handed to NautilusTrader. Raises JournalError: then nothing is."""

    def refused(self, orders: Iterable[Any], why: str) -> None:
        """NautilusTrader did not take them."""

    def stop_change(self, client_order_id: Any) -> None:
        """A modify that passed no gate is on its way: cancel the order before it leaves. Inside
        NautilusTrader's call, the strategy is lent. Never raises."""

    def told(self, event: Any) -> bool:
        """An order event; whether it is of an order that there is, else nobody is to hear of it.
        Plain attributes and files only: a strategy may be lent. Never raises."""


class RunState:
    """Shared by the mode and all strategies of one run.

    `instruments` are the instrument ids of the run. `stop_reason` is set when a strategy asks for
    the end of the run; `interrupted` when that was a KeyboardInterrupt inside a callback.
    """

    def __init__(self, instruments: tuple[str, ...] = ()) -> None:
        self.instruments = instruments
        self.faults: list[Fault] = []
        self.fault_count = 0
        self.breach: Breach | None = None
        self.denials: deque[DenialRecord] = deque(maxlen=DENIALS_MAX)
        self.denial_counts: Counter[str] = Counter()
        self.stop_reason: str | None = None
        self.interrupted = False
        # Ends the run in order when a strategy asks for it; None: NautilusTrader does
        self.end: Callable[[str], None] | None = None
        self.offer: Offer | None = None  # the market data of the run; None: not compared
        # Receive time of the market event that each order answers, by client order id, UNIX
        # nanoseconds; None: not kept. Whoever sends the order takes it out.
        self.ticks: dict[str, int] | None = None
        # The top of the book when an order was approved (by client order id), filled, or refused
        # (client order id / trade id, or "end"), as its strategy knew it; None: not kept.
        self.markets: dict[str, Any] | None = None
        # Whether the venue's clock is another than the run's: not in a backtest
        self.clocks_differ = False
        self.on_fill: Callable[[Any], None] | None = None  # told of each fill with its strategy
        # Whether a bracket whose stop the venue did not take is closed at the market
        self.closes_bare = True
        # Makes a strategy's next client order id; None: NautilusTrader's own, which are random.
        self.order_ids: Callable[[str], str] | None = None
        # Strategies by client order id, of orders that NautilusTrader takes for another's.
        self.lent: dict[str, Any] = {}
        # The same of orders of which the gate has from their desk what is executed; None: no
        # strategy of the run is to hear of it, as of one with which a kill closes.
        self.apart: dict[str, Any] = {}
        self.lets_go = False  # orders that are over leave NautilusTrader's cache after a while
        # Of a simulation by NautilusTrader's exchange (engine/guard/simulated.py): what is told of
        # each command as it is handed over, and whether exits that rest go there as plain orders.
        self.arrivals: Any = None
        self.plain_exits = False
        self.warnings: Counter[tuple[str, str]] = Counter()  # code and text
        self.turns = Turns()  # in which order strategies hear of one event
        self.keepers: dict[str, Keeper] = {}  # by venue name
        # Who is asked for a quote, by venue name; None of it: the book tells
        self.quotes: dict[str, Callable[[str, Side, Decimal], Awaitable[Quoted | None]]] = {}
        self.cores: dict[str, Any] = {}  # of the guards of strategies that have started, by id
        # By strategy and what of it waits, what to call at each event of an order
        self.ways: dict[tuple[str, str], Callable[[Any], None]] = {}
        self.fed: set[str] = set()  # instruments that some strategy's subscription covers

    def keeper_of(self, instrument_id: Any) -> Keeper | None:
        """Who keeps the orders of the instrument's venue; None: its order desk does."""
        return self.keepers.get(str(instrument_id.venue)) if self.keepers else None

    def add_fault(self, strategy: str, callback: str, error: BaseException) -> Fault:
        text = redact("".join(traceback.format_exception(error)))
        fault = Fault(
            strategy=strategy,
            callback=callback,
            error=type(error).__name__,
            message=redact(str(error))[:TRACEBACK_CHARS_MAX],
            place=place_of(error),
            traceback=text[-TRACEBACK_CHARS_MAX:],
        )
        self.fault_count += 1
        if len(self.faults) < FAULTS_MAX:
            self.faults.append(fault)
            logger.error("a strategy faulted: %s\n%s", fault, fault.traceback)
        return fault

    def warn(self, code: str, text: str) -> None:
        """Tell at once, the first time, and again in the summary. From any thread."""
        if (code, text) not in self.warnings:
            if len(self.warnings) >= WARNINGS_MAX:
                code, text = "WARNINGS", f"more than {WARNINGS_MAX} kinds of warnings; see the log"
            logger.warning("%s: %s", code, text)
        self.warnings[code, text] += 1

    def warned(self) -> list[str]:
        """The warnings, a line each, with how often each came."""
        return [
            f"{code}: {text}" + (f" ({count} times)" if count > 1 else "")
            for (code, text), count in self.warnings.items()
        ]

    def note_market(self, key: str, cache: Any, instrument_id: Any) -> None:
        """Keep the book's top for the orders file: bid, its size, ask, its size."""
        if self.markets is not None and (top := _top(cache, instrument_id)) is not None:
            self.markets[key] = top

    def market_of(self, cache: Any, order: Any) -> Any:
        """The same of an order that is refused; None where it is not kept."""
        if self.markets is None or order is None:
            return None
        return _top(cache, order.instrument_id)

    def add_breach(self, strategy: str, client_order_id: str, what: str) -> None:
        """Keep the first breach; it ends the run."""
        if self.breach is None:
            self.breach = Breach(strategy=strategy, client_order_id=client_order_id, what=what)

    def add_denial(self, record: DenialRecord) -> int:
        """Count a denial; returns how many of its code there were. The first of each is told."""
        if self.markets is None:  # no file of them will be written: keep no order alive
            record = msgspec.structs.replace(record, order=None)
        self.denials.append(record)
        code = record.denial.code
        self.denial_counts[code] += 1
        if self.denial_counts[code] == 1:
            who = f"{record.strategy} {record.instrument}".rstrip()
            logger.warning("the gate refused an order of %s: %s", who, record.denial)
        return self.denial_counts[code]


def _top(cache: Any, instrument_id: Any) -> Any:
    """Bid, its size, ask, its size: of the book, else of the last quote; None: there is neither,
    or the book is gone, which the quotes that are made from it outlive."""
    if (top := cache.top_of_book(instrument_id)) is not None:
        return top
    if cache.book_update_count(instrument_id):
        return None
    if (quote := cache.quote(instrument_id)) is None:
        return None
    return quote.bid_price, quote.bid_size, quote.ask_price, quote.ask_size
