"""How the ways to run one config differ: a table, and all that a run asks of its mode."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from fairlead.engine.config import resolved

NodeMode = Literal["live", "paper", "record"]
Mode = resolved.Mode


class ModeTraits(msgspec.Struct, frozen=True):
    """A row. Where nobody executes orders, there are no strategies either."""

    does: str  # told at the start
    leaves: str  # what one that is ended at once leaves behind
    executes: Literal["venue", "simulation", "nobody"]
    fees_from: Literal["venue", "recorded"]  # where the config tells none
    watches_all: bool  # market data of each instrument, whether a strategy asks for it or not
    needs_recording: bool  # a recording that is lost ends the run

    @property
    def is_real(self) -> bool:
        """Orders reach the venue: keys are read, journals kept, accounts compared."""
        return self.executes == "venue"

    @property
    def is_simulated(self) -> bool:
        return self.executes == "simulation"

    @property
    def trades(self) -> bool:
        """Strategies run, behind a gate whose state outlives the run, on accounts of their own."""
        return self.executes != "nobody"


# fmt: off
MODES: Final[Mapping[Mode, ModeTraits]] = {
    "live": ModeTraits(
        "trades live, with real orders",
        "orders may be open at the venue, the journal is whole and the next start takes them over",
        "venue", "venue", False, False),
    "paper": ModeTraits(  # its exchange has to see the whole market
        "trades live data with simulated execution, nothing is sent",
        "nothing was sent to a venue, and nothing is summed up",
        "simulation", "venue", True, False),
    "record": ModeTraits(
        "records, nothing is traded", "what was recorded before is whole",
        "nobody", "venue", True, True),
    "backtest": ModeTraits(
        "trades recorded data with simulated execution", "nothing is summed up",
        "simulation", "recorded", False, False),
}
# fmt: on
