"""What `simulated.latency` says: how long a command takes to the simulated venue.

- `fixed`: each one `simulated.latency_ms`.
- `lognormal median=20 p99=80 max=500`: drawn, in ms. Half of the draws are below the median, 99 of
  100 below p99; what would be above max is max.
- `uniform min=5 max=40`: drawn, in ms, each value as likely.
- `journal:RUN`: drawn from what a live run measured, from a command to the venue's answer. RUN is
  its folder, relative to the config file, or its id in the state folder, or `last`, the last that
  was live there. `journal:RUN times=2` takes each twice as long.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

import msgspec

FIXED: Final = "fixed"
JOURNAL: Final = "journal:"
MOST_MS: Final = Decimal(60_000)  # a venue that takes a minute is gone
FORM: Final = (
    r"^(fixed|journal:.+"
    r"|lognormal median=[0-9]+(\.[0-9]+)? p99=[0-9]+(\.[0-9]+)? max=[0-9]+(\.[0-9]+)?"
    r"|uniform min=[0-9]+(\.[0-9]+)? max=[0-9]+(\.[0-9]+)?)$"
)
_VALUE = re.compile(r"(\w+)=([0-9.]+)")


class LatencySpec(msgspec.Struct, frozen=True, kw_only=True):
    """`kind` is `fixed`, `lognormal`, `uniform` or `journal`; `values` are in ms, by their names;
    `run` is the one of `journal`, whose delays are taken `times` as long."""

    kind: str
    values: dict[str, Decimal] = {}
    run: str = ""
    times: Decimal = Decimal(1)

    def scaled(self, by: Decimal) -> str:
        """The same, `by` as long, as the config has it. Of `fixed` nothing is known here."""
        if self.kind == "journal":
            return f"{JOURNAL}{self.run} times={self.times * by:f}"
        values = " ".join(f"{name}={value * by:f}" for name, value in self.values.items())
        return f"{self.kind} {values}"


def parsed(text: str) -> LatencySpec:
    """Raises ValueError: what was expected."""
    if re.fullmatch(FORM, text) is None:
        raise ValueError(
            "fixed, lognormal median=MS p99=MS max=MS, uniform min=MS max=MS, or journal:RUN"
        )
    if text == FIXED:
        return LatencySpec(kind=FIXED)
    if text.startswith(JOURNAL):
        run, _, times = text.removeprefix(JOURNAL).partition(" times=")
        if re.fullmatch(r"[0-9]+(\.[0-9]+)?", times or "1") is None or not run.strip():
            raise ValueError("journal:RUN, or journal:RUN times=NUMBER")
        return LatencySpec(kind="journal", run=run, times=Decimal(times or "1"))
    kind = text.partition(" ")[0]
    values = {name: Decimal(value) for name, value in _VALUE.findall(text)}
    if kind == "lognormal":
        if not 0 < values["median"] < values["p99"] <= values["max"]:
            raise ValueError("a median above 0, a p99 above it, and a max not below p99")
    elif values["min"] >= values["max"]:
        raise ValueError("a min below max")
    if values["max"] > MOST_MS:
        raise ValueError(f"a max of at most {MOST_MS} ms")
    return LatencySpec(kind=kind, values=values)
