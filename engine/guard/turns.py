"""Strategies that subscribed the same hear each event in the order of the config file.

NautilusTrader tells the subscribers of one topic in an order drawn anew in each process: it sorts
them by an id that is random (tests/kernel/test_order.py). Where they share a limit, who is told
first gets the order, so that equal runs would differ. So what comes for one of several subscribers
is kept until it has come for each of them, and then they are called, first strategy first. By then
NautilusTrader has fed the indicators of all. A topic with one subscriber passes untouched.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import msgspec

Callback = Callable[[Any, Any], None]


def _instrument(event: Any) -> Any:
    return event.instrument_id


def _bar_type(event: Any) -> Any:
    return event.bar_type  # of a composite bar too: `standard()`


# What tells a topic from others of its kind, by callback.
KEYS: dict[str, Callable[[Any], Any]] = {
    "on_book_deltas": _instrument,
    "on_book_depth": _instrument,
    "on_quote": _instrument,
    "on_trade": _instrument,
    "on_bar": _bar_type,
    "on_mark_price": _instrument,
    "on_index_price": _instrument,
    "on_funding_rate": _instrument,
    "on_instrument_status": _instrument,
    "on_instrument_close": _instrument,
}


class Subscriber(Protocol):
    """A strategy's guard, as its turns need it."""

    strategy: Any  # NautilusTrader's Strategy
    run: Any  # whose `warn` is called
    id: str
    place: int  # in the config file
    shares: bool  # some topic of the strategy has other subscribers

    def runs(self) -> bool: ...


class Member(msgspec.Struct):
    """A subscriber; `since_ns` is when it subscribed, -1 while it was being started."""

    guard: Subscriber
    since_ns: int


class Topic:
    """The subscribers of one topic, by their places in the config file."""

    __slots__ = ("_came", "_due", "_left", "members")

    def __init__(self) -> None:
        self.members: dict[int, Member] = {}
        self._left: set[int] = set()  # NautilusTrader may tell them of one event more
        self._due: list[int] = []  # who will be told of the event that is coming
        self._came: dict[int, tuple[Callback, Any]] = {}

    def join(self, guard: Subscriber, since_ns: int) -> None:
        place = guard.place
        self._left.discard(place)
        if place not in self.members:
            self.members[place] = Member(guard, since_ns)
            self.members = dict(sorted(self.members.items()))

    def leave(self, place: int) -> None:
        """It hears no more; what waited only for it goes on."""
        if self.members.pop(place, None) is None:
            return
        self._left.add(place)
        if self._came:
            self._due = [one for one in self._due if one != place]
            self._came.pop(place, None)
            if len(self._came) == len(self._due):
                self._tell()

    def came(self, guard: Subscriber, event: Any, callback: Callback) -> None:
        """NautilusTrader tells a strategy; `callback` is called when all have been told."""
        place = guard.place
        if place in self._came:
            self._go_on()
        if not self._came:
            now = event.ts_init
            self._due = [
                # Who subscribed while this event was on its way may be told of it or not
                one
                for one, member in self.members.items()
                if member.since_ns < now and member.guard.runs()
            ]
        if place in self._due:
            self._came[place] = (callback, event)
            if len(self._came) == len(self._due):
                self._tell()
        elif place not in self.members and place not in self._left:
            callback(guard.strategy, event)

    def _tell(self) -> None:
        came, self._came = self._came, {}
        for place in sorted(came):
            member = self.members.get(place)
            if member is not None and member.guard.runs():  # not stopped by one before it
                callback, event = came[place]
                callback(member.guard.strategy, event)

    def _go_on(self) -> None:
        """The next event is here, and some subscriber was not told of the last: wait no more."""
        for place in [one for one in self._due if one not in self._came]:
            if (member := self.members.pop(place, None)) is not None:
                text = f"{member.guard.id} is not told what it subscribed; others waited for it"
                member.guard.run.warn("DATA-ORDER", text)
        self._tell()


class Turns:
    """All topics of a run."""

    def __init__(self) -> None:
        self.topics: dict[tuple[str, Any], Topic] = {}
        self._places = 0

    def place(self) -> int:
        """Of the next strategy; asked for in the order of the config file."""
        self._places += 1
        return self._places

    def join(self, guard: Subscriber, callback: str, key: Any) -> None:
        """A strategy subscribed; who shares a topic is marked by `shares`."""
        if callback not in guard.strategy._guard_user_callbacks:
            return
        topic = self.topics.setdefault((callback, key), Topic())
        topic.join(guard, guard.strategy.clock.timestamp_ns() if guard.runs() else -1)
        if len(topic.members) > 1:
            for member in topic.members.values():
                member.guard.shares = True

    def leave(self, guard: Subscriber, callback: str, key: Any) -> None:
        """A strategy unsubscribed."""
        if (topic := self.topics.get((callback, key))) is not None:
            topic.leave(guard.place)

    def leave_all(self, guard: Subscriber) -> None:
        """A strategy faulted: its callbacks are called no more."""
        for topic in list(self.topics.values()):
            topic.leave(guard.place)

    def in_turn(self, guard: Subscriber, name: str, event: Any, callback: Callback) -> bool:
        """Whether `callback` is called, or will be, when it is the strategy's turn."""
        topic = self.topics.get((name, KEYS[name](event)))
        if topic is None:
            return False
        topic.came(guard, event, callback)
        return True


# By what is subscribed, for `subscribe_...` and `unsubscribe_...`; the book and bars have their own
HEARD_AS = {
    "book_depth": "on_book_depth",
    "quotes": "on_quote",
    "trades": "on_trade",
    "mark_prices": "on_mark_price",
    "index_prices": "on_index_price",
    "funding_rates": "on_funding_rate",
    "instrument_status": "on_instrument_status",
    "instrument_close": "on_instrument_close",
}
