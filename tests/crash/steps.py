"""`kill -9` at every numbered step of every order type on every venue.

    python -m tests.crash.steps [--jobs 4] [--only TEXT ...] [--every N] [--no-recovery] [--spawn]

For each venue of the registry, each way it takes orders and each order type it has: a dry run tells
the steps (`tests.crash.seam`), then for each step a run of its own dies there of SIGKILL, the same
config is started again, converges and is stopped in order, and its journal is compared with what
the venue knows. Then the same for the steps of the restart itself, after a death with the request
sent and no answer read. Exit code 1 if a case fails.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args, get_type_hints

import msgspec

from fairlead.adapters import registry
from fairlead.engine.errors import Exit
from fairlead.engine.orders.journal import Journal, JournalError
from fairlead.engine.orders.model import (
    Capabilities,
    Kind,
    OrderState,
    Side,
    TriggerCondition,
)
from tests.crash import seam
from tests.crash.judge import Found, judge
from tests.crash.launch import Request
from tests.crash.lives import Forked, Life, Spawned, Starter, ended, killed
from tests.crash.script import NEAR, UNITS, Scenario, scenarios
from tests.support import configs
from tests.support.bare import bared
from tests.support.processes import Venue, venue
from tests.support.venues import has_stops, playable, rests, unprovable

INSTRUMENT = "BTC_USDT"
QUANTITY_STEP = Decimal("0.0001")
OCCURRENCES_MAX = 3  # of one point that are numbered; polls may pass it for ever
LIFE_SECS = 60.0
TRIES = 3  # of a step that is not made in every life
UNREACHED_MAX = 0.05  # of all cases, where they are more than a few
FEW = 2
MOVED = NEAR * Decimal("1.5")  # beyond what waits, and within its limit
READS = ("ask ", "told ", "frame-in ")
MORE = """
[risk]
max_order_notional = "100000 USDT"
price_collar_bps = "1000"

[execution]
poll_ms = 100
absent_quarantine_secs = 1.0
"""


class Route(msgspec.Struct, frozen=True):
    """A venue and one way to send orders to it: `options` are those of its adapter."""

    key: str
    options: tuple[tuple[str, str], ...] = ()
    is_bare: bool = False  # without its stops, which the engine holds for it

    @property
    def name(self) -> str:
        bare = ["held"] if self.is_bare else []
        return "/".join([self.key, *(value for _, value in self.options), *bare])

    @property
    def able(self) -> Capabilities:
        able = registry.spec(self.key).capabilities
        return bared(able) if self.is_bare else able


WAYS = ("order_transport", "dialect")  # options by which orders go another way


def routes() -> list[Route]:
    """Every registered venue with a simulator, once for each way that it offers, and once without
    its stops where it has those."""
    found = []
    for key in playable():
        spec = registry.spec(key)
        hints = get_type_hints(spec.options)
        ways = [(name, way) for name in WAYS if name in hints for way in get_args(hints[name])]
        found += [Route(key, (one,)) for one in ways] or [Route(key)]
        if has_stops(spec.capabilities):
            found.append(Route(key, is_bare=True))
    return found


class Step(msgspec.Struct, frozen=True):
    """The `number`-th time that a point is passed."""

    point: str
    number: int

    @property
    def is_read(self) -> bool:
        """Polls come when they come: not every life passes such a step."""
        return self.point.startswith(READS)

    @property
    def is_send(self) -> bool:
        """A request that changes something has left, and no answer was read."""
        return self.point.startswith(("sent ", "frame-sent "))

    def __str__(self) -> str:
        return self.point if self.number == 1 else f"{self.point} #{self.number}"


class Result(msgspec.Struct, frozen=True):
    """`problem` is empty for a case that passed."""

    route: str
    scenario: str
    step: str
    secs: float
    found: Found | None = None
    problem: str = ""
    is_unreached: bool = False


class CaseError(Exception):
    """A life did not go as the case needs."""


class Bench:
    """One served venue, and one scenario's lives on it; each case has a journal of its own."""

    def __init__(
        self, unit: Unit, served: Venue, folder: Path, starter: Starter, more: str = ""
    ) -> None:
        self.more = MORE + more  # of the config
        self.route = unit.route
        self.scenario = unit.scenario
        self.starter = starter
        self._served = served
        self._folder = folder
        self._count = 0
        book = served.book(market_of(served))
        self.middle = (Decimal(book["bids"][0][0]) + Decimal(book["asks"][0][0])) / 2

    def dry_run(self, first: Step | None = None) -> list[Step]:
        """The steps of a life, or of the restart after a death at `first`."""
        case = self.case()
        if first is not None and not case.live("script", first)[1]:
            raise CaseError(f"{first} was not reached")
        steps, _ = case.live("recover" if first else "script", None)
        case.converge()
        return steps

    def kill_at(self, *steps: Step) -> Result:
        """Die at the first step; with two, die again at the second while recovering."""
        began = time.monotonic()
        name = " > ".join(str(step) for step in steps)
        found, problem, is_unreached = None, "", False
        for left in reversed(range(TRIES)):
            case = self.case()
            problem, is_unreached = "", False
            try:
                for step, role in zip(steps, ("script", "recover"), strict=False):
                    if not case.live(role, step)[1]:
                        is_unreached = True
                        problem = f"{step} was not reached"
                        break
                if self._count % 2 and not is_unreached:
                    case.trade_meanwhile()
                found = case.compare(case.converge())
            except (CaseError, AssertionError, JournalError) as error:
                text = f"{type(error).__name__}: {error}"
                problem = f"{text[:1500]} [{case.folder}]"
                break
            except Exception:
                problem = f"{traceback.format_exc(limit=4)[-1500:]} [{case.folder}]"
                break
            if not is_unreached or not left:
                break
        secs = time.monotonic() - began
        return Result(self.route.name, self.scenario.name, name, secs, found, problem, is_unreached)

    def case(self) -> Case:
        self._count += 1
        return Case(self, self._served, self._folder / f"{self._count:03}", self._count)


