"""Mutants of what the guard does for NautilusTrader's simulated exchange."""

from __future__ import annotations

from tests.mutants.mutant import Mutant, one

GUARD = ("engine/guard/simulated.py",)
CALLBACKS = ("engine/guard/callbacks.py",)
CALLS = ("engine/guard/sending.py",)
ARRIVAL = ("tests/unit/matching/test_arrival.py",)
EXITS = ("tests/unit/matching/test_own_exits.py", "tests/unit/matching/test_reduce_only.py")


def _mutant(
    name: str, where: tuple[str, ...], breaks: str, find: str, put: str, tests: tuple[str, ...]
) -> Mutant:
    return Mutant(
        id=f"simulated-{name}", where=where, breaks=breaks, edits=one(find, put), tests=tests
    )


SIMULATED_MUTANTS: tuple[Mutant, ...] = (
    _mutant(
        "order-waits",
        CALLS,
        "an order waits for the next data after it is due",
        "            arrivals.command()\n",
        "            pass\n",
        ARRIVAL,
    ),
    _mutant(
        "cancel-waits",
        CALLBACKS,
        "a cancel waits for the next data after it is due",
        "        arrivals.command()  # cancels",
        "        pass  # cancels",
        ARRIVAL,
    ),
    _mutant(
        "sells-others-units",
        ("engine/guard/reducing.py",),
        "the exchange sets an exit to the size of the whole position",
        "order, reduce_only=False",
        "order, reduce_only=True",
        EXITS,
    ),
    _mutant(
        "exits-outlive",
        GUARD,
        "an exit stays when other orders have closed the position",
        "for exit_ in self._cuttable(instrument, side) if excess > 0 else ():",
        "for exit_ in ():",
        EXITS,
    ),
    _mutant(
        "turns-over",
        GUARD,
        "where EXIT_EXCEEDS is off, two exits turn a position over",
        'run.plain_exits = "EXIT_EXCEEDS" not in gate.config.off',
        "run.plain_exits = True",
        EXITS,
    ),
    _mutant(
        "outlives-its-end",
        GUARD,
        "an order fills after its end",
        "if order.time_in_force == TimeInForce.GTD:",
        "if False:",
        EXITS,
    ),
    _mutant(
        "ends-too-late",
        GUARD,
        "the cancel of an order with an end arrives after it",
        "max(end_ns - self._latency_ns, ",
        "max(end_ns, ",
        EXITS,
    ),
)
