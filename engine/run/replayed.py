"""A kept run's commands once more: the same orders, changes and cancels, in a backtest.

Each is given when it was given, and arrives when the run says that it arrived, so that what differs
is the simulated exchange's doing, or the data's, and no strategy's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import msgspec
from nautilus_trader.model import (
    BookType,
    ClientOrderId,
    InstrumentId,
    OrderSide,
    Price,
    Quantity,
    TimeInForce,
    TriggerType,
)

from fairlead.engine.config.changes import parsed
from fairlead.engine.config.latency import FIXED, LatencySpec
from fairlead.engine.config.loaded import LoadedConfig
from fairlead.engine.config.resolved import ResolvedStrategy, resolve
from fairlead.engine.errors import Exit, FairleadError
from fairlead.engine.guard.building import build_strategy
from fairlead.engine.guard.strategy import GuardedStrategy
from fairlead.engine.matching.delays import Delays, Sent
from fairlead.engine.matching.shadow import Decided
from fairlead.engine.orders.model import REDUCE_TAG, Role, TriggerSource, with_role
from fairlead.engine.research.columns import Row
from fairlead.engine.research.cuts import ended_at
from fairlead.engine.research.runs import Run
from fairlead.engine.risk.checks import Denial
from fairlead.engine.run.as_held import AsHeld
from fairlead.engine.run.backtest import RunResult, run_backtest
from fairlead.engine.run.config import load
from fairlead.engine.run.latency import Latency
from fairlead.engine.run.prepared import Seen

AT_ONCE = frozenset({"IOC", "FOK"})
UNSENT = frozenset({"DENIED", "INITIALIZED"})
LIMITS = frozenset({"LIMIT", "STOP_LIMIT", "LIMIT_IF_TOUCHED"})
TRIGGERED = frozenset({"STOP_LIMIT", "LIMIT_IF_TOUCHED", "STOP_MARKET", "MARKET_IF_TOUCHED"})
PLAYED = LIMITS | TRIGGERED | {"MARKET"}
AFTER = timedelta(seconds=1)
EARLY_NS = 100_000_000


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """`order` is the row of the run; `terms` of a new order, or of what it becomes. It was given at
    `ts`, and arrived at `due` (None: nothing shows when)."""

    ts: int
    what: str  # submit, modify, cancel
    order: Row
    terms: Mapping[str, str | None] = {}
    due: int | None = None


def commands(rows: Iterable[Row], late_ns: int = 1, typical_ns: int = 0) -> list[Command]:
    """In the order in which they were given; of one moment, what makes room first. A cancel that
    came too late comes when the run's did, as far as one is `typical_ns` on its way, and `late_ns`
    after the last fill at least: by so much the trade that filled may have been received later."""
    found = [
        one
        for row in rows
        if row["status"] not in UNSENT
        for one in _of_order(row, late_ns, typical_ns)
    ]
    return sorted(found, key=_turn)


def _turn(one: Command) -> tuple[int, bool, str]:
    return one.ts, one.what == "submit", str(one.order["client_order_id"])


def _of_order(row: Row, late_ns: int, typical_ns: int) -> Iterator[Command]:
    changes = row["changes"]
    first = changes[0] if changes else row
    answered = row["ts_accepted"] or (row["ts_last"] if row["status"] == "REJECTED" else None)
    if answered is None and row["fills"]:
        answered = row["fills"][0]["ts_event"]
    yield Command(ts=row["ts_init"], what="submit", order=row, terms=first, due=answered)
    asked, later = row.get("asked") or [], list(changes[1:])
    for one in asked:
        if one["what"] == "modify" and later and later[0]["ts_event"] >= one["ts"]:
            change = later.pop(0)
            due = change["ts_event"]
            yield Command(ts=one["ts"], what="modify", order=row, terms=change, due=due)
    is_ended = row["status"] in ("CANCELED", "EXPIRED")
    ended = ended_at(row) if is_ended else None
    ends = [one["ts"] for one in asked if one["what"] == "cancel"]
    taken = max((ts for ts in ends if ended is not None and ts <= ended), default=None)
    for ts in ends:
        due = ended if ts == taken else None
        if row["status"] == "FILLED":
            due = max(ts + max(typical_ns, late_ns), row["ts_last"] + late_ns)  # it came too late
        yield Command(ts=ts, what="cancel", order=row, due=due)
    if is_ended and not ends and row["kind"] != "MARKET" and row["time_in_force"] not in AT_ONCE:
        ts = row["ts_last"] if ended is None else ended
        yield Command(ts=ts, what="cancel", order=row, due=ended)


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """What the commands are given with: what the run's strategies held by then (None: what they
    hold here), on what is `seen` of the data; and whether the exchange cuts what takes to its own
    position, as one of a paper run does, and a venue without reduce-only orders never. An order of
    before `begin_ns` was there when the run began."""

    held: AsHeld | None = None
    seen: Seen | None = None
    cuts: bool = True
    begin_ns: int = 0


class Told:
    """`Delays`: when the command that is given next arrives; `ids` has what each order of the run
    is called here; by that `denied` has why the gate refused it, `unchanged` when it first refused
    a change of it, and why."""

    in_order = False  # as they arrived

    def __init__(self, typical_ns: int, most_ns: int) -> None:
        self.typical_ns, self.most_ns = typical_ns, most_ns
        self.due: int | None = None
        self.ids: dict[str, str] = {}
        self.denied: dict[str, str] = {}
        self.unchanged: dict[str, tuple[int, str]] = {}

    def next_ns(self, sent: Sent) -> int:
        return self.typical_ns if self.due is None else max(self.due - sent.now_ns, 0)


class AsTold(Latency):
    """Of a run whose commands know when they arrive."""

    def __init__(self, told: Told, words: str) -> None:
        super().__init__(LatencySpec(kind=FIXED), told.typical_ns, 0)
        self.is_fixed, self._delays, self.told = False, told, words

    def of(self, venue: str) -> Delays | None:
        return self._delays


class Replayed(GuardedStrategy):
    """Gives the commands of one strategy. `played` and `delays` are those of its class."""

    played: Sequence[Command] = ()
    delays: Told
    given: Given
    declares: Mapping[InstrumentId, Any] = {}
    _at = 0

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self._early: dict[str, Command] = {}  # orders of before the run, whose market is to come

    def declared(self) -> Mapping[InstrumentId, Any]:
        return self.declares

    def on_start(self) -> None:
        assert self._guard is not None  # since it was built
        self._guard.way.is_left = self._guard.room.is_left = True
        waiting = {
            (one.order["instrument"], one.order["kind"])
            for one in self.played
            if one.order["trigger_price"]
        }
        for name, kind in sorted(waiting):
            self._watch(name, kind)
        self._next()

    def _watch(self, name: str, kind: str) -> None:
        """What such an order waits for."""
        assert self._guard is not None  # since it was built
        instrument_id = InstrumentId.from_str(name)
        able = self._guard.gate.capabilities.get(str(instrument_id.venue))
        if able is None or able.source_for(kind) is TriggerSource.LAST:
            self.subscribe_trades(instrument_id)
        else:
            self.subscribe_book_deltas(instrument_id, BookType.L2_MBP, managed=True)

    def _next(self) -> None:
        if self._at < len(self.played):
            # A nanosecond later: an order that answers a fill comes after it
            ts = max(self.played[self._at].ts, self.clock.timestamp_ns()) + 1
            self.clock.set_time_alert_ns(f"command-{self._at}", ts, self._give)

    def _give(self, _event: Any) -> None:
        now = self.clock.timestamp_ns()
        while self._at < len(self.played) and self.played[self._at].ts < now:
            command = self.played[self._at]
            self._at += 1
            self._do(command)
        self._next()

    def _do(self, command: Command) -> None:
        self.delays.due = command.due
        try:
            getattr(self, f"_{command.what}")(command)
        finally:
            self.delays.due = None

    def _try_early(self, _event: Any) -> None:
        early, self._early = self._early, {}
        for command in early.values():
            self._do(command)

    def _is_early(self, command: Command) -> bool:
        """Whether it waits: the venue had the order before anything was told of its market, and the
        run's gate was not asked."""
        name = command.order["client_order_id"]
        self._early.pop(name, None)
        if command.order["ts_init"] >= self.given.begin_ns:
            return False
        assert self._guard is not None  # since it was built
        market = self._guard.ready().reference(command.order["instrument"])
        if market is not None and market.valid:
            return False
        if not self._early:
            at_ns = self.clock.timestamp_ns() + EARLY_NS
            self.clock.set_time_alert_ns("early", at_ns, self._try_early)
        self._early[name] = command
        return True

    def _submit(self, command: Command) -> None:
        if self._is_early(command):
            return
        self._as_held(command)
        order = _order(self.order_factory, command, self.given)
        self.delays.ids[command.order["client_order_id"]] = str(order.client_order_id)
        self.submit_order(order)

    def _modify(self, command: Command) -> None:
        name = command.order["client_order_id"]
        if (early := self._early.get(name)) is not None:
            self._early[name] = msgspec.structs.replace(early, terms=command.terms)
            return
        if (order := self._open(command)) is None:
            return
        terms = command.terms
        price, trigger = (
            None if terms[name] is None else Price.from_str(str(terms[name]))
            for name in ("price", "trigger_price")
        )
        quantity = Quantity.from_str(str(terms["quantity"]))
        here = (getattr(order, name, None) for name in ("quantity", "price", "trigger_price"))
        if all(
            new in (None, old) for new, old in zip((quantity, price, trigger), here, strict=True)
        ):
            return  # it is so already, and NautilusTrader takes no command that changes nothing
        self._as_held(command)
        self.modify_order(order.client_order_id, quantity, price, trigger)

    def _cancel(self, command: Command) -> None:
        if self._early.pop(command.order["client_order_id"], None) is not None:
            return
        if (order := self._open(command)) is not None:
            self.cancel_order(order.client_order_id)

    def _as_held(self, command: Command) -> None:
        if self.given.held is not None:
            assert self._guard is not None  # since it was built
            self.given.held.settle(self._guard.gate, self.cache, command.ts, command.order)

    def on_gate_denied(self, order: Any, denial: Denial) -> None:
        name, told = str(order.client_order_id), self.delays
        if order.status.name == "INITIALIZED":
            told.denied[name] = str(denial)
        else:
            told.unchanged.setdefault(name, (self.clock.timestamp_ns(), str(denial)))

    def _open(self, command: Command) -> Any:
        name = self.delays.ids.get(command.order["client_order_id"])
        order = None if name is None else self.cache.order(ClientOrderId(name))
        return None if order is None or order.is_closed or order.is_pending_cancel else order


