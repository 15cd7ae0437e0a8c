"""What of one session outlives a process: its plan, its venue, the wire, and what is told."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from fairlead.adapters import registry
from fairlead.adapters.base.transport import HttpTransport, WsTransport
from fairlead.adapters.base.venue import AdapterContext, AdapterSpec
from fairlead.adapters.simulation.market import MarketDriver, SeededFlow, SeededFlowOptions
from fairlead.adapters.simulation.venue import SimulatedVenue
from fairlead.adapters.simulation.virtual_time import VirtualLoop, run_virtual
from fairlead.engine.config import model
from fairlead.engine.orders.model import VenueBalance
from fairlead.engine.sessions.books import Tape, TrueBook
from fairlead.engine.sessions.faults import SwarmFaults
from fairlead.engine.sessions.frames import FrameFaults
from fairlead.engine.sessions.plan import Gap, Plan
from fairlead.engine.sessions.shipped import shipped_of
from fairlead.engine.sessions.trace import Trace
from fairlead.engine.sessions.verdict import Violation
from fairlead.engine.sessions.wire import FaultyHttp, WireLog

OTHER = "OTHER"  # a halt that comes of no limit


class Scene:
    """Everything of one session that outlives a process: plan, venue, wire, and what is told."""

    def __init__(self, plan: Plan, folder: Path, trace: Trace, loop: VirtualLoop) -> None:
        self.plan = plan
        self.folder = folder
        self.trace = trace
        self.loop = loop
        trace.now = loop.time
        self.spec = registry.spec(plan.venue)
        self.venue_name = plan.venue.upper()
        self.wire = WireLog()
        self.healed = False
        self.is_over = False  # the agents stop
        self.is_closing = False  # brackets send no more exits
        self.halts: list[float] = []
        self.kills: list[float] = []  # of them those that let no exit go either
        self.is_killed = False  # in force over restarts, as what a kill stores beside the journal
        self.externals: set[int] = set()
        self.problems: list[Violation] = []
        self.stuck: list[str] = []
        self.last_balances: tuple[VenueBalance, ...] | None = None
        self.events: list[list[tuple[str, str]]] = []  # what strategies heard, life by life
        lag = self.spec.capabilities.max_order_lag_secs
        self.faults = SwarmFaults(plan, lag, loop.time)
        make = registry.simulator(plan.venue)
        self.venue: SimulatedVenue = make(now_ns=loop.now_ns(), seed=plan.seed)
        described: Any = self.venue.describe("", "")
        self.credentials: dict[str, str] = dict(described["credentials"])
        self._options: dict[str, Any] = dict(described.get("options", {}))
        if plan.vary_venue:
            self._options |= self.venue.vary(Random(f"vary/{plan.seed}"))  # noqa: S311 - simulation
        self.venue.faults = self.faults
        self.instrument, self.market = instrument_of(plan.venue)
        self.account = self.venue.account
        self._quicken()
        start = self.venue.exchange.markets[self.market].tape.last_price
        assert start is not None
        self.shipped = shipped_of(plan, self.instrument, start)
        self.tape = Tape(self.market)
        if self.shipped:
            self.venue.exchange.listeners.append(self.tape)
        self.frames = FrameFaults(plan.frames or {}, f"{plan.venue}/{plan.seed}")
        self.true_book = None if plan.frames is None else TrueBook(self.venue, self.market)

    def _quicken(self) -> None:
        """One market only, with few events: the session is about orders."""
        exchange = self.venue.exchange
        market = exchange.markets[self.market]
        start = market.tape.last_price
        assert start is not None
        now_ns = self.loop.now_ns()
        exchange.replace_background(self.market, {}, {}, now_ns)
        options = SeededFlowOptions(
            book_events_per_sec=3.0,
            trades_per_sec=1.5,
            levels=6,
            grid_bps=1.0,
            level_funds=self.plan.level_funds,
            trade_funds=self.plan.trade_funds,
            volatility_bps=self.plan.volatility_bps,
            reversion_secs=120.0,
            history_minutes=1,
        )
        rng = Random(f"market/{self.plan.venue}/{self.plan.seed}")  # noqa: S311 - simulation
        flow = SeededFlow(market.spec, start, rng, options)
        self.venue.driver = MarketDriver(exchange, [flow], now_ns)

    # -- what the parts ask --------------------------------------------------------------------

    def agents(self) -> tuple[str, ...]:
        return (*self.plan.agents, "bracketeer") if self.plan.brackets else self.plan.agents

    def config(self) -> model.Config:
        plan = self.plan
        return model.Config(
            name="simulated",
            venues={plan.venue: model.Venue(adapter=plan.venue, instruments=[self.instrument])},
            run=model.Run(on_stop=plan.on_stop),
            risk=model.Risk(
                max_order_notional=f"{plan.max_order_notional} {self.instrument_quote()}",
                max_position={self.instrument: Decimal(plan.max_position)},
                min_position=self._min_position(),
                max_open_orders=plan.max_open_orders,
                max_unknown_outcomes=plan.max_unknown_outcomes,
                max_daily_loss=(
                    [f"{plan.max_daily_loss} {self.instrument_quote()}"]
                    if plan.max_daily_loss is not None
                    else []
                ),
                kill_switch_file="KILL",
            ),
            # Any difference is taken over: what people trade by hand here is right.
            execution=model.Execution(
                poll_ms=plan.poll_ms, journal_fsync="never", max_drift_share=Decimal(1)
            ),
        )

    def _min_position(self) -> dict[str, Decimal]:
        """Where nobody else trades: what the shipped strategies may be short together."""
        if not self.shipped or len(self.shipped) < len(self.agents()):
            return {}
        return {self.instrument: sum((one.allowed.lowest for one in self.shipped), Decimal(0))}

    def instrument_quote(self) -> str:
        return self.venue.exchange.markets[self.market].spec.quote

    def wired(self, http: HttpTransport, ws: WsTransport) -> tuple[HttpTransport, WsTransport]:
        """The transports of a process, as its adapter gets them."""
        return http, ws

    def adapter_options(self, spec: AdapterSpec) -> Any:
        return options_of(spec, self._options)

    def touch(self) -> tuple[Decimal | None, Decimal | None]:
        bids, asks = self.venue.told_book(self.market)
        return next(iter(bids), None), next(iter(asks), None)

    def gap(self) -> Gap | None:
        """What is wrong with the engine's book now."""
        if self.healed:
            return None
        now = self.loop.time()
        return next((g for g in self.plan.gaps if g.at <= now < g.at + g.secs), None)

    def engine_now_ns(self) -> int:
        now = self.loop.time()
        if self.healed:
            return self.loop.now_ns()
        off = self.plan.skew_secs
        for step in self.plan.clock_steps:
            if now >= step.at:
                off += step.by
        return self.loop.now_ns() + round(off * 1e9)

    def is_disk_full(self) -> bool:
        now = self.loop.time()
        return not self.healed and any(w.at <= now < w.at + w.secs for w in self.plan.disk_full)

    def died(self, where: str) -> None:
        self.trace.count("deaths")
        self.trace.line("process", f"dies at {where}")

    def halted(self, code: str, why: str) -> None:
        self.halts.append(self.loop.time())
        if code == OTHER:
            self.kills.append(self.loop.time())
        self.trace.count("halts")
        self.trace.count(f"halt:{code}")
        self.trace.line("gate", f"halted: {why}")

    def defect(self, where: str, error: BaseException) -> None:
        """An exception that should not exist."""
        text = f"{where}: {type(error).__name__}: {error}"
        self.trace.line("defect", text)
        self.problems.append(Violation("DEFECT", "", text))

    def broken(self, code: str, subject: str, detail: str) -> None:
        """A promise that was seen to break."""
        self.problems.append(Violation(code, subject, detail))


