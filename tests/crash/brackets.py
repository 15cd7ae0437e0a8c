"""`kill -9` at every numbered step of a bracket's life on both venues.

    python -m tests.crash.brackets [--only VENUE] [--every N] [--first N]

A bracket buys at the market, its stop comes to stand, the market goes to the target, the stop is
cancelled and the target sells. A dry run tells the steps (`tests.crash.seam`); then for each step a
run of its own dies there of SIGKILL, the market stays, or goes to the stop or to the target, the
same config is started again and the bracket must end by itself. Exit code 1 if a case fails.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import msgspec

from fairlead.engine.errors import Exit
from fairlead.engine.orders.model import Kind, OrderState, Side
from tests.crash.judge import Found, judge
from tests.crash.launch import Request
from tests.crash.lives import Forked, Starter, ended
from tests.crash.script import Scenario
from tests.crash.steps import Step, _steps
from tests.live import hosted
from tests.live.bracketing import MIDDLE, OPTIONS, STEP, Bench, worst_cover
from tests.support.processes import Venue
from tests.support.venues import able, unprovable

TARGET, STOP = Decimal(60_700), Decimal(59_399)  # where the market goes: past the exits' prices
LIFE_SECS = 30.0
SETTLED_SECS = 2.0  # an order whose absence the venue can't show is then still unknown


class Result(msgspec.Struct, frozen=True):
    """`problem` is empty for a case that passed; `found` what journal and venue agree on."""

    key: str
    step: str
    meanwhile: str
    secs: float
    found: Found | None = None
    problem: str = ""

    def __str__(self) -> str:
        said = self.problem or str(self.found)
        return f"{self.key:9} {self.secs:5.1f} s  {self.step:34} {self.meanwhile:7} {said}"


class Case:
    """One journal, and the lives that write it."""

    def __init__(
        self, key: str, served: Venue, folder: Path, starter: Starter, number: int
    ) -> None:
        folder.mkdir(parents=True)
        self._key = key
        self._starter = starter
        self._folder = folder
        self._served = served
        self._since = served.ledger_size()
        self.bench = Bench(key, served, folder)
        # No two cases send the same: a venue without our ids tells orders by their fields.
        quantity = Decimal("0.0123") + number * Decimal("0.0001")
        self._config = self.bench.config(quantity=str(quantity))

    def live(self, step: Step | None) -> list[Step]:
        """A life that dies at `step`, or goes on to the bracket's end. Its steps."""
        trail = self._folder / "trail"
        (self.bench.commands / "bracket").touch()
        has_moved = False

        def is_over() -> bool:
            nonlocal has_moved
            self.bench.nudge()
            if not has_moved and [kind for kind, _ in self.bench.standing()] == ["stop"]:
                has_moved = True
                self.bench.move(TARGET)
            return self.bench.brackets() == []

        point, number = (step.point, step.number) if step else ("", 0)
        request = self._request(trail=str(trail), point=point, number=number)
        code = ended(self._starter.start(request), is_over, LIFE_SECS)
        expected = -signal.SIGKILL if step else Exit.OK
        assert code == expected, f"ended with {code}, expected {expected}: {self.bench.told()}"
        return _steps(trail.read_text().splitlines(), Scenario(Kind.MARKET, Side.BUY, "fill"))

    def converge(self) -> None:
        """The same config again, until the bracket has ended or only the unknown is left."""
        self.bench.started.unlink(missing_ok=True)
        settled = time.monotonic() + SETTLED_SECS

        def is_over() -> bool:
            self.bench.nudge()
            if not self.bench.started.exists():
                return False
            kinds = {kind for kind, _ in self.bench.standing()}
            assert len(kinds) <= 1, f"{kinds} at once"
            if self.bench.brackets() == []:
                return True
            if kinds == {"stop"} and self.bench.covered() == self.bench.sellable():
                self.bench.move(TARGET)
            if time.monotonic() < settled:
                return False
            if self._is_stuck() and self.bench.middle != STOP:
                self.bench.move(STOP)  # a stop that did arrive fires
            return self._is_stuck() and time.monotonic() > settled + SETTLED_SECS

        code = ended(self._starter.start(self._request()), is_over, LIFE_SECS)
        assert code in (Exit.OK, Exit.UNRESOLVED), f"ended with {code}: {self.bench.told()}"

    def _is_stuck(self) -> bool:
        """A stop that may be at the venue, which can't show that it is not."""
        return any(
            order.state is OrderState.UNKNOWN and order.intent.kind in unprovable(able(self._key))
            for order in self.bench.open_orders()
        )

    def compare(self) -> Found:
        """Raises AssertionError for anything lost, doubled or oversold."""
        bench = self.bench
        entries = bench.entries()
        assert worst_cover(entries) <= 0, f"exits for {worst_cover(entries)} more than is held"
        assert bench.standing() == [], bench.standing()
        ledger = self._served.ledger(self._since)
        found = judge(
            bench.journal, self._key, ledger, self._served.balances(), unprovable(able(self._key))
        )
        bought = any(order["side"] == "BUY" for order in bench.orders())
        assert found.unknown or bench.held() < STEP, f"{bench.held()} are held without an exit"
        assert found.unknown or bought or not bench.exits()
        return found

    def _request(self, trail: str = "", point: str = "", number: int = 0) -> Request:
        return Request(
            arguments=["live", str(self._config)],
            log=str(self.bench.log),
            trail=trail,
            point=point,
            number=number,
        )


