"""From `fairlead kill all`, typed in another shell, to the first cancel at the venue.

    python benchmarks/kill.py [--kills N] [--venue NAME] [--busy | --frozen]

A live run on each simulated venue keeps sending orders until its strategy sleeps in a callback,
which blocks the engine's loop (`--busy`: computes instead of sleeping; `--frozen`: the whole
process is stopped instead, so that only the command can act). Then `fairlead kill all`. The
venue's ledger judges, on the same clock:

state ms    from the durable kill state to the first cancel in the ledger; at most 250 ms and the
            venue's answer time
typed ms    the same from the start of the command's process
command     the command's own first cancel: ms after the state, and its processor time from its
            start and from the state on (what counts on a machine with nothing else to do)
created     orders created after the state, until the loop is awake again; those that were on the
            wire (250 ms) are apart

Exit 1 when the median is not met, or an order was created. Times are of this machine and its load.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.live.blocked_run import ACCOUNTS, Run  # noqa: E402
from tests.support.processes import Venue, venue, wait_for  # noqa: E402

PROMISE_MS = 250.0
IN_FLIGHT_NS = 250_000_000
ORDERS_MIN = 20  # open when the kill comes
BLOCK_SECS = 60  # at most: it is released
ANSWERS = 9


@dataclass(frozen=True)
class Sample:
    """One kill; milliseconds."""

    state: float
    typed: float
    command: float
    cpu: float
    cpu_after_state: float
    answer: float
    on_the_wire: int
    late: int
    load: float


def answer_ms(served: Venue) -> float:
    """The venue's time to answer a small request now."""
    url = str(served.line["control"]).rstrip("/") + "/faults"
    found = []
    for _ in range(ANSWERS):
        begin = time.perf_counter()
        urllib.request.urlopen(url, timeout=10).close()
        found.append((time.perf_counter() - begin) * 1e3)
    return statistics.median(found)


def first_cancel_ns(run: Run, since: int, after_ns: int) -> int:
    """When the venue's ledger first has an order of the account in cancellation."""
    base = str(run.served.line["control"]).rstrip("/")
    with urllib.request.urlopen(f"{base}/ledger?since={since}", timeout=10) as answer:
        entries = json.load(answer)["entries"]
    return min(
        entry["ts_event"]
        for entry in entries
        if entry["type"] == "order"
        and entry["order"]["account"] == run.account
        and entry["order"]["status"] in ("cancelling", "canceled")
        and entry["ts_event"] >= after_ns
    )


def ledger_end(run: Run) -> int:
    base = str(run.served.line["control"]).rstrip("/")
    with urllib.request.urlopen(f"{base}/ledger?since=4000000", timeout=10) as answer:
        return int(json.load(answer)["next"])


def blocked(run: Run) -> Callable[[], None]:
    """The strategy sleeps; the function returned wakes it up."""
    run.block()
    return run.release


def frozen(run: Run) -> Callable[[], None]:
    assert run.process is not None
    process = run.process
    process.send_signal(signal.SIGSTOP)
    return lambda: process.send_signal(signal.SIGCONT)


def once(run: Run, stop: Callable[[Run], Callable[[], None]]) -> Sample:
    wait_for(lambda: len(run.open()) >= ORDERS_MIN, f"open orders; see {run.log}", 60)
    answer = answer_ms(run.served)
    since = ledger_end(run)
    awake = stop(run)
    typed_ns = time.time_ns()
    told = run.kill("all")
    state_ns = told["ts_in_force"]
    first_ns = first_cancel_ns(run, since, typed_ns)
    (report,) = told["venues"]
    assert not run.open(), "orders are left"
    awake()
    wait_for(lambda: told["kill"]["by"] in run.log.read_text(), "the loop to wake up")
    created = run.created_after(told["kill"]["ts_ns"])
    late = [o for o in created if o["ts_created"] > state_ns + IN_FLIGHT_NS]
    run.kill("all", "--clear", "--reason", "the next one")
    return Sample(
        state=(first_ns - state_ns) / 1e6,
        typed=(first_ns - typed_ns) / 1e6,
        command=report["first_cancel_ms"],
        cpu=report["first_cancel_cpu_ms"],
        cpu_after_state=report["first_cancel_cpu_ms"] - told["in_force_cpu_ms"],
        answer=answer,
        on_the_wire=len(created) - len(late),
        late=len(late),
        load=os.getloadavg()[0],
    )


def measure(
    name: str, kills: int, stop: Callable[[Run], Callable[[], None]], busy: bool
) -> list[Sample]:
    with tempfile.TemporaryDirectory(prefix="kill-") as folder, _venue(name, folder) as served:
        os.environ["FAIRLEAD_RUNTIME_DIR"] = folder  # no locks of its accounts in the user's home
        run = Run(Path(folder), served, name)
        run.start({"every_ms": 60, "block_secs": BLOCK_SECS, "busy": busy})
        try:
            return [once(run, stop) for _ in range(kills)]
        except AssertionError:
            print(run.log.read_text()[-2000:], file=sys.stderr)
            raise
        finally:
            run.end()


def _venue(name: str, folder: str) -> Any:
    return venue(name, Path(folder) / "venue", "--seed", "5")


def table(name: str, samples: list[Sample]) -> bool:
    """Print one venue's figures; whether the promise is kept."""

    def both(field: str) -> str:
        values = [getattr(sample, field) for sample in samples]
        return f"{min(values):6.0f} {statistics.median(values):6.0f} {max(values):6.0f}"

    allowed = PROMISE_MS + statistics.median(s.answer for s in samples)
    is_met = statistics.median(s.state for s in samples) <= allowed
    late = sum(s.late for s in samples)
    within = sum(s.state <= PROMISE_MS + s.answer for s in samples)
    print(f"{name}, {len(samples)} kills, load {both('load')}       min median    max")
    for title, field in (
        ("state to first cancel in the ledger, ms", "state"),
        ("typed to first cancel in the ledger, ms", "typed"),
        ("the command's first cancel sent, ms after the state", "command"),
        ("  its processor time from its start, ms", "cpu"),
        ("  its processor time from the state on, ms", "cpu_after_state"),
        ("the venue's answer, ms", "answer"),
    ):
        print(f"  {title:55} {both(field)}")
    print(f"  created after the state: {late}; on the wire: {sum(s.on_the_wire for s in samples)}")
    verdict = "met" if is_met else "not met"
    print(f"  at most {PROMISE_MS:.0f} ms and the answer: {within} of {len(samples)}; {verdict}")
    return is_met and not late


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--venue", choices=sorted(ACCOUNTS), action="append")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--busy", action="store_true", help="the strategy computes, and never sleeps")
    how.add_argument("--frozen", action="store_true", help="stop the whole process")
    given = parser.parse_args()
    kept = [
        table(name, measure(name, given.kills, frozen if given.frozen else blocked, given.busy))
        for name in given.venue or sorted(ACCOUNTS)
    ]
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())
