"""The exchange behind the simulated gateway: futures over the simulated spot exchange.

The account is lent enough of every currency to go short; what it holds beyond that is the
position, and what it has of the quote currency, with the position at its entry price, its wallet.
"""

from __future__ import annotations

from decimal import ROUND_DOWN, Decimal
from random import Random
from typing import Literal, Unpack

import msgspec

from fairlead.adapters.mudawyl.simulator_checks import external
from fairlead.adapters.mudawyl.simulator_markets import MudawylSimOptions
from fairlead.adapters.mudawyl.simulator_rows import ZERO, Holding, Row, Type
from fairlead.adapters.simulation.core import ExchangeListener
from fairlead.adapters.simulation.exchange import ExchangeOptions
from fairlead.adapters.simulation.orders import FillEntry, NewOrder, Trade
from fairlead.adapters.simulation.orders import Refusal as Refused
from fairlead.adapters.simulation.shell import SimState, Start
from fairlead.engine.orders.model import Side

ACCOUNT = "main"
FIRST_ORDER_ID = 3_235_803_329  # as in the document
FIRST_TRADE_ID = 243_302_233
LENT = Decimal(10) ** 12  # of each currency, so that the ledger below never lacks funds
CLIENT_PREFIX = "x-xcKtGhcu"
ROUNDS_MAX = 1_000  # of triggers that fire one another


class Leg(msgspec.Struct, frozen=True, kw_only=True):
    """A target or the stop of a new order."""

    type: Type
    stop_price: Decimal
    price: Decimal | None
    amount: Decimal | None
    tif: str = "GTC"


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A new order with its legs. `callback` is a share, of a trailing stop."""

    symbol: str
    type: Literal["LIMIT", "MARKET", "TRAILING_STOP"]
    side: Side
    amount: Decimal
    price: Decimal | None
    callback: Decimal | None
    legs: tuple[Leg, ...]


class _Ears(ExchangeListener):
    """Hears prints and the account's fills; acting on them waits for the end of the call."""

    def __init__(self, state: MatchingState) -> None:
        self._state = state

    def traded(self, trade: Trade) -> None:
        self._state.prints.append((trade.market, trade.price))

    def filled(self, fill: FillEntry) -> None:
        if fill.account == ACCOUNT:
            self._state.book(fill)