class Case:
    """A journal, the lives that write it, and the part of the venue's ledger that is theirs."""

    def __init__(self, bench: Bench, served: Venue, folder: Path, number: int) -> None:
        folder.mkdir(parents=True)
        key, scenario = bench.route.key, bench.scenario
        self.folder = folder
        self._key = key
        self._scenario = scenario
        self._able = bench.route.able
        self._bare = key if bench.route.is_bare else ""
        self._served = served
        self._since = served.ledger_size()
        self._market = market_of(served)
        # Prices that a dealer makes follow no trade: they are moved, and begin in one place.
        self._is_dealer = not rests(bench.route.able)
        self._middle = bench.middle
        if self._is_dealer:
            self._move(bench.middle)
        self.journal = folder / "state" / f"{key}-main.journal.sqlite"
        self._marker = folder / "started"
        self._starter = bench.starter
        params = {
            "instrument_id": f"{INSTRUMENT}.{key.upper()}",
            "kind": scenario.kind.value,
            "side": scenario.side.value,
            "end": scenario.end,
            # No two cases send the same: a venue without our ids tells orders by their fields.
            "quantity": str(UNITS + number * QUANTITY_STEP),
            "market": self._market,
            "control": str(served.line["control"]),
            "marker": str(self._marker),
            "fok": self._is_dealer,
        }
        strategy = {"id": "Script-1", "path": "tests.crash.script:Script", "params": params}
        self.config = configs.write(
            folder,
            served,
            strategies=[strategy],
            more=bench.more,
            options=dict(bench.route.options),
        )

    # -- lives ---------------------------------------------------------------------------------

    def live(self, role: seam.Role, step: Step | None) -> tuple[list[Step], bool]:
        """One life with a trail: its steps, and whether it died at `step` or ended in order.

        Raises CaseError.
        """
        trail = self.folder / f"trail-{role}"

        def lines() -> list[str]:
            return trail.read_text().splitlines() if trail.exists() else []

        def is_done() -> bool:
            if role == "recover":
                return self._is_converged()
            return any(one == seam.DONE or one.startswith(seam.FAILED) for one in lines())

        point, number = (step.point, step.number) if step else ("", 0)
        code = self.ended(is_done, trail=str(trail), role=role, point=point, number=number)
        told = lines()
        if failed := [one for one in told if one.startswith(seam.FAILED)]:
            raise CaseError(failed[0])
        if code == -signal.SIGKILL:
            want = [f"{point}\t{number}", seam.DIED]
            if told[-2:] != want:
                raise CaseError(f"died at {told[-2:]}, expected {want}")
        elif code not in (Exit.OK, Exit.UNRESOLVED):
            raise CaseError(f"a life ended with {code}: {self.tail()}")
        return _steps(told, self._scenario), code == -signal.SIGKILL

    def live_until_killed(self, when: Callable[[], bool], *, acts: bool) -> None:
        """One life that sends its order, or waits, and dies of SIGKILL. Raises CaseError."""
        trail = str(self.folder / "trail-script") if acts else ""
        try:
            killed(self._start(trail=trail), when, LIFE_SECS)
        except TimeoutError as error:
            raise CaseError(f"{error}: {self.tail()}") from error

    def converge(self) -> int:
        """Start the config again as a user does, wait, and stop it in order. Its exit code.

        What the venue can't show while it waits stays UNKNOWN until it fires: then once more.
        """
        code = self.ended(self._is_converged)
        if code == Exit.UNRESOLVED:
            self.trade_meanwhile()
            code = self.ended(self._is_converged)
        return code

    def ended(self, until: Callable[[], bool], **more: Any) -> int:
        """The exit code of a life that is stopped in order. Raises CaseError."""
        try:
            return ended(self._start(**more), until, LIFE_SECS)
        except TimeoutError as error:
            raise CaseError(f"{error}: {self.tail()}") from error

    def _start(self, **more: Any) -> Life:
        self._marker.unlink(missing_ok=True)
        arguments, log = ["live", str(self.config)], str(self.folder / "log")
        return self._starter.start(Request(arguments=arguments, log=log, bare=self._bare, **more))

    def _is_converged(self) -> bool:
        """Started, and every order proven that can be."""
        if not self._marker.exists():
            return False
        unproven = {kind for kind, state in self.open_orders() if state in _UNPROVEN}
        return unproven <= unprovable(self._able)

    def open_orders(self) -> list[tuple[Kind, OrderState]]:
        """Of the journal."""
        if not self.journal.exists():
            return []
        try:
            journal = Journal.reading(self.journal)
        except JournalError:
            return []
        try:
            return [(order.intent.kind, order.state) for order in journal.open_orders()]
        finally:
            journal.close()

    def tail(self) -> str:
        return (self.folder / "log").read_text()[-1200:]

    # -- the venue -----------------------------------------------------------------------------

    def trade_meanwhile(self) -> None:
        """While nobody is there, others trade far on both sides: orders fill, stops fire.

        A dealer's price goes beyond the trigger, and stays there.
        """
        if self._is_dealer:
            self.pass_level()
            return
        book = self._served.book(self._market)
        for name, aggressor, factor in (("asks", Side.BUY, 106), ("bids", Side.SELL, 94)):
            price = int(float(book[name][0][0]) * factor / 100)
            self._served.post(
                "market",
                market=self._market,
                price=str(price),
                quantity=str(UNITS / 2),
                aggressor=aggressor.value,
            )

    def pass_level(self) -> None:
        """The whole market goes beyond the trigger, and stays there."""
        is_rise = self._scenario.condition is TriggerCondition.GTE
        self._move(self._middle * (1 + MOVED if is_rise else 1 - MOVED))

    def _move(self, middle: Decimal) -> None:
        price = middle.quantize(Decimal("0.01"))
        self._served.post("market", market=self._market, mid=str(price))

    def compare(self, code: int) -> Found:
        """Raises AssertionError."""
        assert code in (Exit.OK, Exit.UNRESOLVED), f"the restart ended with {code}: {self.tail()}"
        found = self.judged()
        assert (code == Exit.UNRESOLVED) == bool(found.unknown), f"{code}: {found}, {self.tail()}"
        return found

    def judged(self) -> Found:
        """The journal against the venue. Raises AssertionError."""
        ledger, balances = self._served.ledger(self._since), self._served.balances()
        if not self.journal.exists():
            assert not ledger["entries"], "the venue has orders, and there is no journal"
            return Found()
        return judge(self.journal, self._key, ledger, balances, unprovable(self._able))


