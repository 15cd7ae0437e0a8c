"""The gate's view of a running NautilusTrader strategy, the same in live, paper and backtest."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from nautilus_trader.model import (
    AggregationSource,
    ClientOrderId,
    InstrumentId,
    OrderSide,
    OrderType,
    TimeInForce,
    TrailingOffsetType,
)

from fairlead.engine import currencies
from fairlead.engine.orders.model import REDUCE_TAG, Kind, Role, Side, role_of
from fairlead.engine.orders.trigger import first_fire
from fairlead.engine.risk.facts import (
    Funds,
    InstrumentFacts,
    OrderFacts,
    Reference,
)
from fairlead.engine.risk.gate import RiskGate
from fairlead.engine.risk.gateview import GateView

if TYPE_CHECKING:
    from nautilus_trader.trading import Strategy


def _name(member: Any) -> str:
    return str(member.name)


_SIDES = {OrderSide.BUY: Side.BUY, OrderSide.SELL: Side.SELL}
_KINDS: dict[Any, str] = {kind: _name(kind) for kind in OrderType.variants()}
_TIFS: dict[Any, str] = {tif: _name(tif) for tif in TimeInForce.variants()}
FUNDS_AGE_NS = 30_000_000_000  # a scarce balance that suffices may be this old
FUNDS_MAX_NS = 300_000_000_000  # an ample one this old
INSTRUMENT_AGE_NS = 10_000_000_000  # increments and limits of an instrument this old
FIRST_SHARE = Decimal("0.0002")  # a trigger is rounded to the instrument's increments
_LIMIT, _TRAILS = Kind.LIMIT.value, Kind.TRAILING_STOP_MARKET.value
_BPS = TrailingOffsetType.BASIS_POINTS
_UNPRICED = frozenset({"MARKET", "MARKET_TO_LIMIT"})


def side_of(side: OrderSide) -> Side:
    return _SIDES[side]


def price_of(order: Any) -> Decimal | None:
    """The limit price of a NautilusTrader order, else its trigger price, else None."""
    if _KINDS[order.order_type] in _UNPRICED:
        return None
    price = order.price if order.has_price else None
    if price is None and order.has_trigger_price:
        price = order.trigger_price
    return _decimal(price)


def _offset_of(order: Any) -> Decimal | None:
    """By how many basis points a trailing stop follows; None where it is to follow otherwise."""
    offset: Decimal = order.trailing_offset
    begin, trigger = order.activation_price, order.trigger_price
    if order.trailing_offset_type != _BPS:
        return None
    if trigger is None:
        return offset
    if begin is None:
        return None
    first = first_fire(_SIDES[order.side], begin.as_decimal(), offset)
    return offset if abs(trigger.as_decimal() - first) <= first * FIRST_SHARE else None


def order_facts(order: Any) -> OrderFacts:
    """The facts of a NautilusTrader order, for a check or a last look before the wire."""
    kind = _KINDS[order.order_type]
    if (
        kind == _LIMIT
        and order.exec_algorithm_id is None
        and order.parent_order_id is None
        and order.contingency_type is None
        and order.emulation_trigger is None
    ):
        return _limit_facts(order)
    return _any_facts(order, kind)


def _limit_facts(order: Any) -> OrderFacts:
    """Of a limit order that stands for itself, as most do: `_any_facts` without what it lacks."""
    tags, role, reduce_only = order.tags, Role.NONE, order.is_reduce_only
    if tags is not None or reduce_only:
        reduce_only = reduce_only or REDUCE_TAG in tags
        role = role_of(tags, reduce_only=reduce_only)
    return OrderFacts(
        client_order_id=str(order.client_order_id),
        strategy=str(order.strategy_id),
        instrument=str(order.instrument_id),
        side=_SIDES[order.side],
        kind=_LIMIT,
        quantity=order.quantity.as_decimal(),
        price=order.price.as_decimal(),
        time_in_force=_TIFS[order.time_in_force],
        post_only=order.is_post_only,
        reduce_only=reduce_only,
        role=role,
        quote_quantity=order.is_quote_quantity,
    )


def _any_facts(order: Any, kind: str) -> OrderFacts:
    price = trigger = emulation = offset = None
    priced = kind not in _UNPRICED
    if priced:
        price = order.price if order.has_price else None
        trigger = order.trigger_price if order.has_trigger_price else None
        if kind == _TRAILS:
            trigger, offset = order.activation_price, _offset_of(order)
    emulated_by = order.emulation_trigger
    if emulated_by is not None and emulated_by.name != "NO_TRIGGER":
        emulation = emulated_by.name
    algorithm = order.exec_algorithm_id
    contingency = order.contingency_type
    parent = order.parent_order_id
    tags = order.tags
    reduce_only = order.is_reduce_only or (tags is not None and REDUCE_TAG in tags)
    return OrderFacts(
        client_order_id=str(order.client_order_id),
        strategy=str(order.strategy_id),
        instrument=str(order.instrument_id),
        side=_SIDES[order.side],
        kind=kind,
        quantity=order.quantity.as_decimal(),
        price=None if price is None else price.as_decimal(),
        trigger_price=None if trigger is None else trigger.as_decimal(),
        trailing_offset=offset,
        time_in_force=_TIFS[order.time_in_force],
        post_only=priced and bool(getattr(order, "is_post_only", False)),
        reduce_only=reduce_only,
        role=role_of(tags, reduce_only=reduce_only),
        quote_quantity=order.is_quote_quantity,
        exec_algorithm=None if algorithm is None else str(algorithm),
        emulation=emulation,
        contingency=None
        if contingency is None or contingency.name == "NO_CONTINGENCY"
        else contingency.name,
        parent=None if parent is None else str(parent),
        fired=trigger is not None and bool(getattr(order, "ts_triggered", None)),
    )


def instrument_facts(instrument: Any, fee: Decimal | None = None) -> InstrumentFacts:
    """The facts of a NautilusTrader instrument; `fee` is the highest rate where it is known.

    An instrument without an initial margin is counted in full, before the account's leverage.
    """
    base = getattr(instrument, "base_currency", None)
    margin = Decimal(str(instrument.margin_init or 0))
    return InstrumentFacts(
        price_increment=instrument.price_increment.as_decimal(),
        size_increment=instrument.size_increment.as_decimal(),
        price_precision=instrument.price_precision,
        size_precision=instrument.size_precision,
        quote=instrument.quote_currency.code,
        multiplier=instrument.multiplier.as_decimal(),
        inverse=instrument.is_inverse,
        base=None if base is None else base.code,
        is_contract=getattr(instrument, "settlement_currency", None) is not None,
        fee=fee if fee is not None else _worst_fee(instrument.info),
        margin=margin if margin > 0 else Decimal(1),
        min_price=_decimal(instrument.min_price),
        max_price=_decimal(instrument.max_price),
        min_quantity=_decimal(instrument.min_quantity),
        max_quantity=_decimal(instrument.max_quantity),
        min_notional=_decimal(instrument.min_notional),
        max_notional=_decimal(instrument.max_notional),
    )


def _decimal(value: Any) -> Decimal | None:
    return None if value is None else value.as_decimal()


_FEE_KEYS = ("maker_fee", "taker_fee", "buy_fee", "sell_fee")


def _worst_fee(info: Any) -> Decimal:
    """The highest fee rate that an adapter or importer put into the instrument's info."""
    worst = Decimal(0)
    for key in _FEE_KEYS:
        try:
            worst = max(worst, Decimal(str((info or {}).get(key, 0))))
        except InvalidOperation:
            continue
    return worst


