"""Plain orders through the gate in one pass: a check is asked only where its answer is not known.

Most orders are no nearer to any limit than others that passed just before. Of each instrument the
pass keeps marks: how near orders came that a check let through. What is no nearer passes it again,
and uses no larger part of its limit; what is nearer, or can't be compared with a mark, the check is
asked about as ever, and what it lets through moves the mark. So no limit, no message and no
rule of a check stands here: only which figure its limit is held against, and that it is one that
passes the more easily the smaller it is. An order that is refused was refused by its check.

The checks are taken by section, in the registry's order. A section of which one figure is not known
asks all of its checks; one without a check that is on is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar, Final

import msgspec

from fairlead.engine.orders.model import Capabilities, Side
from fairlead.engine.risk.checks_account import AMPLE
from fairlead.engine.risk.facts import Funds, InstrumentFacts, Limits, OrderFacts
from fairlead.engine.risk.look import Look
from fairlead.engine.risk.plans import Plan, Step
from fairlead.engine.risk.verdict import Denial, Verdict

_BUY = Side.BUY
# A mark before any order has passed, and where there is nothing to pass
_NONE_PASSED, _ANY_PASSES = Decimal("-Infinity"), Decimal("Infinity")
_NO_GRID = Decimal("NaN")  # an increment with whose digits nothing finite is written
_COUNT_MAX: Final = 1 << 62
_NOTHING: Final = object()  # is none of what a check was asked about

Verdicts = Mapping[str, Verdict]  # by code, of a section whose checks all let the order pass


def is_comparable(order: OrderFacts, look: Look) -> bool:
    """A plain order of which marks tell: a limit or market order that stands for itself alone, in
    an instrument that is known and has a price."""
    return (
        look.value is not None
        and look.market is not None
        and order.kind == ("MARKET" if order.price is None else "LIMIT")
        and order.contingency is None
        and order.parent is None
        and order.trailing_offset is None
        and not order.quote_quantity
        and not order.is_release
        and not order.fired
        and (look.able is None or not look.able.clears)
    )


class Place(msgspec.Struct, frozen=True):
    """Where an order is checked, and all that is known of it before one comes."""

    instrument: str
    facts: InstrumentFacts
    able: Capabilities | None
    limits: Limits
    is_simulated: bool


class _Section:
    """Some checks that follow one another in the registry, and the marks of their figures."""

    codes: ClassVar[tuple[str, ...]]
    __slots__ = ("steps",)

    def __init__(self, steps: Sequence[Step], place: Place) -> None:
        self.steps = steps

    def knows(self, order: OrderFacts, look: Look) -> bool:
        """Whether all checks of the section let the order pass and none is nearer its limit."""
        raise NotImplementedError

    def ask(self, order: OrderFacts, look: Look) -> tuple[Step, Denial] | None:
        """The check that refuses, and what it says."""
        verdicts: dict[str, Verdict] = {}
        for step in self.steps:
            verdict = step.run(order, look)
            if type(verdict) is Denial:
                return step, verdict
            if verdict and verdict > step.nearest:
                step.nearest = verdict
            verdicts[step.code] = verdict
        self.learn(order, look, verdicts)
        return None

    def learn(self, order: OrderFacts, look: Look, passed: Verdicts) -> None:
        """Move the marks of what passed. A check that told no fraction compared nothing."""
        raise NotImplementedError

    def has(self, code: str) -> bool:
        return any(step.code == code for step in self.steps)

    def first(self, code: str, *, where: bool = True) -> Decimal:
        """The mark to begin with: of a check that is on, and has a limit to look at `where`."""
        return _NONE_PASSED if where and self.has(code) else _ANY_PASSES


class _Form(_Section):
    """Quantities and prices between the least and the most that passed, in steps of a digit."""

    codes = (
        "KILL_SWITCH",
        "DUPLICATE_ORDER_ID",
        "INSTRUMENT_UNKNOWN",
        "QUANTITY",
        "UNSUPPORTED",
        "CLEARS",
        "CLEARS_HELD",
        "PRECISION",
        "PRICE_BOUNDS",
        "QUANTITY_BOUNDS",
    )
    __slots__ = ("forms", "high", "high_price", "low", "low_price", "step", "tick")

    def __init__(self, steps: Sequence[Step], place: Place) -> None:
        super().__init__(steps, place)
        facts = place.facts
        self.step = facts.size_increment if facts.is_size_digit else _NO_GRID
        self.tick = facts.price_increment if facts.is_price_digit else _NO_GRID
        self.low = self.low_price = _ANY_PASSES
        self.high = self.high_price = _NONE_PASSED
        self.forms: set[tuple[str, str, bool]] = set()  # kind, time in force, post only

    def knows(self, order: OrderFacts, look: Look) -> bool:
        quantity, price = order.quantity, order.price
        return (
            look.kill_switch(order) is None
            and not look.seen(order.client_order_id)
            and self.low <= quantity <= self.high
            and quantity.same_quantum(self.step)
            and (
                price is None
                or (self.low_price <= price <= self.high_price and price.same_quantum(self.tick))
            )
            and (order.kind, order.time_in_force, order.post_only) in self.forms
        )

    def learn(self, order: OrderFacts, look: Look, passed: Verdicts) -> None:
        quantity, price = order.quantity, order.price
        self.low, self.high = min(self.low, quantity), max(self.high, quantity)
        if price is not None:
            self.low_price, self.high_price = (
                min(self.low_price, price),
                max(self.high_price, price),
            )
        self.forms.add((order.kind, order.time_in_force, order.post_only))


class _Losses(_Section):
    """Nothing was won or lost yet: after that each order asks."""

    codes = ("DAILY_LOSS", "DRAWDOWN")
    __slots__ = ("asked",)

    def __init__(self, steps: Sequence[Step], place: Place) -> None:
        super().__init__(steps, place)
        self.asked = False  # whether the limits are in the instrument's currency

    def knows(self, order: OrderFacts, look: Look) -> bool:
        return self.asked and not look.books.equity.currencies

    def learn(self, order: OrderFacts, look: Look, passed: Verdicts) -> None:
        self.asked = all(verdict is not None for verdict in passed.values())


class _Standing(_Section):
    """No pause, no more orders of unknown outcome than there were, and the same clock."""

    codes = ("COOLDOWN", "UNKNOWN_OUTCOMES", "CLOCK_OFFSET")
    __slots__ = ("clock", "offset", "pauses", "unknown")

    def __init__(self, steps: Sequence[Step], place: Place) -> None:
        super().__init__(steps, place)
        self.pauses, self.clock = self.has("COOLDOWN"), self.has("CLOCK_OFFSET")
        self.unknown = -1 if self.has("UNKNOWN_OUTCOMES") else _COUNT_MAX
        self.offset: Any = _NOTHING

    def knows(self, order: OrderFacts, look: Look) -> bool:
        books, venue = look.books, look.venue
        if books.unknown.get(venue, 0) > self.unknown:
            return False
        if self.pauses and look.now_ns < books.trips.paused_until(order.strategy):
            return False
        if not self.clock:
            return True
        if books.look_at_clock is not None:  # no earlier than the check would
            books.look_at_clock()
        return books.offsets_ms.get(venue) == self.offset and not books.clock_unknown

    def learn(self, order: OrderFacts, look: Look, passed: Verdicts) -> None:
        if passed.get("UNKNOWN_OUTCOMES") is not None:
            self.unknown = max(self.unknown, look.books.unknown.get(look.venue, 0))
        self.offset = look.books.offsets_ms.get(look.venue)


class _Market(_Section):
    """A whole market, no older than one that was recent enough."""

    codes = ("INVALID_BOOK", "STALE_REFERENCE")
    __slots__ = ("age_ns",)

    def __init__(self, steps: Sequence[Step], place: Place) -> None:
        super().__init__(steps, place)
        self.age_ns = -_COUNT_MAX if self.has("STALE_REFERENCE") else _COUNT_MAX

    def knows(self, order: OrderFacts, look: Look) -> bool:
        market = look.market
        return market is not None and market.valid and look.now_ns - market.ts_ns <= self.age_ns

    def learn(self, order: OrderFacts, look: Look, passed: Verdicts) -> None:
        if look.market is not None and passed.get("STALE_REFERENCE") is not None:
            self.age_ns = max(self.age_ns, look.now_ns - look.market.ts_ns)


class _Size(_Section):
    """The order's own worth and quantity; the latter as long as the tape's size is the same."""

    codes = ("MIN_NOTIONAL", "MAX_ORDER_NOTIONAL", "MAX_ORDER_QUANTITY", "FAT_FINGER")
    __slots__ = ("bounded", "high", "largest", "low", "quantity", "size", "tape_quantity", "value")

    def __init__(self, steps: Sequence[Step], place: Place) -> None:
        super().__init__(steps, place)
        facts, limits = place.facts, place.limits
        self.bounded = self.has("MIN_NOTIONAL") and (
            facts.min_notional is not None or facts.max_notional is not None
        )
        self.low, self.high = _ANY_PASSES, _NONE_PASSED
        self.value = self.first("MAX_ORDER_NOTIONAL")
        has_most = place.instrument in limits.max_order_quantity
        self.quantity = self.first("MAX_ORDER_QUANTITY", where=has_most)
        self.largest = limits.fat_finger_largest if self.has("FAT_FINGER") else None
        self.size: Any = _NOTHING
        self.tape_quantity = _NONE_PASSED

    def knows(self, order: OrderFacts, look: Look) -> bool:
        value, quantity = look.value, order.quantity
        assert value is not None
        return (
            value <= self.value
            and quantity <= self.quantity
            and (
                not self.bounded  # a market order is valued by another price for it
                or (order.price is not None and self.low <= value <= self.high)
            )
            and (
                self.largest is None
                or (
                    quantity <= self.tape_quantity
                    and look.books.tape.size(order.instrument, largest=self.largest) is self.size
                )
            )
        )

    def learn(self, order: OrderFacts, look: Look, passed: Verdicts) -> None:
        value, quantity = look.value, order.quantity
        assert value is not None
        if order.price is not None:
            self.low, self.high = min(self.low, value), max(self.high, value)
        if passed.get("MAX_ORDER_NOTIONAL") is not None:
            self.value = max(self.value, value)
        if passed.get("MAX_ORDER_QUANTITY") is not None:
            self.quantity = max(self.quantity, quantity)
        if self.largest is not None:
            size = look.books.tape.size(order.instrument, largest=self.largest)
            known = self.tape_quantity if size is self.size else _NONE_PASSED
            self.size, self.tape_quantity = size, max(known, quantity)


class _Sums(_Section):
    """What position, sums and open orders become with the order."""

    codes = (
        "MAX_POSITION",
        "MIN_POSITION",
        "INSTRUMENT_EXPOSURE",
        "VENUE_EXPOSURE",
        "ACCOUNT_EXPOSURE",
        "RESTING_NOTIONAL",
        "MAX_OPEN_ORDERS",
    )
    __slots__ = ("account", "bought", "instrument", "least", "open", "resting", "sold", "venue")

    def __init__(self, steps: Sequence[Step], place: Place) -> None:
        super().__init__(steps, place)
        limits, instrument = place.limits, place.instrument
        self.bought = self.first("MAX_POSITION", where=instrument in limits.max_position)
        self.least = self.has("MIN_POSITION")
        has_limit = self.bought != _ANY_PASSES or (self.least and instrument in limits.min_position)
        self.sold = _ANY_PASSES if has_limit else _NONE_PASSED  # the lowest, not the highest
        self.instrument = self.first("INSTRUMENT_EXPOSURE")
        self.venue = self.first("VENUE_EXPOSURE")
        self.account = self.first("ACCOUNT_EXPOSURE")
        self.resting = self.first("RESTING_NOTIONAL")
        self.open = -1 if self.has("MAX_OPEN_ORDERS") else _COUNT_MAX

    def knows(self, order: OrderFacts, look: Look) -> bool:
        value, entry = look.value, look.entry
        assert value is not None
        if order.side is _BUY:
            is_known = look.position + look.working + order.quantity <= self.bought
        else:
            is_known = look.position - look.working - order.quantity >= self.sold
            if self.least and (declared := look.declared(order)) is not None:
                is_known = is_known and declared.may_short
        return (
            is_known
            and len(look.books.ledger.live) <= self.open
            and entry.run.resting + value <= self.resting
            and (
                look.reduces
                or (
                    entry.gross + value <= self.instrument
                    and entry.venue.gross + value <= self.venue
                    and entry.account.gross + value <= self.account
                )
            )
        )

    def learn(self, order: OrderFacts, look: Look, passed: Verdicts) -> None:
        value, entry = look.value, look.entry
        assert value is not None
        if order.side is _BUY:
            if passed.get("MAX_POSITION") is not None:
                reach = look.position + look.working + order.quantity
                self.bought = max(self.bought, reach)
        elif self.bought == _ANY_PASSES or passed.get("MAX_POSITION") is not None:
            self.sold = min(self.sold, look.position - look.working - order.quantity)
        if passed.get("MAX_OPEN_ORDERS") is not None:
            self.open = max(self.open, len(look.books.ledger.live))
        if passed.get("RESTING_NOTIONAL") is not None:
            self.resting = max(self.resting, entry.run.resting + value)
        if passed.get("INSTRUMENT_EXPOSURE") is not None:
            self.instrument = max(self.instrument, entry.gross + value)
        if passed.get("VENUE_EXPOSURE") is not None:
            self.venue = max(self.venue, entry.venue.gross + value)
        if passed.get("ACCOUNT_EXPOSURE") is not None:
            self.account = max(self.account, entry.account.gross + value)


class _Crossing(_Section):
    """A price that is not through the market, and meets none of our own orders."""

    codes = ("PRICE_COLLAR", "SELF_CROSS")
    __slots__ = ("collar", "cross", "tiers")

    def __init__(self, steps: Sequence[Step], place: Place) -> None:
        super().__init__(steps, place)
        self.collar, self.cross = self.has("PRICE_COLLAR"), self.has("SELF_CROSS")
        self.tiers = place.able is not None and place.able.tier_price is not None

    def knows(self, order: OrderFacts, look: Look) -> bool:
        price, middle = order.price, look.price
        is_buy = order.side is _BUY
        if self.collar and price is not None:
            if self.tiers or middle is None:
                return False
            if price > middle if is_buy else price < middle:
                return False
        if not self.cross:
            return True
        if look.books.ledger.waiting:
            return False
        if order.post_only:
            return True
        other = Side.SELL if is_buy else Side.BUY
        own = look.books.ledger.best_price(order.instrument, other)
        return own is None or (price is not None and (price < own if is_buy else price > own))

    def learn(self, order: OrderFacts, look: Look, passed: Verdicts) -> None:
        """Nothing: the market moves."""


class _Paid(msgspec.Struct, frozen=True):
    """An order that took an ample part of what was free at most: its balances, what it needed,
    and what was in force besides (of margin: with the fees of orders)."""

    quote: Funds | None = None
    funds: Funds | None = None
    need: Decimal = _NONE_PASSED
    bound: Decimal = _NONE_PASSED
    fees: Decimal = _NONE_PASSED


class _Money(_Section):
    """By the same balance an order that needs no more, beside no more, is paid as well."""

    codes = ("FREE_BALANCE", "MARGIN")
    __slots__ = ("base", "bought", "currency", "entered", "free", "pays_positions", "sold")

    def __init__(self, steps: Sequence[Step], place: Place) -> None:
        super().__init__(steps, place)
        self.currency, self.base = place.facts.currency, place.facts.base
        self.free = self.has("FREE_BALANCE")
        able = place.able
        self.pays_positions = able is not None and able.pays_positions and not place.is_simulated
        self.bought = self.sold = self.entered = _Paid()

    def knows(self, order: OrderFacts, look: Look) -> bool:
        funds_of, value = look.funds, look.value
        if funds_of is None or (look.reduces and not self.free):
            return True  # no balance is read for it
        assert value is not None
        quote = funds_of(order.instrument, self.currency)
        if quote is None:
            return False
        sums = look.entry.venue
        if not quote.is_cash:
            paid = self.entered
            return look.reduces or (
                quote is paid.funds
                and value <= paid.need
                and sums.margin <= paid.bound
                and sums.order_fees <= paid.fees
            )
        if order.side is _BUY:
            paid, need, funds, bound = self.bought, value, quote, sums.spending
            currency = self.currency
        elif self.base is None or look.entry.base is None:
            return False
        else:
            paid, need, bound = self.sold, order.quantity, look.entry.base.spending
            currency = self.base
            found = funds_of(order.instrument, currency)
            if found is None:
                return False
            funds = found
        return (
            funds is paid.funds
            and quote is paid.quote
            and need <= paid.need
            and bound <= paid.bound
            and not look.books.spent.since(look.venue, currency, funds.ts_ns)
        )

    def learn(self, order: OrderFacts, look: Look, passed: Verdicts) -> None:
        funds_of, value, entry = look.funds, look.value, look.entry
        is_margin = _is_ample(passed.get("MARGIN"))
        if not is_margin and not _is_ample(passed.get("FREE_BALANCE")):
            return
        assert funds_of is not None  # else there was no fraction
        assert value is not None
        quote = funds_of(order.instrument, self.currency)
        if is_margin:
            if not self.pays_positions:
                sums = entry.venue
                self.entered = _Paid(quote, quote, value, sums.margin, sums.order_fees)
        elif order.side is _BUY:
            self.bought = _Paid(quote, quote, value, entry.venue.spending)
        elif self.base is not None and entry.base is not None:
            funds = funds_of(order.instrument, self.base)
            self.sold = _Paid(quote, funds, order.quantity, entry.base.spending)


def _is_ample(verdict: Verdict) -> bool:
    """Whether it told a fraction for which the balance need not be read anew."""
    return verdict is not None and type(verdict) is not Denial and verdict <= AMPLE


class _Rates(_Section):
    """No more orders and cancels in the second than passed, and cancels as often as they did."""

    codes = ("CANCEL_TO_FILL", "CANCEL_RATE", "ORDER_RATE")
    __slots__ = ("cancels", "flow", "flows", "orders")

    def __init__(self, steps: Sequence[Step], place: Place) -> None:
        super().__init__(steps, place)
        self.flows = self.has("CANCEL_TO_FILL")
        self.flow: Any = _NOTHING  # the day, its cancels and fills
        self.cancels = -1 if self.has("CANCEL_RATE") else _COUNT_MAX
        self.orders = -1 if self.has("ORDER_RATE") else _COUNT_MAX

    def knows(self, order: OrderFacts, look: Look) -> bool:
        books, now_ns = look.books, look.now_ns
        if self.flows:
            flow = books.flows.of(look.venue, now_ns)
            if flow.cancels and (flow.day, flow.cancels, flow.fills) != self.flow:
                return False
        return books.rate.used(now_ns) <= self.orders and (
            self.cancels == _COUNT_MAX or books.cancel_rate.used(now_ns) <= self.cancels
        )

    def learn(self, order: OrderFacts, look: Look, passed: Verdicts) -> None:
        books, now_ns = look.books, look.now_ns
        if passed.get("CANCEL_TO_FILL") is not None:
            flow = books.flows.of(look.venue, now_ns)
            self.flow = (flow.day, flow.cancels, flow.fills)
        if passed.get("CANCEL_RATE") is not None:
            self.cancels = max(self.cancels, books.cancel_rate.used(now_ns))
        if passed.get("ORDER_RATE") is not None:
            self.orders = max(self.orders, books.rate.used(now_ns))


_SECTIONS: Final[tuple[type[_Section], ...]] = (
    _Form,
    _Losses,
    _Standing,
    _Market,
    _Size,
    _Sums,
    _Crossing,
    _Money,
    _Rates,
)


class Pass:
    """The plain orders of one instrument."""

    __slots__ = ("_sections", "place", "plan")

    def __init__(self, plan: Plan, place: Place) -> None:
        self.plan = plan
        self.place = place
        by_code = {step.code: step for step in plan.steps}
        sections: list[_Section] = []
        for kind in _SECTIONS:
            steps = [by_code[code] for code in kind.codes if code in by_code]
            if steps:
                sections.append(kind(steps, place))
        taken = [step.code for section in sections for step in section.steps]
        if taken != list(by_code):
            raise AssertionError(f"the sections take {taken}, the registry has {list(by_code)}")
        self._sections: tuple[tuple[Callable[[OrderFacts, Look], bool], _Section], ...] = tuple(
            (section.knows, section) for section in sections
        )

    def is_of(self, look: Look) -> bool:
        """Whether the marks are still those of the instrument and venue that `look` sees."""
        place = self.place
        return place.able is look.able and (place.facts is look.facts or place.facts == look.facts)

    def refusal(self, order: OrderFacts, look: Look) -> Denial | None:
        """Of the first check that refuses a plain, comparable order; None: it passes them all.

        Counted either way.
        """
        for knows, section in self._sections:
            if not knows(order, look):
                refused = section.ask(order, look)
                if refused is not None:
                    self.plan.refused(refused[0])
                    return refused[1]
        self.plan.passed += 1
        return None
