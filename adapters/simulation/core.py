"""The inside of the exchange: how orders enter, match, and end. `exchange.py` is its face."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import ROUND_DOWN, Decimal
from typing import Literal

import msgspec

from fairlead.adapters.simulation.book import Book, Level
from fairlead.adapters.simulation.ledger import FEE_ACCOUNT, MARKET_ACCOUNT, Ledger
from fairlead.adapters.simulation.orders import (
    ZERO,
    FillEntry,
    MarketSpec,
    NewOrder,
    Refusal,
    RefusalCode,
    SimOrder,
    Status,
    Trade,
)
from fairlead.adapters.simulation.tape import Tape
from fairlead.adapters.simulation.trailing import is_fired, limit_price
from fairlead.adapters.simulation.validate import (
    notional_refusal,
    number_refusal,
    shape_refusal,
    would_take,
)
from fairlead.engine.orders.model import Side, Tif, TriggerCondition


class ExchangeOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How the venue behaves.

    `settle_ns` is how long a cancelled order stays `cancelling`, and can still be filled, before
    the cancel is final. `duplicate_client_ids` refuses an id that the account ever used, or only
    one of an order still open. `stop_hold` is when a stop's funds are locked: a stop that finds too
    little at its trigger ends with `NO_FUNDS_AT_TRIGGER`. `post_only_take` is what becomes of a
    post-only order that would trade: refused, or taken and cancelled with `POST_ONLY_TAKES`.
    """

    settle_ns: int = 0
    first_order_id: int = 1
    first_trade_id: int = 1
    self_trade: Literal["allow", "expire_taker"] = "allow"
    duplicate_client_ids: Literal["ever", "open"] = "ever"
    stop_hold: Literal["entry", "trigger"] = "entry"
    post_only_take: Literal["refuse", "cancel"] = "refuse"


# Reasons of cancelled orders that a venue tells apart.
NO_FUNDS_AT_TRIGGER = "insufficient funds at the trigger"
POST_ONLY_TAKES = "post-only would trade"


class ExchangeListener:
    """What can be heard; override what is wanted. A listener must not call the exchange's
    changing methods from inside a call."""

    def order_changed(self, order: SimOrder, event: str) -> None:
        """`event` as in `OrderEntry`. Copy the order to keep it: it changes in place."""

    def filled(self, fill: FillEntry) -> None: ...

    def traded(self, trade: Trade) -> None: ...

    def book_changed(self, market: str, side: Side, price: Decimal, size: Decimal) -> None:
        """The total size at a price is now `size`; told once per price after each call."""

    def balance_changed(self, account: str, currency: str) -> None: ...


class Market:
    """One market's state: read it freely, change it through the exchange."""

    def __init__(self, spec: MarketSpec) -> None:
        self.spec = spec
        self.book = Book()
        self.tape = Tape()
        self.waiting: dict[int, SimOrder] = {}
        self.halted = False
        self.prints: list[Decimal] = []  # trade prices that stops have not seen yet
        self.touched: dict[tuple[Side, Decimal], None] = {}  # levels to tell listeners of


