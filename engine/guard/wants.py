"""What a strategy asks for, compared with what the run has, so that none waits for nothing.

An instrument or a venue that the run does not know, or a bar that can't be built, is an error where
it is asked for. Data that an instrument of the run does not have is a warning, on screen and in the
summary; and an error at the end of `on_start` when nothing of all that a strategy asked for exists.
"""

from __future__ import annotations

from typing import Any

from nautilus_trader.model import BarType, InstrumentId, Venue

from engine.guard import offer
from engine.guard.offer import Offer
from engine.guard.run_state import RunState
from engine.guard.turns import HEARD_AS


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


class WantsMixin:
    """Subscriptions and requests as NautilusTrader's, after a look at what the run has."""

    _guard_wants: Wants

    def subscribe_bars(self: Any, bar_type: BarType, *args: Any, **kw: Any) -> None:
        self._guard_wants.bars(bar_type)
        self._guard_native.subscribe_bars(self, bar_type, *args, **kw)
        self._guard_join("on_bar", bar_type.standard())

    def subscribe_instruments(self: Any, venue: Venue, *args: Any, **kw: Any) -> None:
        self._guard_wants.venue(venue)
        self._guard_native.subscribe_instruments(self, venue, *args, **kw)

    def subscribe_data(self: Any, data_type: Any, *args: Any, **kw: Any) -> None:
        if kw.get("client_id") is not None or args:  # else: what strategies publish for each other
            self._guard_wants.other(f"custom data {data_type}")
        self._guard_native.subscribe_data(self, data_type, *args, **kw)

    def request_bars(self: Any, bar_type: BarType, *args: Any, **kw: Any) -> Any:
        self._guard_wants.request("bars", bar_type.instrument_id)
        return self._guard_native.request_bars(self, bar_type, *args, **kw)


def _subscribe(name: str, kind: str, callback: str) -> Any:
    def subscribe(self: Any, instrument_id: InstrumentId, *args: Any, **kw: Any) -> None:
        self._guard_wants.data(kind, instrument_id)
        getattr(self._guard_native, name)(self, instrument_id, *args, **kw)
        if callback:
            self._guard_join(callback, instrument_id)

    return subscribe


def _request(name: str, what: str) -> Any:
    def request(self: Any, instrument_id: InstrumentId, *args: Any, **kw: Any) -> Any:
        self._guard_wants.request(what, instrument_id)
        return getattr(self._guard_native, name)(self, instrument_id, *args, **kw)

    return request


for _name, _kind in {
    "subscribe_book_depth": offer.DEPTH,
    "subscribe_book_at_interval": offer.BOOK,
    "subscribe_instrument": offer.INSTRUMENT,
    "subscribe_instrument_status": offer.STATUS,
    "subscribe_instrument_close": "closing prices",
    "subscribe_mark_prices": offer.MARK,
    "subscribe_index_prices": offer.INDEX,
    "subscribe_funding_rates": offer.FUNDING,
    "subscribe_option_greeks": "option greeks",
}.items():
    _heard_as = HEARD_AS.get(_name.removeprefix("subscribe_"), "")
    setattr(WantsMixin, _name, _subscribe(_name, _kind, _heard_as))
for _name, _kind in {
    "request_trades": offer.TRADES,
    "request_quotes": offer.QUOTES,
    "request_book_deltas": offer.BOOK,
    "request_book_depth": offer.DEPTH,
    "request_book_snapshot": "a snapshot of the book",
    "request_funding_rates": offer.FUNDING,
    "request_instrument": "the instrument",
}.items():
    setattr(WantsMixin, _name, _request(_name, _kind))
