"""What a strategy asks for, compared with what the run has, so that none waits for nothing.

An instrument or a venue that the run does not know, or a bar that can't be built, is an error where
it is asked for. Data that an instrument of the run does not have is a warning, on screen and in the
summary; and an error at the end of `on_start` when nothing of all that a strategy asked for exists.
"""

from __future__ import annotations

from nautilus_trader.model import BarType, InstrumentId, Venue

from fairlead.engine.guard import offer
from fairlead.engine.guard.offer import Offer
from fairlead.engine.guard.run_state import RunState


class Wants:
    """The data that one strategy asked for."""

    def __init__(self, strategy: str, run: RunState) -> None:
        self._strategy = strategy
        self._run = run
        self._served = 0
        self._missing: list[str] = []
        self._bars: set[str] = set()
        self._built_on: dict[str, str] = {}  # composite bar type -> the one it is built from

    def data(self, kind: str, instrument_id: InstrumentId) -> None:
        """Raises ValueError for an instrument that the run does not know."""
        if (has := self._run.offer) is None:
            return
        self._known(has, instrument_id)
        self._note(f"{kind} of {instrument_id}", has.lacks(instrument_id, kind))

    def bars(self, bar_type: BarType) -> None:
        """Raises ValueError for an unknown instrument, or a bar that can't be built."""
        if (has := self._run.offer) is None:
            return
        self._known(has, bar_type.instrument_id)
        if why := has.unbuildable(bar_type):
            raise ValueError(why)
        self._bars.add(str(bar_type.standard()))
        if bar_type.is_composite():
            self._built_on[str(bar_type)] = str(bar_type.composite())
            return
        self._note(f"bars {bar_type}", has.lacks_bars(bar_type))

    def other(self, what: str) -> None:
        """Data of a kind that no run here has."""
        if self._run.offer is not None:
            self._note(what, f"no run has {what}")

    def venue(self, venue: Venue) -> None:
        """Raises ValueError for a venue that the config does not name."""
        has = self._run.offer
        if has is not None and str(venue) not in has.venues:
            names = ", ".join(sorted(has.venues))
            raise ValueError(
                f"expected a venue of this run ({names}), {venue} came; "
                f"add [venues.{str(venue).lower()}]"
            )

    def request(self, what: str, instrument_id: InstrumentId) -> None:
        """History. Raises ValueError for an instrument that the run does not know."""
        if (has := self._run.offer) is None:
            return
        self._known(has, instrument_id)
        if not has.requests:
            self._tell(f"{what} of {instrument_id}", "a backtest answers no requests for history")

    def trigger(self, instrument_id: InstrumentId) -> None:
        """A stop waits for trades; without them it never triggers."""
        has = self._run.offer
        if has is not None and (why := has.lacks(instrument_id, offer.TRADES)):
            self._tell(f"trades of {instrument_id}, for the trigger of a stop", why)

    def settle(self) -> None:
        """End of `on_start`. Raises ValueError when nothing of what was asked for will come."""
        for name, source in self._built_on.items():
            why = "" if source in self._bars else f"subscribe {source} too, which it is built from"
            self._note(f"bars {name}", why)
        self._built_on.clear()
        if self._missing and not self._served:
            raise ValueError(
                "nothing that the strategy subscribed will come: " + "; ".join(self._missing)
            )

    def _known(self, has: Offer, instrument_id: InstrumentId) -> None:
        if why := has.unknown(instrument_id):
            raise ValueError(why)

    def _note(self, what: str, why: str) -> None:
        if why:
            self._missing.append(f"{what}: {why}")
            self._tell(what, why)
        else:
            self._served += 1

    def _tell(self, what: str, why: str) -> None:
        self._run.warn("DATA-MISSING", f"{self._strategy} asked for {what}: {why}")