class MatchingState(SimState[MudawylSimOptions]):
    """Orders, positions and the wallet of the one account that is traded with."""

    def __init__(self, options: MudawylSimOptions | None = None, **start: Unpack[Start]) -> None:
        options = options or MudawylSimOptions()
        listed = [(market.spec, market.start_price) for market in options.markets]
        matching = ExchangeOptions(first_trade_id=FIRST_TRADE_ID)
        super().__init__(options, ACCOUNT, listed, matching, **start)
        self.markets = {market.symbol: market for market in options.markets}
        self.prints: list[tuple[str, Decimal]] = []
        self.rows: dict[int, Row] = {}  # by id, oldest first
        self.holdings = {name: Holding(leverage=options.leverage) for name in self.markets}
        self.failing: list[str] = []  # kinds of legs that the exchange will refuse, once each
        self._flattened: set[str] = set()
        self._row_of: dict[int, Row] = {}  # by the ledger's number
        self._next_id = FIRST_ORDER_ID + 2 * start.get("ids_from", 0)
        self._ids = Random(f"{self.seed}/{start.get('ids_from', 0)}/orders")  # noqa: S311
        now_ns = start["now_ns"]
        currencies = {c for m in options.markets for c in (m.base, m.quote)}
        for currency in sorted(currencies):
            self.exchange.adjust(ACCOUNT, currency, LENT, ZERO, "lent", now_ns)
        self.exchange.listeners.append(_Ears(self))

    def ledger_id(self, venue_order_id: str) -> int:
        """Raises ValueError for an order that never entered the ledger."""
        row = self.rows.get(int(venue_order_id))
        if row is None or row.order is None:
            raise ValueError(f"no order {venue_order_id[:60]} in the ledger")
        return row.order.id

    # -- what the account has ----------------------------------------------------------------------

    def mark(self, symbol: str) -> Decimal:
        return self.exchange.markets[symbol].tape.last_price or self.markets[symbol].start_price

    def wallet(self, currency: str = "USDT") -> Decimal:
        """Deposits, less fees, with what was won and lost in closed positions."""
        balance = self.exchange.ledger.balance(ACCOUNT, currency).total - LENT
        for symbol, holding in self.holdings.items():
            if self.markets[symbol].quote == currency:
                balance += holding.quantity * holding.entry
        return balance

    def used(self) -> Decimal:
        """Margin of positions and of entries that rest."""
        held = sum((h.margin(self.mark(name)) for name, h in self.holdings.items()), ZERO)
        for row in self.open_rows():
            if not row.reduce_only and row.amount is not None:
                price = row.price or row.stop_price or self.mark(row.symbol)
                held += (row.amount - row.filled) * price / self.holdings[row.symbol].leverage
        return held

    def pnl(self) -> Decimal:
        return sum((h.pnl(self.mark(name)) for name, h in self.holdings.items()), ZERO)

    def liquidation(self, symbol: str) -> Decimal:
        """Where the wallet would be gone, for whoever reads it."""
        holding = self.holdings[symbol]
        price = holding.entry - self.wallet() / holding.quantity
        return max(price, ZERO)

    def open_rows(self, symbol: str | None = None) -> list[Row]:
        return [row for row in self.rows.values() if row.is_open and symbol in (None, row.symbol)]

    def fills(self, symbol: str) -> list[tuple[Row, FillEntry]]:
        """Oldest first."""
        found = self.exchange.ledger.fills(ACCOUNT)
        return [(self._row_of[f.order_id], f) for f in found if f.market == symbol]

    def book(self, fill: FillEntry) -> None:
        holding = self.holdings[fill.market]
        holding.fill(fill.side, fill.quantity, fill.price, fill.ts_event)
        if holding.quantity == 0:
            self._flattened.add(fill.market)

    # -- orders ------------------------------------------------------------------------------------

    def create(self, asked: Asked) -> list[Row]:
        """Clear what is there, then make the entry, its targets and its stop.

        Raises Refusal (433) for what the exchange refuses, of the entry, or of a leg by the option.
        """
        if self.options.refusal_clears:
            self._clear_for(asked.symbol)
        self._require_margin(asked)
        if not self.options.refusal_clears:
            self._clear_for(asked.symbol)
        made = [self._entry(asked)]
        for leg in asked.legs:
            if self._is_refused(leg, asked):
                if self.options.partial == "error":
                    self.settle()
                    raise external("1500")
                continue
            made.append(self._leg(leg, asked))
        self.settle()
        return made

    def _clear_for(self, symbol: str) -> None:
        for name in self.markets if self.options.clears == "account" else (symbol,):
            self.clear(name)

    def clear(self, symbol: str) -> None:
        """Cancel the symbol's open orders and close its position."""
        for row in self.open_rows(symbol):
            self._cancel(row)
        quantity = self.holdings[symbol].quantity
        if quantity:
            side = Side.SELL if quantity > 0 else Side.BUY
            self._send(self._new(symbol, "market", side, amount=abs(quantity), reduce_only=True))
        self.settle()

    def settle(self) -> None:
        """Act on what was heard: triggers that fire, legs of positions that are gone."""
        for _ in range(ROUNDS_MAX):
            if not self.prints and not self._flattened:
                return
            prints, self.prints = self.prints, []
            flattened, self._flattened = self._flattened, set()
            for symbol in sorted(flattened):
                if self.holdings[symbol].quantity == 0:
                    self._drop_legs(symbol)
            for symbol, price in prints:
                for row in self.open_rows(symbol):
                    if row.is_waiting and row.is_fired(price):
                        self._fire(row)
        raise AssertionError("triggers fire one another for ever")

    def _drop_legs(self, symbol: str) -> None:
        for row in self.open_rows(symbol):
            if row.reduce_only:
                self._cancel(row, "expired")

    def _fire(self, row: Row) -> None:
        if row.reduce_only:
            quantity = self.holdings[row.symbol].quantity
            held = max(quantity if row.side is Side.SELL else -quantity, ZERO)
            if held == 0:
                row.ended = "expired"
                return
            if row.amount is not None and held < row.amount and not self.options.reduces_amount:
                row.asked = row.amount
            row.amount = held if row.amount is None else min(row.amount, held)
        self._send(row)

    def _cancel(self, row: Row, how: Literal["canceled", "expired"] = "canceled") -> None:
        if row.order is None:
            row.ended = how
        else:
            self.exchange.cancel(ACCOUNT, row.order.id, self.exchange.now_ns)

    def _require_margin(self, asked: Asked) -> None:
        """Raises Refusal (1500): what the exchange itself would refuse."""
        market, spec = self.markets[asked.symbol], self.markets[asked.symbol].spec
        price = asked.price or self.mark(asked.symbol)
        steps = [
            (asked.amount, spec.size_step),
            *((leg.stop_price, spec.tick) for leg in asked.legs),
        ]
        steps += [(asked.price, spec.tick)] if asked.price is not None else []
        is_fine = all(value % step == 0 for value, step in steps)
        value = price * asked.amount
        free = self.wallet() + self.pnl() - self.used()
        if not is_fine or value <= market.min_notional:
            raise external("1500")
        if value / self.holdings[asked.symbol].leverage > free:
            raise external("1500")

    def _entry(self, asked: Asked) -> Row:
        """Raises Refusal (1500) for one that the exchange can't match."""
        if asked.type == "TRAILING_STOP":
            row = self._new(asked.symbol, "trailing_stop_market", asked.side, amount=asked.amount)
            row.stop_price, row.callback = asked.price, asked.callback
            return row
        kind: Type = "market" if asked.type == "MARKET" else "limit"
        row = self._new(asked.symbol, kind, asked.side, amount=asked.amount, price=asked.price)
        if not self._send(row):
            raise external("1500")
        return row

    def _leg(self, leg: Leg, asked: Asked) -> Row:
        side = Side.SELL if asked.side is Side.BUY else Side.BUY
        row = self._new(
            asked.symbol, leg.type, side, amount=leg.amount, price=leg.price, reduce_only=True
        )
        row.stop_price, row.tif = leg.stop_price, leg.tif
        return row

    def _is_refused(self, leg: Leg, asked: Asked) -> bool:
        """What was told to fail, and a stop or target that would trigger at once."""
        kind = "stop" if leg.type.startswith("stop") else "target"
        if kind in self.failing:
            self.failing.remove(kind)
            return True
        if leg.amount is not None and leg.amount <= 0:
            return True
        above = (asked.side is Side.BUY) == (kind == "target")
        last = self.mark(asked.symbol)
        return leg.stop_price <= last if above else leg.stop_price >= last

    def _new(
        self,
        symbol: str,
        kind: Type,
        side: Side,
        *,
        amount: Decimal | None,
        price: Decimal | None = None,
        reduce_only: bool = False,
    ) -> Row:
        row = Row(
            id=self._next_id,
            client_order_id=f"{CLIENT_PREFIX}{self._ids.getrandbits(88):022x}",
            symbol=symbol,
            type=kind,
            side=side,
            ts_ns=self.exchange.now_ns,
            price=price,
            amount=amount,
            reduce_only=reduce_only,
        )
        self._next_id += 2
        self.rows[row.id] = row
        return row

    def _send(self, row: Row) -> bool:
        """Into the book. False, and the row is over, where that refuses it."""
        new = NewOrder(market=row.symbol, side=row.side, quantity=row.amount, price=row.price)
        # Fills are heard within the call, before its answer tells the order's number.
        order = self.exchange.submit(ACCOUNT, new, self.exchange.now_ns)
        if isinstance(order, Refused):
            row.ended = "expired"
            return False
        row.order = order
        self._row_of[order.id] = row
        return True


def split(amount: Decimal, parts: int, step: Decimal) -> list[Decimal]:
    """In equal parts on the step; the last has what remains."""
    part = (amount / parts).quantize(step, ROUND_DOWN)
    return [part] * (parts - 1) + [amount - part * (parts - 1)]
