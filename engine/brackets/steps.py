"""Brackets: an entry with a stop and a target, of which only one is at the venue at a time.

Spot venues link no orders, and two exits of the same size would sell twice what was bought. So the
stop rests at the venue, where it protects whatever becomes of this process, and the target is kept
here: when the market reaches it, the stop is cancelled, and only when that is proven does the
target go out, for what is then left. When the market turns back half way, the stop takes its place
again. Exits that are on their way or of unknown outcome count as live, so that all exits together
never ask for more than the entry has filled.

`next_step` is a function of what is known of the orders and of the market: after a restart it goes
on with what it finds. No sockets, no NautilusTrader, no clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from uuid import UUID, uuid5

import msgspec

from fairlead.engine.orders.model import Kind, Side

EXITS_AT_ONCE = 4  # each growth of the entry gets its own exit, until they are joined into one
_ZERO = Decimal(0)
_NAMESPACE = UUID("6b1f1d2c-9a3e-4c86-8a55-0b7f6f0f6a11")


class Bracket(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for, and the client order ids of its exits so far.

    `entry` is the client order id of the entry and names the bracket; `side` and `quantity` (base
    units) are the entry's. `stop` is the trigger price, `stop_limit` the worst price of the stop,
    `target` the limit price of the other exit, all in the quote currency.
    """

    entry: str
    strategy: str
    instrument: str
    side: Side
    quantity: Decimal
    stop: Decimal
    stop_limit: Decimal
    target: Decimal
    exits: tuple[str, ...] = ()
    tried: int = 0  # exits that had an id, those not kept too
    targets: tuple[Decimal, ...] = ()  # all of them, where the exits went with the entry

    @property
    def is_whole(self) -> bool:
        """Whether the venue has all of it: exits that went with the entry, in one call."""
        return bool(self.targets)

    @property
    def sent(self) -> tuple[str, ...]:
        """The exits that went with the entry: its targets, and the stop as the last."""
        return self.exits[: len(self.targets) + 1] if self.is_whole else ()

    @property
    def exit_side(self) -> Side:
        return Side.SELL if self.side is Side.BUY else Side.BUY

    def with_exits(self) -> Bracket:
        """Itself with the ids of the exits that go with the entry."""
        count = len(self.targets) + 1
        names = tuple(str(uuid5(_NAMESPACE, f"{self.entry}/{n}")) for n in range(1, count + 1))
        return msgspec.structs.replace(self, exits=names, tried=count)

    def next_exit_id(self) -> str:
        """The client order id of the next exit: a UUID that is the same in every process."""
        return str(uuid5(_NAMESPACE, f"{self.entry}/{self.tried + 1}"))

    def problem(self, entry_price: Decimal | None) -> str | None:
        """What is wrong with the prices, or None. `entry_price` is None for a market entry."""
        if self.side is Side.BUY:
            is_ordered = self.stop_limit <= self.stop < self.target
            expected = "stop_limit <= stop < target"
        else:
            is_ordered = self.target < self.stop <= self.stop_limit
            expected = "target < stop <= stop_limit"
        if not is_ordered:
            return (
                f"expected {expected} for a {self.side} entry, stop_limit {self.stop_limit}, "
                f"stop {self.stop}, target {self.target} came"
            )
        sign = 1 if self.side is Side.BUY else -1
        if list(self.targets) != sorted(set(self.targets), key=lambda price: sign * price):
            return f"expected targets one after the other, {_listed(self.targets)} came"
        low, high = sorted((self.stop, self.target))
        if entry_price is not None and not low < entry_price < high:
            return f"expected an entry price between {low} and {high}, {entry_price} came"
        return None


def _listed(prices: Sequence[Decimal]) -> str:
    return ", ".join(f"{price:f}" for price in prices)