def _order(factory: Any, command: Command, given: Given) -> Any:
    row, terms = command.order, command.terms
    kind = row["kind"]
    where = (
        InstrumentId.from_str(row["instrument"]),
        getattr(OrderSide, row["side"]),
        Quantity.from_str(str(terms["quantity"])),
    )
    tif = row["time_in_force"]
    more: dict[str, Any] = {
        "time_in_force": getattr(TimeInForce, "GTC" if tif == "GTD" else tif),
        "reduce_only": bool(row["reduce_only"]),
        "tags": with_role(None, Role(row["role"])),
    }
    if row["reduce_only"] and not given.cuts:
        more["reduce_only"], more["tags"] = False, [*(more["tags"] or ()), REDUCE_TAG]
    prices = []
    if kind in LIMITS:
        prices.append(Price.from_str(str(terms["price"])))
        if row["post_only"]:
            more["post_only"] = True
    if kind in TRIGGERED:
        prices.append(Price.from_str(str(terms["trigger_price"])))
        more["trigger_type"] = getattr(TriggerType, row["trigger_type"])
    return getattr(factory, kind.lower())(*where, *prices, **more)


class Replay(msgspec.Struct, frozen=True, kw_only=True):
    """What came of the commands. `told` has its orders' ids here, and what the gate refused;
    `decided` has, by that id, its fills when the matching decided on them."""

    result: RunResult
    told: Told
    decided: Mapping[str, Sequence[Row]]