def run(
    key: str, folder: Path, starter: Starter, choose: Callable[[list[Step]], list[Step]]
) -> Iterator[Result]:
    """A death at each of the chosen steps."""
    with served(key, folder) as venue:
        case = Case(key, venue, folder / "000", starter, 0)
        steps = case.live(None)
        case.compare()
        for number, step in enumerate(choose(steps), start=1):
            yield _kill_at(step, Case(key, venue, folder / f"{number:03}", starter, number), number)


@contextmanager
def served(key: str, folder: Path) -> Iterator[Venue]:
    """A still market."""
    with hosted.simulated(folder / "keys", OPTIONS[key]) as line:
        yield Venue(None, line)  # type: ignore[arg-type]  # it has no process of its own


def _kill_at(step: Step, case: Case, number: int) -> Result:
    began = time.monotonic()
    meanwhile, middle = (("stays", None), ("target", TARGET), ("stop", STOP))[number % 3]
    found, problem = None, ""
    try:
        case.live(step)
        if middle is not None:
            case.bench.move(middle)
        case.converge()
        found = case.compare()
    except (AssertionError, TimeoutError) as error:
        problem = f"{type(error).__name__}: {str(error)[:1500]} [{case.bench.log}]"
    case.bench.move(MIDDLE)
    secs = time.monotonic() - began
    return Result(case.bench.key, str(step), meanwhile, secs, found, problem)


def failures(results: Sequence[Result]) -> list[Result]:
    return [result for result in results if result.problem]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", choices=sorted(OPTIONS))
    parser.add_argument("--every", type=int, default=1, help="only every N-th step")
    parser.add_argument("--first", type=int, default=0, help="the step to begin with")
    parser.add_argument("--keep", type=Path, help="keep journals and logs in this folder")
    args = parser.parse_args()
    results = []
    with tempfile.TemporaryDirectory(prefix="brackets-") as temporary:
        root: Path = (args.keep or Path(temporary)).absolute()
        steps = slice(args.first, None, args.every)
        for key in [args.only] if args.only else sorted(OPTIONS):
            for result in run(key, root / key, Forked(), lambda found: found[steps]):
                print(result, flush=True)
                results.append(result)
    failed = failures(results)
    print(f"{len(results)} deaths, {len(failed)} failed")
    return 1 if failed or not results else 0


if __name__ == "__main__":
    sys.exit(main())