_UNPROVEN = (OrderState.INTENDED, OrderState.UNKNOWN)


def market_of(served: Venue) -> str:
    """The venue's own name of the instrument."""
    plain = INSTRUMENT.replace("_", "").lower()
    names: list[str] = served.line["markets"]
    return next(n for n in names if "".join(filter(str.isalnum, n)).lower() == plain)


def _steps(lines: Iterable[str], scenario: Scenario) -> list[Step]:
    """What a trail tells: reads once, the rest each time, up to what the scenario is about."""
    steps = []
    for line in lines:
        point, _, number = line.partition("\t")
        if point == seam.DONE and scenario.end != "stop":
            break  # polls after the order's end
        if not number:
            continue
        step = Step(point, int(number))
        if step.number <= (1 if step.is_read else OCCURRENCES_MAX):
            steps.append(step)
    return steps


# -- the matrix ------------------------------------------------------------------------------------


class Unit(msgspec.Struct, frozen=True):
    """One scenario on one route: one venue process."""

    route: Route
    scenario: Scenario

    @property
    def name(self) -> str:
        return f"{self.route.name} {self.scenario.name}"


def units(only: Sequence[str] = ()) -> list[Unit]:
    found = [
        Unit(route, one)
        for route in routes()
        for one in scenarios(route.able, is_bare=route.is_bare)
    ]
    return [unit for unit in found if not only or any(text in unit.name for text in only)]