def heard_ns(heard: Mapping[Any, tuple[int, int]], quote: Any) -> int:
    """When a quote was received: NautilusTrader gives one that it makes from a book the venue's
    time for both of its times, and only who hears it knows."""
    if quote.ts_init != quote.ts_event:
        return int(quote.ts_init)
    ts_event, ts_ns = heard.get(quote.instrument_id, (0, 0))
    return ts_ns if ts_event == quote.ts_event else int(quote.ts_init)


def _is_of_ticker(quote: Any) -> bool:
    return bool(quote.bid_price == quote.ask_price and quote.ask_size.is_zero())


class _Reading:
    """The funds of an account by currency, as read at one time."""

    __slots__ = ("by_currency", "moves", "read_ns")

    def __init__(self, read_ns: int, moves: int) -> None:
        self.read_ns = read_ns
        self.moves = moves  # how many fills had moved the balances by then
        self.by_currency: dict[str, Funds] = {}


class NautilusView(GateView):
    """Reads the strategy's cache and clock, and the gate's ledger.

    Built once per strategy when it starts. Not to be used inside `on_order_initialized` and
    `on_order_pending_*`, where NautilusTrader lends the strategy to nobody.
    """

    __slots__ = (
        "_cache",
        "_clock",
        "_funds",
        "_ids",
        "_instruments",
        "_moves",
        "_now",
        "_tops",
        "_touches",
        "_venues",
        "received",
    )

    def __init__(self, strategy: Strategy, gate: RiskGate) -> None:
        super().__init__(gate)
        self._cache = strategy.cache
        self._clock = strategy.clock
        self._funds: dict[str, _Reading] = {}  # by instrument
        self._moves = 0
        self._now = 0  # when the order that is looked at began to be
        self._touches: dict[str, tuple[Any, Any, tuple[Decimal, Decimal, Decimal]]] = {}
        self._venues: dict[str, Any] = {}
        self._ids: dict[str, InstrumentId] = {}
        # By instrument: when it was read, its ts_init, its facts
        self._instruments: dict[str, tuple[int, int, InstrumentFacts]] = {}
        self._tops: dict[str, tuple[int, Reference]] = {}
        self.received = gate.received

    def now_ns(self) -> int:
        now = self._now = self._clock.timestamp_ns()
        return now

    def reference(self, instrument: str) -> Reference | None:
        """The managed book if there is one; else the last quote, trade, or bar from outside.

        Quotes made from a book outlive its clearing, so they are not asked while there is a book.
        A quote without any size is a ticker's, which is asked as the mark price.
        """
        key = self._id(instrument)
        cache = self._cache
        updates = cache.book_update_count(key)
        if updates:
            return self._book_reference(instrument, key, updates)
        quote = cache.quote(key)
        if quote is not None and not _is_of_ticker(quote):
            bid, ask = quote.bid_price.as_decimal(), quote.ask_price.as_decimal()
            ts_ns = heard_ns(self._gate.heard, quote)
            return Reference("quote", ts_ns, bid, ask, None, bid < ask)
        return self.last_trade(instrument) or self._mark_or_bar(key)

    def last_trade(self, instrument: str) -> Reference | None:
        """Whatever the book is."""
        trade = self._cache.trade(self._id(instrument))
        if trade is None:
            return None
        return Reference("trade", trade.ts_init, last=trade.price.as_decimal())

    def levels(self, instrument: str, side: Side) -> list[tuple[Decimal, Decimal]]:
        """(price, size) of one side of the managed book, best first; empty: there is none."""
        book = self._cache.order_book(self._id(instrument))
        if book is None:
            return []
        side_of_book = book.bids() if side is Side.BUY else book.asks()
        # A size is told as a double, whose shortest text is the decimal that it was made of.
        return [(one.price.as_decimal(), Decimal(str(one.size()))) for one in side_of_book]

    def price_for(self, instrument: str, side: Side, quantity: Decimal) -> Decimal | None:
        """The limit at which an order of this size would fill whole now; None: it would not.

        At a dealer's that is the first tier that covers it, else the last level that it takes.
        """
        levels = self.levels(instrument, Side.SELL if side is Side.BUY else Side.BUY)
        able = self.capabilities(instrument)
        if able is not None and able.tier_price is not None:
            return able.tier_price(levels, quantity)
        for price, size in levels:
            quantity -= size
            if quantity <= 0:
                return price
        return None

    def _book_reference(self, instrument: str, key: InstrumentId, updates: int) -> Reference:
        known = self._tops.get(instrument)
        if known is not None and known[0] == updates:
            return known[1]
        # By receipt, which is our clock: the book itself knows only the venue's time.
        update = self.received.get(key)
        ts_ns = 0 if update is None else update.ts_init
        top = self._cache.top_of_book(key)
        if top is None:
            reference = Reference("book", ts_ns, valid=False)
        else:
            bid, ask, middle = self._decimals(instrument, top[0], top[2])
            reference = Reference("book", ts_ns, bid, ask, None, bid < ask, middle)
        self._tops[instrument] = (updates, reference)
        return reference

    def _decimals(self, instrument: str, bid: Any, ask: Any) -> tuple[Decimal, Decimal, Decimal]:
        """The touch and its middle; prices that are still the same are not converted again."""
        known = self._touches.get(instrument)
        if known is not None and known[0] == bid and known[1] == ask:
            return known[2]
        low, high = bid.as_decimal(), ask.as_decimal()
        found = (low, high, (low + high) / 2)
        self._touches[instrument] = (bid, ask, found)
        return found

    def _mark_or_bar(self, key: InstrumentId) -> Reference | None:
        """The last price of a ticker, where that is all there is."""
        mark = self._cache.mark_price(key)
        if mark is None:
            return self._bar_reference(key)
        return Reference("ticker", mark.ts_init, last=mark.value.as_decimal())

    def _bar_reference(self, key: InstrumentId) -> Reference | None:
        """The close of the newest bar that came from outside, where bars are the only data."""
        newest = None
        for bar_type in self._cache.bar_types(AggregationSource.EXTERNAL, key):
            bar = self._cache.bar(bar_type)
            if bar is not None and (newest is None or bar.ts_init > newest.ts_init):
                newest = bar
        if newest is None:
            return None
        return Reference("bar", newest.ts_init, last=newest.close.as_decimal())

    def instrument(self, instrument: str) -> InstrumentFacts | None:
        """As last read, at most INSTRUMENT_AGE_NS ago."""
        known = self._instruments.get(instrument)
        if known is not None and 0 <= self._now - known[0] < INSTRUMENT_AGE_NS:
            return known[2]
        found = self._cache.instrument(self._id(instrument))
        if found is None:
            return None
        if known is None or known[1] != found.ts_init:
            fee = self._gate.fees.get(instrument.rpartition(".")[2])
            facts = instrument_facts(found, fee)
        else:
            facts = known[2]
        self._instruments[instrument] = (self._now, found.ts_init, facts)
        return facts

    def funds(self, instrument: str, currency: str) -> Funds | None:
        """As last read, at most FUNDS_MAX_NS ago; `renew_funds` reads again.

        Reading copies the account with all its events, which costs more the longer a run lasts.
        What cash orders spent since is counted from the report's time on.
        """
        known = self._funds.get(instrument)
        if known is not None and 0 <= self._now - known.read_ns < FUNDS_MAX_NS:
            found = known.by_currency.get(currency)
            if found is not None:
                return found
        venue = self._venues.get(instrument)
        if venue is None:
            venue = self._venues[instrument] = self._id(instrument).venue
        account = self._cache.account_for_venue(venue)
        if account is None:
            return None
        if known is None or known.read_ns != self._now:
            known = self._funds[instrument] = _Reading(self._now, self._moves)
        found = known.by_currency[currency] = self._read_funds(account, instrument, currency)
        return found

    def balances_moved(self) -> None:
        """A fill moved balances: what was read before is too old where they are scarce."""
        self._moves += 1

    def renew_funds(self, instrument: str, refused: bool) -> bool:
        """Forget what was read, if another reading may differ; whether it was forgotten.

        For an order that would be `refused` anything not read just now; else, for one that needs
        much of what is free, what was read before the last fill or FUNDS_AGE_NS ago.
        """
        known = self._funds.get(instrument)
        if known is None or (known.read_ns == self._now and known.moves == self._moves):
            return False
        age_ns = self._now - known.read_ns
        if not refused and known.moves == self._moves and 0 <= age_ns < FUNDS_AGE_NS:
            return False
        del self._funds[instrument]
        return True

    def _read_funds(self, account: Any, instrument: str, currency: str) -> Funds:
        money = currencies.currency(currency)
        total, free = account.balance_total(money), account.balance_free(money)
        cash = account.is_cash_account()
        leverage = Decimal(1)
        if not cash:
            leverage = Decimal(str(account.leverage(self._id(instrument)) or 1))
        last = account.last_event
        return Funds(
            Decimal(0) if total is None else total.as_decimal(),
            Decimal(0) if free is None else free.as_decimal(),
            bool(cash),
            max(leverage, Decimal(1)),
            0 if last is None else last.ts_event,
        )

    def seen(self, client_order_id: str) -> bool:
        return client_order_id in self._gate.ledger.live or self._cache.order_exists(
            ClientOrderId(client_order_id)
        )

    def _id(self, instrument: str) -> InstrumentId:
        key = self._ids.get(instrument)
        if key is None:
            key = self._ids[instrument] = InstrumentId.from_str(instrument)
        return key
