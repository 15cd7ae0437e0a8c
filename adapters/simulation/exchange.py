"""A small spot exchange: price-time priority, partial fills, stops, fees, holds, a true ledger.

Pure: no I/O, no clock, no randomness. Every call that changes something takes `now_ns`, which
never goes back (an earlier one counts as the latest seen). Trading on the market's behalf
(`set_level`, `sweep`, `print_trade`) needs no account and has no limits; its counterpart in the
ledger's sums is the account `market`.
"""

from __future__ import annotations

import heapq
from decimal import Decimal

from fairlead.adapters.simulation.core import (
    ExchangeListener,
    ExchangeOptions,
    Market,
    MatchingCore,
    is_triggered,
)
from fairlead.adapters.simulation.orders import (
    ZERO,
    NewOrder,
    Refusal,
    RefusalCode,
    SimOrder,
    Status,
)
from fairlead.engine.orders.model import Side

__all__ = ["Exchange", "ExchangeListener", "ExchangeOptions", "Market", "is_triggered"]


class Exchange(MatchingCore):
    """Markets, accounts and orders. Answers are a `SimOrder` (live object) or a `Refusal`."""

    # -- accounts -----------------------------------------------------------------------------

    def open_account(self, account: str) -> None:
        self.ledger.open_account(account)
        self._by_account.setdefault(account, [])
        self._open.setdefault(account, {})

    def adjust(
        self, account: str, currency: str, free: Decimal, locked: Decimal, reason: str, now_ns: int
    ) -> bool:
        """Deposit, withdraw, or move between free and locked. False if funds are short."""
        self._clock(now_ns)
        balance = self.ledger.balance(account, currency)
        if balance.free + free < 0 or balance.locked + locked < 0:
            return False
        self._move(account, currency, free, locked, reason)
        return True

    # -- orders -------------------------------------------------------------------------------

    def submit(self, account: str, new: NewOrder, now_ns: int) -> SimOrder | Refusal:
        """Take an order, match it, rest what remains."""
        self.advance(now_ns)
        refusal = self._refusal(account, new)
        if refusal is not None:
            return refusal
        market = self.markets[new.market]
        order = self._create(account, new, market)
        if isinstance(order, Refusal):
            return order
        if order.status is Status.WAIT_TRIGGER:
            market.waiting[order.id] = order
            if market.tape.last_price is not None:
                self._run_stops(market, [market.tape.last_price], only=order)
        else:
            self._work(market, order)
        self._finish(market)
        return order

    def deal(
        self, account: str, new: NewOrder, price: Decimal | None, now_ns: int
    ) -> SimOrder | Refusal:
        """Take an order that a dealer fills whole at its own `price`, or kills (None).

        The book is neither asked nor changed. An order whose limit the price is beyond is killed.
        """
        self.advance(now_ns)
        refusal = self._refusal(account, new)
        if refusal is not None:
            return refusal
        market = self.markets[new.market]
        assert new.quantity is not None, "a dealer is asked for a quantity of base units"
        if price is not None and not market.book.opposite(new.side).is_within(price, new.price):
            price = None
        hold = ZERO
        if price is not None:
            rate = 1 + market.spec.fees.buy_quote_rate_max
            hold = price * new.quantity * rate if new.side is Side.BUY else new.quantity
        order = self._create(account, new, market, hold)
        if isinstance(order, Refusal):
            return order
        if price is None:
            self._close(market, order, Status.CANCELED, "fill or kill")
        else:
            trade = self._print(market, price, order.quantity, order.side, order, None)
            self._fill(market, order, trade, is_maker=False, against_market=True)
        self._finish(market)
        return order

    def cancel(
        self, account: str, order_id: int, now_ns: int, settle_ns: int | None = None
    ) -> SimOrder | Refusal:
        """Ask for a cancel; final after `settle_ns` (default: the exchange's option).

        Refused as UNKNOWN_ORDER or, when terminal, NOT_OPEN with the order as `subject`.
        Repeating it is harmless.
        """
        self.advance(now_ns)
        order = self.order(account, order_id)
        if order is None:
            return Refusal(RefusalCode.UNKNOWN_ORDER, f"order {order_id} does not exist")
        if order.status.is_terminal:
            return Refusal(RefusalCode.NOT_OPEN, f"order {order_id} is {order.status.value}", order)
        market = self.markets[order.market]
        delay = self.options.settle_ns if settle_ns is None else settle_ns
        if delay <= 0:
            self._close(market, order, Status.CANCELED, "canceled by user")
        elif order.status is not Status.CANCELLING:
            market.waiting.pop(order.id, None)
            order.status = Status.CANCELLING
            self._changed(order, "cancelling")
            heapq.heappush(self._timers, (self.now_ns + delay, order.id))
        self._finish(market)
        return order

    def amend(
        self, account: str, order_id: int, price: Decimal, quantity: Decimal, now_ns: int
    ) -> SimOrder | Refusal:
        """Give a resting limit order another price and whole quantity; it keeps its number.

        It goes to the end of its level's queue, and trades if its price lets it. A quantity that is
        executed already ends it. Refused as UNKNOWN_ORDER, NOT_OPEN (with `subject`), WOULD_TAKE or
        INSUFFICIENT_FUNDS; numbers are the caller's to check.
        """
        self.advance(now_ns)
        order = self.order(account, order_id)
        if order is None:
            return Refusal(RefusalCode.UNKNOWN_ORDER, f"order {order_id} does not exist")
        if order.status is not Status.OPEN or order.price is None:
            return Refusal(RefusalCode.NOT_OPEN, f"order {order_id} is {order.status.value}", order)
        market = self.markets[order.market]
        best = market.book.opposite(order.side).best()
        if (
            order.post_only
            and best
            and market.book.opposite(order.side).is_within(best.price, price)
        ):
            return Refusal(RefusalCode.WOULD_TAKE, "a post-only order would trade at once", order)
        if quantity <= order.executed:
            self._close(market, order, Status.CANCELED, "canceled by user")
        elif self._reprice(market, order, price, quantity):
            self._work(market, order)
        else:
            return Refusal(RefusalCode.INSUFFICIENT_FUNDS, "the new order can not be held", order)
        self._finish(market)
        return order

    def order(self, account: str, order_id: int) -> SimOrder | None:
        order = self._orders.get(order_id)
        return order if order is not None and order.account == account else None

    def order_by_client_id(self, account: str, client_order_id: str) -> SimOrder | None:
        """The latest order of the account with this id."""
        return self._by_client_id.get((account, client_order_id))

    def orders(self, account: str, market: str | None = None) -> list[SimOrder]:
        """Every order the account ever had, oldest first."""
        return [o for o in self._by_account.get(account, ()) if market in (None, o.market)]

    def open_orders(self, account: str, market: str | None = None) -> list[SimOrder]:
        """What is not terminal, oldest first."""
        return [o for o in self._open.get(account, {}).values() if market in (None, o.market)]

    def advance(self, now_ns: int) -> None:
        """Settle the cancels that are due."""
        self._clock(now_ns)
        while self._timers and self._timers[0][0] <= self.now_ns:
            _, order_id = heapq.heappop(self._timers)
            order = self._orders[order_id]
            if not order.status.is_terminal:
                market = self.markets[order.market]
                self._close(market, order, Status.CANCELED, "canceled by user")
                self._finish(market)

    # -- the market's own liquidity -------------------------------------------------------------

    def set_level(
        self, market_id: str, side: Side, price: Decimal, size: Decimal, now_ns: int
    ) -> None:
        """Display `size` of background at `price` (0: none).

        What it adds trades first with users' orders that it crosses, at their prices.
        """
        self.advance(now_ns)
        market = self.markets[market_id]
        self._set_level(market, side, price, size)
        self._finish(market)

    def replace_background(
        self,
        market_id: str,
        bids: dict[Decimal, Decimal],
        asks: dict[Decimal, Decimal],
        now_ns: int,
    ) -> None:
        """Display exactly these levels (price: size), keeping users' queue positions."""
        self.advance(now_ns)
        market = self.markets[market_id]
        for side, wanted in ((Side.BUY, bids), (Side.SELL, asks)):
            for level in list(market.book.side(side)):
                if level.background > 0 and level.price not in wanted:
                    self._set_level(market, side, level.price, ZERO)
        for side, wanted in ((Side.BUY, bids), (Side.SELL, asks)):
            for price, size in wanted.items():
                self._set_level(market, side, price, size)
        self._finish(market)

    def sweep(
        self,
        market_id: str,
        aggressor: Side,
        quantity: Decimal,
        now_ns: int,
        limit: Decimal | None = None,
    ) -> Decimal:
        """A market order of the background, down to `limit`; returns what was executed."""
        self.advance(now_ns)
        market = self.markets[market_id]
        left = quantity
        opposite = market.book.opposite(aggressor)
        while left > 0:
            level = opposite.best()
            if level is None or not opposite.is_within(level.price, limit):
                break
            left -= self._take_level(market, level, aggressor, left)
        self._finish(market)
        return quantity - left

    def print_trade(
        self, market_id: str, price: Decimal, quantity: Decimal, aggressor: Side, now_ns: int
    ) -> None:
        """A recorded trade. It fills users' orders that are better priced than `price`, then the
        queue at `price`; displayed size elsewhere is left to the recording's own updates."""
        self.advance(now_ns)
        market = self.markets[market_id]
        opposite = market.book.opposite(aggressor)
        left = quantity
        for level in [lv for lv in self._users_within(market, aggressor, price)]:
            for resting in list(level.resting):
                if level.price == price or left <= 0:
                    break
                left -= self._match(market, level, None, aggressor, resting.order, left)
            opposite.prune(level)
        level_at = opposite.get(price)
        if level_at is not None and left > 0:
            left -= self._take_level(market, level_at, aggressor, left)
        if left > 0:
            self._print(market, price, left, aggressor, None, None)
        self._finish(market)

    def halt(self, market_id: str, halted: bool) -> None:
        """While halted, new orders are refused; cancels work."""
        self.markets[market_id].halted = halted