class MatchingCore:
    """State, and the steps that the exchange's calls are made of."""

    def __init__(
        self, markets: Iterable[MarketSpec], options: ExchangeOptions | None = None
    ) -> None:
        self.options = options or ExchangeOptions()
        self.markets: dict[str, Market] = {spec.id: Market(spec) for spec in markets}
        self.ledger = Ledger()
        self.listeners: list[ExchangeListener] = []
        self.now_ns = 0
        self._orders: dict[int, SimOrder] = {}
        self._by_account: dict[str, list[SimOrder]] = {}
        self._open: dict[str, dict[int, SimOrder]] = {}  # by account, what is not terminal
        self._by_client_id: dict[tuple[str, str], SimOrder] = {}
        self._timers: list[tuple[int, int]] = []  # (due ns, order id) of cancels that settle
        self._next_order_id = self.options.first_order_id
        self._next_trade_id = self.options.first_trade_id

    # -- entry ------------------------------------------------------------------------

    def _clock(self, now_ns: int) -> None:
        self.now_ns = max(self.now_ns, now_ns)

    def _refusal(self, account: str, new: NewOrder) -> Refusal | None:
        if account not in self._by_account:
            return Refusal(RefusalCode.UNKNOWN_ACCOUNT, "no such account")
        market = self.markets.get(new.market)
        if market is None:
            return Refusal(RefusalCode.UNKNOWN_MARKET, "market does not have a valid value")
        if market.halted:
            return Refusal(RefusalCode.MARKET_HALTED, f"market {new.market} is halted")
        if new.client_order_id is not None:
            used = self._by_client_id.get((account, new.client_order_id))
            if used and (
                self.options.duplicate_client_ids == "ever" or not used.status.is_terminal
            ):
                return Refusal(
                    RefusalCode.DUPLICATE_CLIENT_ID,
                    f"client order id {new.client_order_id} is in use",
                    used,
                )
        refusal = (
            shape_refusal(new)
            or number_refusal(new, market.spec)
            or notional_refusal(new, market.spec, market.book)
        )
        refuses_takers = self.options.post_only_take == "refuse"
        if refusal is None and new.post_only and refuses_takers and would_take(new, market.book):
            return Refusal(RefusalCode.WOULD_TAKE, "a post-only order would trade at once")
        return refusal

    def _create(
        self, account: str, new: NewOrder, market: Market, hold: Decimal | None = None
    ) -> SimOrder | Refusal:
        """`hold` is what to lock, None: what the order can cost."""
        spec = market.spec
        hold_currency = spec.quote if new.side is Side.BUY else spec.base
        is_held_later = new.trigger_price is not None and self.options.stop_hold == "trigger"
        if hold is None:
            hold = ZERO if is_held_later else self._hold(new, market)
        if self.ledger.balance(account, hold_currency).free < hold:
            return Refusal(
                RefusalCode.INSUFFICIENT_FUNDS, f"{hold} {hold_currency} can not be locked"
            )
        order = SimOrder(
            id=self._next_order_id,
            account=account,
            market=spec.id,
            side=new.side,
            quantity=new.quantity or ZERO,
            price=new.price,
            quote_amount=new.quote_amount,
            trigger_price=new.trigger_price,
            trigger_condition=new.trigger_condition,
            time_in_force=new.time_in_force,
            post_only=new.post_only,
            worst_price=_worst_price(new, market),
            trail=new.trail,
            client_order_id=new.client_order_id,
            self_trade=new.self_trade,
            ts_created=self.now_ns,
            ts_updated=self.now_ns,
            status=Status.OPEN if new.trigger_price is None else Status.WAIT_TRIGGER,
            hold_currency=hold_currency,
            hold=hold,
        )
        self._next_order_id += 1
        self._orders[order.id] = order
        self._by_account[account].append(order)
        if order.client_order_id is not None:
            self._by_client_id[account, order.client_order_id] = order
        self._changed(order, "accepted")
        if hold:
            self._move(account, hold_currency, -hold, hold, f"order {order.id}")
        return order

    def _hold(self, new: NewOrder | SimOrder, market: Market) -> Decimal:
        """What the order locks: a market buy locks what the book would cost it now."""
        if new.side is Side.SELL:
            return new.quantity or ZERO
        if new.quote_amount is not None:
            return new.quote_amount
        assert new.quantity is not None
        rate = 1 + market.spec.fees.buy_quote_rate_max
        if new.price is None:
            return market.book.asks.cost(new.quantity) * rate
        return new.price * new.quantity * rate

    # -- matching ----------------------------------------------------------------------

    def _work(self, market: Market, order: SimOrder) -> None:
        """Match an order that is live now, then rest or close it."""
        opposite = market.book.opposite(order.side)
        if order.time_in_force is Tif.FOK and opposite.available(order.price) < order.quantity:
            self._close(market, order, Status.CANCELED, "fill or kill")
            return
        best = opposite.best()
        if order.post_only and best and opposite.is_within(best.price, order.price):
            self._close(market, order, Status.CANCELED, POST_ONLY_TAKES)
            return
        self._take(market, order)
        if order.status.is_terminal:
            return
        if order.is_market and order.quote_amount is not None:
            order.quantity = order.executed
            left = opposite.best()
            done = left is not None and self._wanted(market, order, left.price) <= 0
            self._close(market, order, Status.FILLED if done else Status.CANCELED, "")
        elif order.is_market or order.time_in_force is not Tif.GTC:
            self._close(market, order, Status.CANCELED, "not filled at once")
        else:
            assert order.price is not None
            level = market.book.side(order.side).need(order.price)
            level.rest(order)
            market.touched[order.side, order.price] = None

    def _take(self, market: Market, order: SimOrder) -> None:
        opposite = market.book.opposite(order.side)
        while not order.status.is_terminal:
            level = opposite.best()
            limit = order.worst_price if order.price is None else order.price
            if level is None or not opposite.is_within(level.price, limit):
                return
            maker, offered = level.front()
            wanted = self._wanted(market, order, level.price)
            if wanted <= 0:
                return
            if (
                maker is not None
                and maker.account == order.account
                and (order.self_trade or self.options.self_trade) == "expire_taker"
            ):
                self._close(market, order, Status.CANCELED, "self-trade prevented")
                return
            self._match(market, level, order, order.side, maker, min(wanted, offered))
            opposite.prune(level)

    def _wanted(self, market: Market, order: SimOrder, price: Decimal) -> Decimal:
        """Base units the order still wants at `price`."""
        if order.quote_amount is None:
            return order.remaining
        budget = order.hold / (1 + market.spec.fees.buy_quote_rate_max)
        return (budget / price).quantize(market.spec.size_step, ROUND_DOWN)

    def _take_level(
        self, market: Market, level: Level, aggressor: Side, quantity: Decimal
    ) -> Decimal:
        """The background takes up to `quantity` from one level, in queue order."""
        left = quantity
        while left > 0:
            maker, offered = level.front()
            if offered <= 0:
                break
            left -= self._match(market, level, None, aggressor, maker, min(left, offered))
        market.book.opposite(aggressor).prune(level)
        return quantity - left

    def _match(
        self,
        market: Market,
        level: Level,
        taker: SimOrder | None,
        aggressor: Side,
        maker: SimOrder | None,
        quantity: Decimal,
    ) -> Decimal:
        """One trade between two parties (None: the market) at the level's price."""
        if maker is not None:
            quantity = min(quantity, maker.remaining)
        trade = self._print(market, level.price, quantity, aggressor, taker, maker)
        market.touched[level_side(aggressor), level.price] = None
        if maker is None:
            level.take_background(quantity)
        else:
            self._fill(market, maker, trade, is_maker=True, against_market=taker is None)
            if maker.status.is_terminal:
                level.remove(maker)
        if taker is not None:
            self._fill(market, taker, trade, is_maker=False, against_market=maker is None)
        return quantity

    def _print(
        self,
        market: Market,
        price: Decimal,
        quantity: Decimal,
        aggressor: Side,
        taker: SimOrder | None,
        maker: SimOrder | None,
    ) -> Trade:
        trade = Trade(
            id=self._next_trade_id,
            market=market.spec.id,
            price=price,
            quantity=quantity,
            aggressor=aggressor,
            ts_event=self.now_ns,
            maker_order_id=maker.id if maker else None,
            taker_order_id=taker.id if taker else None,
        )
        self._next_trade_id += 1
        market.tape.add(trade)
        if market.waiting:
            market.prints.append(price)
        for listener in self.listeners:
            listener.traded(trade)
        return trade

    def _fill(
        self, market: Market, order: SimOrder, trade: Trade, *, is_maker: bool, against_market: bool
    ) -> None:
        """Book one side of a trade: order, balances, fee, ledger."""
        spec, quantity = market.spec, trade.quantity
        funds = trade.price * quantity
        rate = spec.fees.rate(order.side, is_maker=is_maker)
        is_buy = order.side is Side.BUY
        fee_currency = spec.base if is_buy and spec.fees.buyer_pays_base else spec.quote
        fee = (quantity if fee_currency == spec.base else funds) * rate
        order.executed += quantity
        order.funds += funds
        order.trades_count += 1
        reason = f"trade {trade.id}"
        if is_buy:
            paid = funds + (fee if fee_currency == spec.quote else ZERO)
            released = paid
            if order.price is not None:
                released = order.price * quantity * (1 + spec.fees.buy_quote_rate_max)
                released = min(released, order.hold)  # a dealer's order holds what it costs
            order.hold -= released
            received = quantity - (fee if fee_currency == spec.base else ZERO)
            self._move(order.account, spec.quote, released - paid, -released, reason)
            self._move(order.account, spec.base, received, ZERO, reason)
        else:
            order.hold -= quantity
            self._move(order.account, spec.base, ZERO, -quantity, reason)
            self._move(order.account, spec.quote, funds - fee, ZERO, reason)
        self._move(FEE_ACCOUNT, fee_currency, fee, ZERO, reason)
        if against_market:
            sign = -1 if is_buy else 1
            self._move(MARKET_ACCOUNT, spec.base, sign * quantity, ZERO, reason)
            self._move(MARKET_ACCOUNT, spec.quote, -sign * funds, ZERO, reason)
        entry = FillEntry(
            seq=len(self.ledger.entries),
            ts_event=self.now_ns,
            trade_id=trade.id,
            order_id=order.id,
            client_order_id=order.client_order_id,
            account=order.account,
            market=spec.id,
            side=order.side,
            price=trade.price,
            quantity=quantity,
            fee=fee,
            fee_currency=fee_currency,
            is_maker=is_maker,
        )
        self.ledger.fill(entry)
        done = order.quote_amount is None and order.remaining == 0
        if done:
            self._release(order, Status.FILLED)
            order.status = Status.FILLED
        self._changed(order, "filled")
        for listener in self.listeners:
            listener.filled(entry)

    # -- ends ---------------------------------------------------------------------------

    def _release(self, order: SimOrder, status: Status) -> None:
        """What is still held comes free; the reason says whether by a fill or a cancel."""
        if order.hold:
            hold, order.hold = order.hold, ZERO
            end = "filled" if status is Status.FILLED else "closed"
            self._move(order.account, order.hold_currency, hold, -hold, f"order {order.id} {end}")

    def _close(self, market: Market, order: SimOrder, status: Status, reason: str) -> None:
        """End an order, wherever it is."""
        market.waiting.pop(order.id, None)
        self._unrest(market, order)
        self._release(order, status)
        order.status = status
        order.reason = reason
        self._changed(order, "filled" if status is Status.FILLED else "canceled")

    def _unrest(self, market: Market, order: SimOrder) -> None:
        """Take an order out of its level's queue."""
        if order.price is not None:
            side = market.book.side(order.side)
            level = side.get(order.price)
            if level is not None:
                level.remove(order)
                side.prune(level)
                market.touched[order.side, order.price] = None

    def _reprice(self, market: Market, order: SimOrder, price: Decimal, quantity: Decimal) -> bool:
        """Hold what the changed order needs, and take it from its level; False: funds are short."""
        hold = quantity - order.executed
        if order.side is Side.BUY:
            hold *= price * (1 + market.spec.fees.buy_quote_rate_max)
        more = hold - order.hold
        if self.ledger.balance(order.account, order.hold_currency).free < more:
            return False
        self._unrest(market, order)
        order.price, order.quantity, order.hold = price, quantity, hold
        if more:
            self._move(order.account, order.hold_currency, -more, more, f"order {order.id}")
        self._changed(order, "amended")
        return True

    def _set_level(self, market: Market, side: Side, price: Decimal, size: Decimal) -> None:
        own = market.book.side(side)
        existing = own.get(price)
        added = size - (existing.background if existing else ZERO)
        opposite = market.book.opposite(side)
        best = opposite.best()
        if added > 0 and best is not None and opposite.is_within(best.price, price):
            for level in self._users_within(market, side, price):
                for resting in list(level.resting):
                    if added <= 0:
                        break
                    done = self._match(market, level, None, side, resting.order, added)
                    added -= done
                    size -= done
                opposite.prune(level)
        level_own = own.get(price)
        if level_own is None:
            if size <= 0:
                return
            level_own = own.need(price)
        level_own.set_background(size)
        own.prune(level_own)
        market.touched[side, price] = None

    def _users_within(self, market: Market, taker: Side, limit: Decimal) -> list[Level]:
        """Levels with users' orders that a taker of `limit` reaches, best first."""
        opposite = market.book.opposite(taker)
        found = []
        for level in opposite:
            if not opposite.is_within(level.price, limit):
                break
            if level.resting:
                found.append(level)
        return found

    def _run_stops(
        self, market: Market, prices: Sequence[Decimal], only: SimOrder | None = None
    ) -> None:
        low, high = min(prices), max(prices)
        fired = [
            order
            for order in market.waiting.values()
            if (only is None or order is only)
            and (is_fired(order, prices) if order.trail else is_triggered(order, low, high))
        ]
        for order in fired:
            if market.waiting.pop(order.id, None) is None:
                continue
            if order.trail is not None:
                order.price = limit_price(order, market.spec.tick)
            if self.options.stop_hold == "trigger" and not self._lock(order, market):
                self._close(market, order, Status.CANCELED, NO_FUNDS_AT_TRIGGER)
                continue
            order.status = Status.OPEN
            order.ts_triggered = self.now_ns
            self._changed(order, "triggered")
            self._work(market, order)

    def _lock(self, order: SimOrder, market: Market) -> bool:
        """Hold what the order needs now; False, and nothing is held, where funds are short."""
        hold = self._hold(order, market)
        if self.ledger.balance(order.account, order.hold_currency).free < hold:
            return False
        order.hold = hold
        self._move(order.account, order.hold_currency, -hold, hold, f"order {order.id}")
        return True

    def _finish(self, market: Market) -> None:
        """After each call: fire stops until none is left to fire, then tell of the book."""
        while market.prints:
            prices, market.prints = market.prints, []
            self._run_stops(market, prices)
        if not market.touched:
            return
        touched, market.touched = market.touched, {}
        if self.listeners:
            for side, price in touched:
                level = market.book.side(side).get(price)
                size = level.total if level else ZERO
                for listener in self.listeners:
                    listener.book_changed(market.spec.id, side, price, size)

    def _move(
        self, account: str, currency: str, free: Decimal, locked: Decimal, reason: str
    ) -> None:
        self.ledger.move(account, currency, free, locked, reason, self.now_ns)
        for listener in self.listeners:
            listener.balance_changed(account, currency)

    def _changed(self, order: SimOrder, event: str) -> None:
        order.ts_updated = self.now_ns
        if order.status.is_terminal:
            self._open[order.account].pop(order.id, None)
        else:
            self._open[order.account][order.id] = order
        self.ledger.order(event, order, self.now_ns)
        for listener in self.listeners:
            listener.order_changed(order, event)


def _worst_price(new: NewOrder, market: Market) -> Decimal | None:
    """How far from the best price a market order with a slippage tolerance may go."""
    best = market.book.opposite(new.side).best()
    if new.slippage is None or best is None:
        return None
    return best.price * (1 + new.slippage if new.side is Side.BUY else 1 - new.slippage)


def level_side(aggressor: Side) -> Side:
    """The book side that an aggressor takes from."""
    return Side.SELL if aggressor is Side.BUY else Side.BUY


def is_triggered(order: SimOrder, low: Decimal, high: Decimal) -> bool:
    """Whether trades between `low` and `high` satisfy the order's trigger."""
    assert order.trigger_price is not None
    if order.trigger_condition is TriggerCondition.GTE:
        return high >= order.trigger_price
    return low <= order.trigger_price