def recording_of(run: Run, loaded: LoadedConfig) -> Path:
    """The catalog that the run recorded; of a backtest, the one that it read.

    Raises FairleadError PARITY-UNRECORDED.
    """
    files = run.summary.get("files", {})
    told = files.get("recording") or files.get("catalog")
    record = loaded.config.record
    root = loaded.resolve("data" if record is None else record.dir)
    places = (root,) if told is None else (Path(told), root)  # which may have been moved
    for one in (found for place in places for found in (place / "catalog", place)):
        if (one / "data").is_dir():
            return one
    raise FairleadError(
        "PARITY-UNRECORDED",
        f"{run.id}: expected the catalog that the run recorded, found none in {places[0]}; a run "
        "records with a [record] section whose `normalized` is on",
        int(Exit.NO_DATA),
    )


def config_of(run: Run, config: Path | None = None) -> LoadedConfig:
    """The run's config over the span of the run. Raises FairleadError as `load` does."""
    path = config or Path(run.stamp.config_path)
    changes: dict[str, Any] = dict(parsed(f"{k}={v}" for k, v in run.manifest.changes.items()))
    loaded = load(path, changes)
    found = {
        "backtest.catalog": str(recording_of(run, loaded)),
        "backtest.start": _moment(run.summary["start_ns"]),
        "backtest.end": _moment(run.summary["end_ns"]) + AFTER,
    }
    return load(path, {**changes, **found})


