"""What the gate counts after a restart."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import msgspec

from fairlead.adapters.base.venue import VenueInstrument
from fairlead.adapters.simulation.virtual_time import VirtualLoop
from fairlead.engine.config.model import Risk
from fairlead.engine.orders.model import Accepted, Outcome, Side, Unknown, Unsure
from fairlead.engine.risk.gate import RiskGate
from fairlead.engine.run.takeover import count_in
from tests.support.approving import approved
from tests.unit.orders.conftest import INSTRUMENT, Bench, intent

LARGER = Decimal("0.9")


class Recovered:
    """The bench's account."""

    def __init__(self, bench: Bench) -> None:
        assert bench.journal is not None
        self.venue = INSTRUMENT.rpartition(".")[2]
        self.journal = bench.journal
        self.instruments: dict[str, VenueInstrument] = {}
        self.now_ns = bench.loop.now_ns


def test_a_replacement_of_unknown_outcome_counts_with_the_larger_quantity(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "journal.sqlite", replace=True)
    bench.venue.answer = lambda _: Accepted("V1")

    async def lost(*_: object) -> Outcome:
        return Unknown("the answer was lost")

    bench.venue.replace = lost  # type: ignore[method-assign,assignment]

    async def first_life() -> None:
        order = intent()
        await bench.desk.submit(approved(order))
        await bench.desk.replace(*approved(msgspec.structs.replace(order, quantity=LARGER)))
        await bench.desk.abandon()

    bench.run(first_life())
    bench.restart()
    gate = RiskGate(Risk())

    async def second_life() -> None:
        bench.desk.adopt_journal()
        count_in(gate, Recovered(bench), bench.desk)

    bench.loop = VirtualLoop(bench.loop.now_ns())
    bench.run(second_life())
    assert gate.ledger.working_quantity(INSTRUMENT, Side.BUY) == LARGER
    assert bench.journal is not None
    bench.journal.close()


def test_what_a_restart_takes_over_unknown_counts_at_once(tmp_path: Path) -> None:
    """`max_unknown_outcomes` holds behind a restart, where the venue proves nothing for long."""
    bench = Bench(tmp_path / "journal.sqlite")
    bench.venue.look = lambda _: Unsure("it may wait for its trigger, unlisted")

    async def lost() -> None:
        await bench.desk.submit(approved(intent("A")))
        await bench.desk.abandon()

    bench.run(lost())
    bench.restart()
    told: list[int] = []
    bench.desk._table._on_unknown = told.append
    bench.desk.adopt_journal()
    assert told == [1]
    assert bench.journal is not None
    bench.journal.close()