def run_unit(
    unit: Unit,
    folder: Path,
    starter: Starter,
    *,
    every: int = 1,
    first: int = 0,
    claimed: set[tuple[Route, Kind, str]] | None = None,
) -> list[Result]:
    """The cases of one unit: every `every`-th step from `first` on.

    The restarts after a lost answer are tried once for each kind of request: `claimed` has those
    that are tried elsewhere. None: no deaths while restarting.
    """
    results = []
    with venue(unit.route.key, folder / "venue", "--seed", "5") as served:
        bench = Bench(unit, served, folder, starter)
        try:
            steps = bench.dry_run()
            plans: list[tuple[Step, ...]] = [(step,) for step in steps]
            for sent in (step for step in steps if step.is_send and claimed is not None):
                claim = (unit.route, unit.scenario.kind, sent.point)
                if claimed is not None and claim not in claimed:
                    claimed.add(claim)
                    plans += [(sent, again) for again in bench.dry_run(sent)]
        except (CaseError, AssertionError) as error:
            return [Result(unit.route.name, unit.scenario.name, "dry run", 0, None, str(error))]
        for plan in plans[first::every]:
            result = bench.kill_at(*plan)
            results.append(result)
            print(line(result), flush=True)
    return results


def line(result: Result) -> str:
    said = result.problem or str(result.found)
    return f"{result.route:20} {result.scenario:28} {result.secs:5.1f} s  {result.step}  {said}"


def table(results: Sequence[Result]) -> str:
    """Cases, and how many of them failed, by route and scenario."""
    rows: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for result in results:
        row = rows[result.route, result.scenario]
        row["cases"] += 1
        row["restart"] += " > " in result.step
        row["unreached"] += result.is_unreached
        row["failed"] += bool(result.problem) and not result.is_unreached
    heads = ("cases", "restart", "unreached", "failed")
    text = [f"{'route':20} {'order':28} " + " ".join(f"{head:>9}" for head in heads)]
    for (route, scenario), row in rows.items():
        counts = " ".join(f"{row[head]:9}" for head in heads)
        text.append(f"{route:20} {scenario:28} {counts}")
    total = " ".join(f"{sum(row[head] for row in rows.values()):9}" for head in heads)
    return "\n".join([*text, f"{'all':49} {total}"])


def failures(results: Sequence[Result]) -> list[Result]:
    """Which answer comes first decides some steps, and no life may reach them in TRIES; many of
    those are a failure, too: the numbers are wrong then.
    """
    unreached = [result for result in results if result.is_unreached]
    found = [result for result in results if result.problem and not result.is_unreached]
    return found + unreached if len(unreached) > max(FEW, UNREACHED_MAX * len(results)) else found


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=4)
    parser.add_argument("--only", action="append", default=[], metavar="TEXT")
    parser.add_argument("--every", type=int, default=1, help="only every N-th step")
    parser.add_argument("--no-recovery", action="store_true", help="no deaths while restarting")
    parser.add_argument("--spawn", action="store_true", help="no forks: each life starts anew")
    parser.add_argument("--keep", type=Path, help="keep journals and logs in this folder")
    parser.add_argument("--list", action="store_true", help="list venues and order types, and end")
    args = parser.parse_args()
    chosen: list[Unit] = units(args.only)
    if args.list:
        print("\n".join(unit.name for unit in chosen))
        return 0
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="steps-") as temporary:
        root: Path = (args.keep or Path(temporary)).absolute()

        claimed: set[tuple[Route, Kind, str]] | None = None if args.no_recovery else set()

        def work(unit: Unit) -> list[Result]:
            folder = root / unit.name.replace("/", "-").replace(" ", "-")
            starter = Spawned() if args.spawn else Forked()
            return run_unit(unit, folder, starter, every=args.every, claimed=claimed)

        with ThreadPoolExecutor(args.jobs) as pool:
            results: list[Result] = [one for part in pool.map(work, chosen) for one in part]
    failed = failures(results)
    print(f"\n{table(results)}\n")
    print("".join(f"FAILED {line(result)}\n" for result in failed), end="")
    print(f"{len(results)} cases in {time.monotonic() - began:.0f} s, {len(failed)} failed")
    return 1 if failed or not results else 0


if __name__ == "__main__":
    sys.exit(main())