class Leg(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one order. `base_fee` is the part of its fees paid in base currency.

    `is_standing`: the venue has it; else it is on its way, or of unknown outcome, or over.
    `is_refused`: it is over, and the venue never had it.
    """

    client_order_id: str
    kind: str
    quantity: Decimal
    filled: Decimal
    price: Decimal | None = None
    base_fee: Decimal = _ZERO
    is_standing: bool = False
    is_over: bool = False
    is_refused: bool = False

    @property
    def remaining(self) -> Decimal:
        return _ZERO if self.is_over else max(self.quantity - self.filled, _ZERO)


class Grid(msgspec.Struct, frozen=True, kw_only=True):
    """What an order of the instrument must be; `has_stops` is whether the venue keeps stops,
    `has_cancels` whether one order can be cancelled.
    """

    step: Decimal
    min_quantity: Decimal = _ZERO
    min_notional: Decimal = _ZERO
    has_stops: bool = True
    has_cancels: bool = True

    def down(self, quantity: Decimal) -> Decimal:
        return quantity // self.step * self.step

    def allows(self, quantity: Decimal, price: Decimal) -> bool:
        return (
            quantity > 0 and quantity >= self.min_quantity and quantity * price >= self.min_notional
        )


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Send an exit. `trigger` is set for a STOP_LIMIT, `price` None for a MARKET."""

    kind: Kind
    quantity: Decimal
    price: Decimal | None
    trigger: Decimal | None = None


class Cancel(msgspec.Struct, frozen=True):
    """Cancel these orders, by client order id."""

    client_order_ids: tuple[str, ...]


class Wait(msgspec.Struct, frozen=True):
    """Nothing to do until something happens."""


class Done(msgspec.Struct, frozen=True):
    """The bracket is over; `left` base units are held that no exit of this size may be sent for."""

    left: Decimal


Step = Place | Cancel | Wait | Done
WAIT = Wait()


def held_by(bracket: Bracket, entry: Leg, exits: Sequence[Leg]) -> Decimal:
    """Base units that the entry has brought and no exit has taken yet, not negative."""
    got = entry.filled - (entry.base_fee if bracket.side is Side.BUY else _ZERO)
    return max(got - sum((leg.filled for leg in exits), _ZERO), _ZERO)


def next_step(
    bracket: Bracket,
    entry: Leg,
    exits: Sequence[Leg],
    *,
    price: Decimal | None,
    held: Decimal,
    grid: Grid,
) -> Step:
    """The one next thing to do.

    `price` is what an exit would get now (bid for a SELL, ask for a BUY), None where the market is
    not known; `held` is `held_by`, or less where the position is smaller.
    """
    working = [leg for leg in exits if not leg.is_over]
    if not entry.is_over and any(leg.filled for leg in exits):
        return Cancel((entry.client_order_id,))  # the way out has begun: nothing more comes in
    held = grid.down(held)
    if sum((leg.remaining for leg in working), _ZERO) > held:
        return _cancel(working)  # the position was reduced by something else
    to_target = _wants_target(bracket, working, price)
    wrong = [leg for leg in working if _is_target(bracket, leg) is not to_target]
    if wrong:
        return _cancel(wrong)
    bare = held - sum((leg.remaining for leg in working), _ZERO)
    exit_ = _exit(bracket, bare, price, to_target=to_target)
    assert exit_.price is not None
    if not grid.allows(bare, exit_.price):
        return WAIT if working or not entry.is_over else Done(held)
    if len(working) >= EXITS_AT_ONCE:  # where the market is not known, one exit may be refused
        return WAIT if price is None else _cancel(working)
    if exit_.trigger is not None and not grid.has_stops:
        return WAIT  # kept here until the market is there
    return exit_


def next_whole_step(
    bracket: Bracket, entry: Leg, exits: Sequence[Leg], *, held: Decimal, grid: Grid, closes: bool
) -> Step:
    """The next thing to do for a bracket that the venue has whole: little, while nothing failed.

    The first exits are those that went with the entry, its stop the last of them. `closes`: a
    position whose stop the venue did not take is closed at the market.
    """
    working = [leg for leg in exits if not leg.is_over]
    held = grid.down(held)
    stop = next((leg for leg in exits if leg.client_order_id == bracket.sent[-1]), None)
    is_bare = stop is None or stop.is_refused
    if not entry.is_over and not (is_bare and entry.filled):
        return WAIT  # what went with it lives and ends with it
    if held <= 0:
        if working and grid.has_cancels:
            return _cancel(working)
        return WAIT if working or not entry.is_over else Done(held)
    if not (is_bare or not working):
        return WAIT
    if any(leg.client_order_id not in bracket.sent for leg in working):
        return WAIT  # it is being closed
    if not closes:
        return WAIT if working or not entry.is_over else Done(held)
    return Place(kind=Kind.MARKET, quantity=held, price=None)


def _cancel(legs: Sequence[Leg]) -> Cancel:
    return Cancel(tuple(leg.client_order_id for leg in legs))


def _is_target(bracket: Bracket, leg: Leg) -> bool:
    return leg.kind == Kind.LIMIT and leg.price == bracket.target


def _wants_target(bracket: Bracket, working: Sequence[Leg], price: Decimal | None) -> bool:
    """Whether the market is at the target, or was and has not turned back half way since."""
    is_out = any(_is_target(bracket, leg) for leg in working)
    if price is None:
        return is_out
    sign = 1 if bracket.side is Side.BUY else -1
    if sign * (price - bracket.target) >= 0:
        return True
    return is_out and sign * (2 * price - bracket.target - bracket.stop) > 0


def _exit(bracket: Bracket, quantity: Decimal, price: Decimal | None, *, to_target: bool) -> Place:
    if to_target:
        return Place(kind=Kind.LIMIT, quantity=quantity, price=bracket.target)
    sign = 1 if bracket.side is Side.BUY else -1
    if price is not None and sign * (price - bracket.stop) <= 0:  # passed while no stop was out
        return Place(kind=Kind.LIMIT, quantity=quantity, price=bracket.stop_limit)
    return Place(
        kind=Kind.STOP_LIMIT, quantity=quantity, price=bracket.stop_limit, trigger=bracket.stop
    )