def _moment(ns: int) -> datetime:
    return datetime.fromtimestamp(ns // 1_000_000_000, UTC) + timedelta(
        microseconds=ns % 1_000_000_000 // 1000
    )


def usual_ns(loaded: LoadedConfig, rows: Iterable[Row]) -> int:
    """From a command to its answer, the middle one of a run; else the config's latency."""
    found = [row["ts_accepted"] - row["ts_init"] for row in rows if row["ts_accepted"]]
    default_ns = int(loaded.config.simulated.latency_ms * 1_000_000)
    return max(int(median(found)) if found else default_ns, 1)


def replay(
    loaded: LoadedConfig,
    rows: Sequence[Row],
    played: Sequence[Command],
    words: str,
    given: Given,
) -> Replay:
    """The backtest of `loaded` with these commands in place of its strategies'.

    Raises FairleadError as a backtest does, and PARITY-ENDED where it did not end well: what it was
    not given then says nothing of the run.
    """
    told = Told(usual_ns(loaded, rows), 60_000_000_000)
    resolved = resolve(loaded, "backtest").require()
    strategies = [_in_place_of(loaded, one, played, told, given) for one in resolved.strategies]
    found: list[Decided] = []
    result = run_backtest(
        loaded, latency=AsTold(told, words), strategies=strategies, decided=found, seen=given.seen
    )
    if code := result.exit_code:
        result.dispose()
        text = f"the backtest of the run's commands {words} ended so: {result.summary.outcome}"
        raise FairleadError("PARITY-ENDED", text, int(code))
    decided: dict[str, list[Row]] = {}
    for name, ts, price, quantity in found:
        fill = {"ts_event": ts, "price": format(price, "f"), "quantity": format(quantity, "f")}
        decided.setdefault(name, []).append(fill)
    return Replay(result=result, told=told, decided=decided)


def _in_place_of(
    loaded: LoadedConfig,
    one: ResolvedStrategy,
    played: Sequence[Command],
    told: Told,
    given: Given,
) -> ResolvedStrategy:
    """Its orders, under its name, with what it declared to hold."""
    original = build_strategy(loaded, one)
    name = str(original.strategy_id)
    mine = [command for command in played if command.order["strategy"] == name]
    body = {
        "__module__": __name__,
        "played": mine,
        "delays": told,
        "given": given,
        "declares": original.declared(),
    }
    return msgspec.structs.replace(one, cls=type("Replayed", (Replayed,), body))
