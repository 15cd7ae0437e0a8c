"""When an order was sent, where the clock was set since: in one process, and across two."""

from __future__ import annotations

import pytest

from fairlead.engine.kill.sweep import Sweep
from fairlead.engine.orders.model import Absent, Accepted, FindResult, Intent, Unknown
from fairlead.engine.orders.resolve import require_forgotten
from fairlead.engine.orders.sent import CLOCK_SET_NS, Stand, stand_now
from tests.support.approving import approved
from tests.unit.orders.conftest import INSTRUMENT, Bench, intent

SECOND = 1_000_000_000


class Looks:
    """What is asked about the lost order: (ts_sent, slack_ns)."""

    def __init__(self, bench: Bench) -> None:
        self.asked: list[tuple[int, int]] = []
        bench.venue.answer = lambda _: Unknown("timeout")
        bench.venue.find = self.find  # type: ignore[method-assign]

    async def find(
        self, wanted: Intent, known: frozenset[str], ts_sent: int, slack_ns: int = 0
    ) -> FindResult:
        self.asked.append((ts_sent, slack_ns))
        return Absent("scripted")


def lose(bench: Bench) -> int:
    async def main() -> None:
        await bench.desk.submit(approved(intent()))
        await bench.desk.abandon()

    sent_ns = bench.loop.now_ns()
    bench.run(main())
    return sent_ns


def look(bench: Bench) -> None:
    bench.run(bench.desk.recover(10.0))


@pytest.mark.parametrize("set_secs", [-8, 0, 8])
def test_another_process_of_the_same_boot_knows_when_it_was_sent(
    bench: Bench, set_secs: int
) -> None:
    looks = Looks(bench)
    bench.boot = "since-monday"
    bench.restart()
    sent_ns = lose(bench)
    bench.clock_set_ns = set_secs * SECOND
    bench.restart()
    bench.desk.adopt_journal()
    look(bench)
    assert looks.asked
    assert set(looks.asked) == {(sent_ns + min(set_secs, 0) * SECOND, 0)}


@pytest.mark.parametrize("boots", [("since-monday", "since-tuesday"), ("", ""), ("", "x")])
def test_nothing_is_known_of_the_clock_of_another_boot(
    bench: Bench, boots: tuple[str, str]
) -> None:
    looks = Looks(bench)
    bench.boot = boots[0]
    bench.restart()
    sent_ns = lose(bench)
    bench.boot = boots[1]
    bench.restart()
    bench.desk.adopt_journal()
    look(bench)
    assert set(looks.asked) == {(sent_ns, CLOCK_SET_NS)}


def test_how_the_clocks_stand_is_written_down_when_it_is_new(bench: Bench) -> None:
    bench.venue.answer = lambda one: Accepted(f"V-{one.client_order_id}")
    bench.boot = "since-monday"
    bench.restart()

    async def main() -> None:
        await bench.desk.submit(approved(intent("O-1")))
        await bench.desk.submit(approved(intent("O-2")))
        bench.clock_set_ns = 3 * SECOND
        await bench.desk.submit(approved(intent("O-3")))
        await bench.desk.abandon()

    bench.run(main())
    assert bench.journal is not None
    kinds = [
        (kind, name)
        for kind, name in bench.journal._rows("SELECT kind, client_order_id FROM records")
        if kind in ("CLOCK", "INTENT")
    ]
    assert kinds == [
        ("CLOCK", "CLOCK"),
        ("INTENT", "O-1"),
        ("INTENT", "O-2"),
        ("CLOCK", "CLOCK"),
        ("INTENT", "O-3"),
    ]


@pytest.mark.parametrize("set_secs", [-8, 0, 8])
@pytest.mark.parametrize("asks", ["kill", "resolve"])
def test_who_did_not_send_it_knows_from_the_journal_when_that_was(
    bench: Bench, asks: str, set_secs: int
) -> None:
    """A kill from another process, and a person's word: an older twin is none of theirs."""
    looks = Looks(bench)
    bench.boot = "since-monday"
    bench.restart()
    sent_ns = lose(bench)
    bench.clock_set_ns = set_secs * SECOND
    assert bench.journal is not None
    journal = bench.journal

    def stand() -> Stand:
        return stand_now("since-monday", bench.loop.now_ns() + bench.clock_set_ns)

    async def main() -> None:
        if asks == "resolve":
            (order,) = journal.open_orders()
            await require_forgotten(bench.venue, journal, order, stand)
            return
        sweep = Sweep(
            venue=bench.venue,
            journal=journal,
            instruments=[INSTRUMENT],
            covers=lambda _: True,
            whole_account=True,
            batch_max=10,
            quarantine_secs=1.0,
            on_done=lambda _: None,
            stand=stand,
        )
        await sweep.look()

    bench.run(main())
    assert set(looks.asked) == {(sent_ns + min(set_secs, 0) * SECOND, 0)}
