"""One look at an order: the view's answers, read once, and the gate's own books."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal

from fairlead.engine.orders.model import Capabilities, Kind, Role, Side
from fairlead.engine.orders.trigger import first_fire
from fairlead.engine.risk.books import Books
from fairlead.engine.risk.exposure import Entry
from fairlead.engine.risk.facts import (
    CountedOrder,
    Declared,
    Funds,
    InstrumentFacts,
    Limits,
    OrderFacts,
    Reference,
    RiskView,
)

_ZERO = Decimal(0)
STOPS = frozenset({"STOP_LIMIT", "STOP_MARKET"})
TRIGGER = "trigger"  # source of a reference that is the order's own
FundsOf = Callable[[str, str], Funds | None]

TradeOf = Callable[[str], Reference | None]
LevelsOf = Callable[[str, Side], Sequence[tuple[Decimal, Decimal]]]


class Look:
    """What the checks read. One per view; `begin` reads what belongs to the next order.

    Of that order: `able` of its venue, `facts` of its instrument, `market` (the reference) and its
    `price` (the middle), `worst_price` (its own, else what a market order would pay), `remaining`
    (may still fill), `value` (the notional of that), `added` (that less what a modified order
    stands for already);
    None where nothing is known. `entry` has the sums in force that its instrument is part of.
    `position` is the instrument's, `working` what else is live on the
    order's side. `reduces`: it closes a position and nothing more, `working` counted.
    """

    __slots__ = (
        "_is_summed",
        "_known",
        "_ledger",
        "_view",
        "able",
        "added",
        "books",
        "capabilities",
        "entry",
        "facts",
        "funds",
        "is_simulated",
        "kill_switch",
        "last_trade",
        "levels",
        "limits",
        "market",
        "now_ns",
        "position",
        "price",
        "reduces",
        "remaining",
        "renew_funds",
        "seen",
        "value",
        "venue",
        "working",
        "worst_price",
    )

    def __init__(
        self, view: RiskView, books: Books, limits: Limits, *, is_simulated: bool = False
    ) -> None:
        self._view = view
        self._ledger = books.ledger
        self._known: dict[str, InstrumentFacts] = {}
        self._is_summed = bool(limits.venue_exposure or limits.account_exposure)
        self.books = books
        self.limits = limits
        self.is_simulated = is_simulated  # the exchange
        self.seen: Callable[[str], bool] = view.seen
        self.kill_switch: Callable[[OrderFacts], str | None] = view.kill_switch
        self.capabilities: Callable[[str], Capabilities | None] = view.capabilities
        # A view without accounts (a `RiskView` that is no `FundsView`) has no balance to check.
        self.funds: FundsOf | None = getattr(view, "funds", None)
        self.renew_funds: Callable[[str, bool], bool] | None = getattr(view, "renew_funds", None)
        self.last_trade: TradeOf | None = getattr(view, "last_trade", None)
        self.levels: LevelsOf | None = getattr(view, "levels", None)
        self.now_ns = 0
        self.entry = Entry()
        self.able: Capabilities | None = None
        self.facts: InstrumentFacts | None = None
        self.market: Reference | None = None
        self.price: Decimal | None = None
        self.venue = ""
        self.position = self.working = self.remaining = _ZERO
        self.reduces = False
        self.worst_price: Decimal | None = None
        self.value: Decimal | None = None
        self.added: Decimal | None = None

    def begin(self, order: OrderFacts) -> None:
        """Read once what the checks of `order` share, and note the market's price: of whatever is
        held, too, where a limit, or an account's margin, is on their sum."""
        self.now_ns = self._view.now_ns()
        every = self._ledger.exposure.held
        others = [held for held in every if held != order.instrument] if every else ()
        if others and (self._is_summed or self._is_on_margin(order.instrument)):
            for held in others:
                self.read(held)
        self.able = self.capabilities(order.instrument)
        self.read(order.instrument)
        self._reckon(order)
        if order.role is Role.STOP and not self._is_market_known() and self._protects(order):
            self._stand_in(order)

    def _is_on_margin(self, instrument: str) -> bool:
        """Whether its account's margin is for all that is held there."""
        facts = self._view.instrument(instrument)
        if self.funds is None or facts is None:
            return False
        funds = self.funds(instrument, facts.currency)
        return funds is not None and not funds.is_cash

    def _is_market_known(self) -> bool:
        market = self.market
        return (
            market is not None
            and market.valid
            and self.now_ns - market.ts_ns <= self.limits.stale_after_ns
        )

    def _protects(self, order: OrderFacts) -> bool:
        """A stop that its strategy calls its protection, for no more than the strategy holds."""
        if order.role is not Role.STOP or order.kind not in STOPS or order.trigger_price is None:
            return False
        held = self.own_held(order)
        declared = self.declared(order)
        if declared is not None and not order.is_buy:
            held += declared.inventory
        return 0 < self.remaining <= held

    def _stand_in(self, order: OrderFacts) -> None:
        """A protection at the venue needs no market to be safer than none: what it is compared
        with is the last trade, as recent as a market must be, else its own trigger."""
        trade = None if self.last_trade is None else self.last_trade(order.instrument)
        if trade is None or self.now_ns - trade.ts_ns > self.limits.stale_after_ns:
            trade = Reference(TRIGGER, self.now_ns, last=order.trigger_price)
        self.market, self.price = trade, trade.price

    def read(self, instrument: str) -> None:
        """The instrument's facts and market now; a whole market's price values what is held."""
        facts = self.facts = self._view.instrument(instrument)
        self.entry = self._ledger.exposure.entry(instrument)
        market = self.market = self._view.reference(instrument)
        self.price = None if market is None else market.price
        if facts is None:
            return
        if self._known.get(instrument) is not facts:
            self._known[instrument] = facts
            self.books.know(instrument, facts)
        price, books = self.price, self.books
        if price is None or market is None or not market.valid:
            return
        if price != self.entry.mark or books.equity.is_open:  # else nothing is valued anew
            books.marked(instrument, facts, price)

    def _reckon(self, order: OrderFacts) -> None:
        instrument, existing = order.instrument, order.existing
        self.venue = instrument.rpartition(".")[2]
        position = self.position = self._ledger.positions.get(instrument, _ZERO)
        working = self._ledger.working_quantity(instrument, order.side)
        remaining = order.quantity
        if existing is not None:
            remaining -= existing.filled
            if not existing.contingent:
                working -= existing.remaining
        self.working, self.remaining = working, remaining
        self.reduces = order.reduce_only
        if position and not order.reduce_only:
            reducible = -position if order.side is Side.BUY else position
            self.reduces = _ZERO < working + remaining <= reducible
        self.value = self.added = None
        price = self.worst_price = self._worst(order)
        facts = self.facts
        if facts is None or price is None or price <= _ZERO:
            return
        self.value = self.added = value = facts.notional(remaining, price)
        if existing is not None and existing.unit_value is not None:
            self.added = value - existing.remaining * existing.unit_value

    def _worst(self, order: OrderFacts) -> Decimal | None:
        if order.price is not None:
            return order.price
        trigger, market = order.trigger_price, self.market
        worst = self.price if market is None or market.ask is None else market.ask
        if order.trailing_offset is not None:
            return _trailed(order, trigger, worst)
        return worst if trigger is None else trigger

    def paid_positions(self, instrument: str, currency: str) -> Decimal:
        """What the balance of this currency at the order's venue has paid for positions, where it
        is told so."""
        able = self.able
        if able is None or not able.pays_positions or self.is_simulated:
            return _ZERO
        return self.books.equity.worth(instrument, currency)

    def price_for(self, order: OrderFacts) -> Decimal | None:
        """What the order is compared with: the market's price; where a dealer's ladder is the
        market, what its tiers give for the quantity, if one covers it."""
        able = self.able
        tier_price = None if able is None else able.tier_price
        if tier_price is None or self.levels is None:
            return self.price
        taken = Side.SELL if order.is_buy else Side.BUY
        found = tier_price(self.levels(order.instrument, taken), order.quantity)
        return self.price if found is None else found

    def is_working(self, order: OrderFacts) -> bool:
        """Whether any other order is live at its venue, of whatever market, side or strategy."""
        live = self._ledger.live.values()
        return any(
            each.instrument.endswith(f".{self.venue}")
            for each in live
            if each.client_order_id != order.client_order_id
        )

    def about_to_hold(self, order: OrderFacts) -> str:
        """Of positions at its venue, and other live orders there, of whatever market or strategy:
        the first that is held, that goes with a position, or that brings one the next moment; empty
        where there is none."""
        mine, venue = order.instrument, f".{self.venue}"
        if self.position:
            whole = self._ledger.by_strategy.get((order.strategy, mine)) == self.position
            return f"a position of {self.position:f}{'' if whole else ', of others too'}"
        for name in self._ledger.exposure.held:
            if name.endswith(venue):
                return f"a position of {self._ledger.positions[name]:f} in {name}"
        for each in self._ledger.live.values():
            if each.client_order_id == order.client_order_id or not each.instrument.endswith(venue):
                continue
            where = "" if each.instrument == mine else f" in {each.instrument}"
            if each.is_exit or each.contingent:
                return f"orders of a bracket, or other exits{where}"
            if each.kind == Kind.MARKET:
                return f"a market order on its way{where}"
        return ""

    def own_position(self, order: OrderFacts) -> Decimal:
        """Of the order's strategy, with what belongs to none."""
        return self._ledger.own(order.strategy, order.instrument)

    def own_held(self, order: OrderFacts) -> Decimal:
        """How much of it the order could reduce."""
        own = self.own_position(order)
        return -own if order.is_buy else own

    def own_exits(self, order: OrderFacts) -> Decimal:
        """What other live exits of its strategy, instrument and side ask for, base units."""
        total = self._ledger.exit_quantity(order.strategy, order.instrument, order.side)
        existing = order.existing
        if existing is not None and existing.is_exit and not existing.contingent:
            total -= existing.remaining
        return total

    def own_working(self, order: OrderFacts) -> Decimal:
        """What other live orders of its strategy, instrument and side ask for, base units."""
        total = self._ledger.owned_quantity(order.strategy, order.instrument, order.side)
        existing = order.existing
        if existing is not None and not existing.contingent:
            total -= existing.remaining
        return total

    def declared(self, order: OrderFacts) -> Declared | None:
        """What the order's strategy says of itself in this instrument."""
        return self._ledger.declared.get((order.strategy, order.instrument))

    def open_order_count(self) -> int:
        return len(self._ledger.live)

    def pending(self, client_order_id: str) -> CountedOrder | None:
        return self._ledger.live.get(client_order_id)


def _trailed(order: OrderFacts, begin: Decimal | None, market: Decimal | None) -> Decimal | None:
    """The most that a trailing stop can turn over, as far as is known: a BUY follows down from its
    begin and fires at the offset above the lowest, a SELL the other way."""
    assert order.trailing_offset is not None
    known = [price for price in (begin, market) if price is not None]
    if not known:
        return None
    if not order.is_buy:
        return max(known)
    return first_fire(order.side, begin or known[0], order.trailing_offset)
