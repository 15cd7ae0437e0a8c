"""The latency of a run's commands, as its config says: fixed, drawn, or as a kept run measured."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from decimal import Decimal

from fairlead.engine.config.latency import FIXED, LatencySpec, parsed
from fairlead.engine.config.loaded import LoadedConfig
from fairlead.engine.errors import Exit, FairleadError
from fairlead.engine.matching.delays import Delays, Drawn, Quantiles, quantiles
from fairlead.engine.observe.assumptions import plain
from fairlead.engine.research.find import find_run
from fairlead.engine.research.places import RUN_FILE
from fairlead.engine.research.runs import Run

MS_NS = 1_000_000
MEASURES = "live"  # other runs have the latency that they were told


class Latency:
    """`told` is for people. `sha256` is of the delays that a run measured, else None."""

    def __init__(
        self,
        spec: LatencySpec,
        fixed_ns: int,
        seed: int,
        measured: tuple[int, ...] = (),
    ) -> None:
        self._seed, self._measured = seed, measured
        self._quantiles: Quantiles | None = None
        self._base_ns, self.is_fixed = fixed_ns, True
        self.sha256: str | None = None
        if spec.kind != FIXED:
            self.is_fixed, self._quantiles = False, quantiles(spec, measured)
        if measured:
            self.sha256 = hashlib.sha256(" ".join(map(str, measured)).encode()).hexdigest()
        self.told = self._words(spec)

    @property
    def most_ns(self) -> int:
        if self._quantiles is None:
            return self._base_ns
        return self._quantiles.most_ns

    def of(self, venue: str) -> Delays | None:
        """Draws anew for each run of a venue; None: each command takes the same."""
        found = self._quantiles
        return None if found is None else Drawn(found, self._seed, venue)

    @property
    def median_ms(self) -> Decimal:
        return Decimal(self.kernel_ns) / MS_NS

    @property
    def kernel_ns(self) -> int:
        """What NautilusTrader adds to the time of each command; where they differ, any would do."""
        if self._quantiles is None:
            return self.most_ns
        return max(self._quantiles.at(0.5), 1)

    def draws(self, loaded: LoadedConfig) -> Mapping[str, Delays]:
        """By venue, where latencies differ."""
        venues = [key.upper() for key in loaded.config.venues]
        return {venue: one for venue in venues if (one := self.of(venue)) is not None}

    def _words(self, spec: LatencySpec) -> str:
        if self._quantiles is None:
            return ""
        median, p99 = (plain(Decimal(self._quantiles.at(one)) / MS_NS) for one in (0.5, 0.99))
        most = plain(Decimal(self._quantiles.most_ns) / MS_NS)
        words = f"{spec.kind}, median {median} ms, 99 % below {p99} ms, at most {most} ms"
        if spec.kind == "journal":
            times = "" if spec.times == 1 else f", times {plain(spec.times)}"
            words += f" ({len(self._measured)} orders of {spec.run}{times})"
        return f"{words}, seed {self._seed}"


def latency_of(loaded: LoadedConfig) -> Latency:
    """Raises FairleadError RUN-NOT-FOUND, RUN-DAMAGED, LATENCY-MODE, LATENCY-NONE."""
    simulated = loaded.config.simulated
    spec = parsed(simulated.latency)
    fixed_ns = int(simulated.latency_ms * MS_NS)
    measured = measured_by(loaded, spec.run) if spec.kind == "journal" else ()
    return Latency(spec, fixed_ns, loaded.config.run.seed, measured)


def measured_by(loaded: LoadedConfig, name: str) -> tuple[int, ...]:
    """Delays of a live run, from its commands to the venue's answers, in the order of its orders.

    Raises FairleadError RUN-NOT-FOUND, RUN-DAMAGED, LATENCY-MODE, LATENCY-NONE.
    """
    folder = loaded.resolve(name)
    if (folder / RUN_FILE).is_file():
        run = Run.at(folder)
    else:
        run = find_run(name, loaded.state_dir, (MEASURES,))
    if (mode := run.manifest.mode) != MEASURES:
        raise FairleadError(
            "LATENCY-MODE",
            f"simulated.latency = journal:{name}: expected a run of mode {MEASURES}, which "
            f"measured a venue; {run.id} is of mode {mode}, whose latency was simulated",
            int(Exit.CONFIG),
        )
    found = tuple(
        row["accepted_ns"] - (row["sent_ns"] or 0)
        for row in run.rows("latencies")
        if row["accepted_ns"] is not None and row["accepted_ns"] >= (row["sent_ns"] or 0)
    )
    if not found:
        raise FairleadError(
            "LATENCY-NONE",
            f"simulated.latency = journal:{name}: no order of that run was answered, so it "
            "measured no latency; name a run that had orders accepted",
            int(Exit.NO_DATA),
        )
    return found
