"""A simulated venue but for its wire: its account and its funds, its markets and their flow.

A venue derives its state from `SimState`, which its handlers get, and its simulator from that
state: they know nothing of the sockets and servers that the simulator adds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from random import Random
from typing import Any, Literal, Required, TypedDict

import msgspec

from fairlead.adapters.simulation.exchange import Exchange, ExchangeOptions
from fairlead.adapters.simulation.faults import Faults
from fairlead.adapters.simulation.market import (
    MS,
    MarketDriver,
    MarketFlow,
    SeededFlow,
    SeededFlowOptions,
)
from fairlead.adapters.simulation.orders import MarketSpec, NewOrder, SimOrder
from fairlead.adapters.simulation.replay import ReplayFlow, ReplaySource

QUIET_EVENTS_PER_SEC = 0.5
LEVELS_MAX = 10_000  # of a side that are told
QUOTE_VALUES = {"BTC": 60_000.0, "ETH": 3_000.0}


class SimOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What every simulated venue has an option for.

    `balances` is what the test account starts with. `quote_values`, in USDT, size the markets of
    other quote currencies. `settle_ms` is how long an order stays `cancelling`.
    """

    balances: dict[str, Decimal] = {}
    flow: SeededFlowOptions = SeededFlowOptions()
    active_markets: tuple[str, ...] = ()  # others only quote
    is_market_live: bool = True  # False: books are filled once and nothing moves by itself
    quote_values: dict[str, float] = msgspec.field(default_factory=QUOTE_VALUES.copy)
    replay_market: str = ""
    replay_at_end: Literal["loop", "stop"] = "loop"
    settle_ms: int = 0


class Start(TypedDict, total=False):
    """What every simulator takes by name besides its options; see `SimState`."""

    now_ns: Required[int]
    seed: int
    replay: ReplaySource | None
    replay_market: str | None
    ids_from: int


class PlannedError(msgspec.Struct, frozen=True):
    """An error that the venue answers once, whatever it did."""

    path: str  # as its routes name it
    code: int
    message: str
    is_executed: bool


class SimState[Options: SimOptions]:
    """What handlers work on. The same seed and options give the same market."""

    def __init__(
        self,
        options: Options,
        account: str,
        listed: Sequence[tuple[MarketSpec, Decimal]],
        matching: ExchangeOptions,
        *,
        now_ns: int,
        seed: int = 1,
        replay: ReplaySource | None = None,
        replay_market: str | None = None,
        ids_from: int = 0,
    ) -> None:
        """`listed` are the markets and their prices to start from.

        The numbers of orders and trades begin `ids_from` later than those of `matching`.

        Raises ValueError for an empty recording or a `replay_market` that does not exist.
        """
        if replay_market is not None:
            options = msgspec.structs.replace(options, replay_market=replay_market)
        self.options = options
        self.account = account
        self.seed = seed
        self.faults = Faults(seed)
        matching = msgspec.structs.replace(
            matching,
            settle_ns=options.settle_ms * MS,
            first_order_id=matching.first_order_id + ids_from,
            first_trade_id=matching.first_trade_id + ids_from,
        )
        self.exchange = Exchange([spec for spec, _ in listed], matching)
        self.exchange.open_account(account)
        for currency, amount in options.balances.items():
            self.exchange.adjust(account, currency, amount, Decimal(0), "deposit", now_ns)
        self.driver = MarketDriver(self.exchange, self._flows(listed, replay), now_ns)
        self.driver.paused = not options.is_market_live
        self._planned: list[PlannedError] = []

    def change(self, **changes: Any) -> None:
        """Other options from now on."""
        self.options = msgspec.structs.replace(self.options, **changes)
        settle_ns = self.options.settle_ms * MS
        self.exchange.options = msgspec.structs.replace(self.exchange.options, settle_ns=settle_ns)

    def fail_next(
        self, path: str, code: int, message: str = "", *, is_executed: bool = False
    ) -> None:
        """Answer the next such request with an error, of those that prove nothing of the rest."""
        self._planned.append(PlannedError(path, code, message, is_executed))

    def take_planned_error(self, path: str) -> PlannedError | None:
        found = next((one for one in self._planned if one.path == path), None)
        if found is not None:
            self._planned.remove(found)
        return found

    # -- what a `SimulatedVenue` has, and most need not change ---------------------------------

    def vary(self, rng: Random) -> dict[str, Any]:
        return {}

    def control(self, body: Mapping[str, object]) -> object:
        raise ValueError("this venue has no switches of its own")

    def ledger_id(self, venue_order_id: str) -> int:
        return int(venue_order_id)

    def told_book(self, market: str) -> tuple[dict[Decimal, Decimal], dict[Decimal, Decimal]]:
        book = self.exchange.markets[market].book
        return dict(book.bids.levels(LEVELS_MAX)), dict(book.asks.levels(LEVELS_MAX))

    def trade_by_hand(self, new: NewOrder, now_ns: int) -> SimOrder | None:
        order = self.exchange.submit(self.account, new, now_ns)
        return order if isinstance(order, SimOrder) else None

    def _flows(
        self, listed: Sequence[tuple[MarketSpec, Decimal]], replay: ReplaySource | None
    ) -> list[MarketFlow]:
        options = self.options
        if replay is not None and options.replay_market not in {spec.id for spec, _ in listed}:
            raise ValueError(f"replay market {options.replay_market} is not a market")
        flows: list[MarketFlow] = []
        for number, (spec, start_price) in enumerate(listed):
            if replay is not None and spec.id == options.replay_market:
                flows.append(ReplayFlow(spec, replay, options.replay_at_end))
                continue
            rng = Random(f"{self.seed}/{number}/{spec.id}")  # noqa: S311 - simulation
            flows.append(SeededFlow(spec, start_price, rng, self._flow_of(spec)))
        return flows

    def _flow_of(self, spec: MarketSpec) -> SeededFlowOptions:
        """In the quote currency; quiet where the market is not active."""
        flow, value = self.options.flow, self.options.quote_values.get(spec.quote, 1.0)
        is_active = spec.id in self.options.active_markets
        return msgspec.structs.replace(
            flow,
            level_funds=flow.level_funds / value,
            trade_funds=flow.trade_funds / value,
            book_events_per_sec=flow.book_events_per_sec if is_active else QUIET_EVENTS_PER_SEC,
            trades_per_sec=flow.trades_per_sec if is_active else QUIET_EVENTS_PER_SEC / 10,
        )