def options_of(spec: AdapterSpec, told: Mapping[str, Any]) -> Any:
    """The adapter's options with what a simulated venue tells of them in `describe`."""
    return msgspec.convert(told, spec.options)


@lru_cache
def instrument_of(venue: str) -> tuple[str, str]:
    """The instrument to trade, and its name at the venue: BTC in USDT where there is one."""
    spec = registry.spec(venue)
    loop = VirtualLoop()
    simulated = registry.simulator(venue)(now_ns=loop.now_ns(), seed=1)
    described: Any = simulated.describe("", "")

    class Life:
        life = 0
        is_dead = False

        class steps:
            @staticmethod
            def reached(point: str) -> None: ...

    async def look() -> tuple[str, str]:
        plan = Plan(seed=0, venue=venue)
        http = FaultyHttp(
            simulated,
            process=Life(),  # type: ignore[arg-type]
            log=WireLog(),
            faults=SwarmFaults(plan, 0.0, loop.time),
            trace=Trace(),
            now_ns=loop.now_ns,
            latency_secs=0.0,
            lag_secs=0.0,
        )
        adapter = spec.create(
            AdapterContext(
                venue=venue.upper(),
                options=options_of(spec, described.get("options", {})),
                secrets={},
                http=http,
                now_ns=loop.now_ns,
                instruments=(),
            )
        )
        await adapter.refresh_instruments()
        usable = [
            (i.quote != "USDT", i.base != "BTC", name)
            for name, i in adapter.instruments.items()
            if i.tradable
        ]
        name = min(usable)[2]
        return name, adapter.instruments[name].symbol

    return run_virtual(look(), loop)
