"""Orders of the exchange behind the simulated gateway, and how they are told (section 3)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Literal

import msgspec

from fairlead.adapters.mudawyl.simulator_markets import MS, iso, number
from fairlead.adapters.simulation.orders import FillEntry, SimOrder, Status
from fairlead.engine.orders.model import Side

ZERO = Decimal(0)
Type = Literal[
    "limit",
    "market",
    "stop",
    "stop_market",
    "take_profit",
    "take_profit_market",
    "trailing_stop_market",
]
_STATUSES = {Status.FILLED: "closed", Status.CANCELED: "canceled"}


class Row(msgspec.Struct, kw_only=True):
    """One order. While it waits for its trigger it has no `order` in the ledger.

    `amount` None closes the position, whatever that is. `callback` is a share (0.01 is 1 %).
    """

    id: int
    client_order_id: str
    symbol: str
    type: Type
    side: Side
    ts_ns: int
    price: Decimal | None = None
    stop_price: Decimal | None = None
    amount: Decimal | None = None
    reduce_only: bool = False
    tif: str = "GTC"
    order: SimOrder | None = None
    ended: Literal["", "canceled", "expired"] = ""
    asked: Decimal | None = None  # where less than this was left to close when it triggered
    callback: Decimal | None = None
    best: Decimal | None = None  # the price that a trailing stop follows, once it does

    @property
    def is_waiting(self) -> bool:
        return self.order is None and not self.ended

    @property
    def is_open(self) -> bool:
        if self.order is None:
            return not self.ended
        return not self.order.status.is_terminal

    @property
    def status(self) -> str:
        if self.order is None:
            return self.ended or "open"
        if self.asked is not None and self.order.status is Status.FILLED:
            return "expired"  # there was nothing more to close
        return _STATUSES.get(self.order.status, "open")

    @property
    def filled(self) -> Decimal:
        return ZERO if self.order is None else self.order.executed

    @property
    def average(self) -> Decimal | None:
        return None if self.order is None else self.order.avg_price

    def is_fired(self, price: Decimal) -> bool:
        """Whether a trade at `price` triggers it; a trailing stop follows it first."""
        if self.type == "trailing_stop_market":
            return self._is_trail_fired(price)
        assert self.stop_price is not None, "what waits has a trigger"
        rises = (self.side is Side.BUY) == (self.type in ("stop", "stop_market"))
        return price >= self.stop_price if rises else price <= self.stop_price

    def _is_trail_fired(self, price: Decimal) -> bool:
        """A buy follows the lowest price from its activation on, and fires on the way up."""
        assert self.stop_price is not None
        assert self.callback is not None
        is_buy = self.side is Side.BUY
        if self.best is None:
            is_active = price <= self.stop_price if is_buy else price >= self.stop_price
            self.best = price if is_active else None
            return False
        self.best = min(self.best, price) if is_buy else max(self.best, price)
        share = 1 + self.callback if is_buy else 1 - self.callback
        return price >= self.best * share if is_buy else price <= self.best * share


def told_type(row: Row) -> str:
    """A stop that was triggered is told as what it became."""
    if row.order is None:
        return row.type
    return "market" if row.order.is_market else "limit"


def _core(row: Row) -> dict[str, Any]:
    amount = row.amount
    if row.order is not None:
        amount = row.asked or row.order.quantity
    average = row.average
    return {
        "id": str(row.id),
        "clientOrderId": row.client_order_id,
        "symbol": row.symbol,
        "type": told_type(row),
        "timeInForce": row.tif if row.order is None else "GTC",
        "postOnly": False,
        "reduceOnly": row.reduce_only,
        "side": row.side.value.lower(),
        "price": number(row.price if row.price is not None else average),
        "amount": number(amount),
        "cost": number(ZERO if row.order is None else row.order.funds),
        "filled": number(row.filled),
        "remaining": None if amount is None else number(amount - row.filled),
        "status": row.status,
        "trades": [],
        "fees": [],
    }


def created_row(row: Row) -> dict[str, Any]:
    """As the answer to a create tells it: what is not known is left out."""
    told = _core(row)
    if row.average is not None:
        told["average"] = number(row.average)
    if row.stop_price is not None:
        told |= {"timestamp": row.ts_ns // MS, "datetime": iso(row.ts_ns)}
        told["stopPrice"] = number(row.stop_price)
    return told


def listed_row(row: Row) -> dict[str, Any]:
    """As lists tell it: what is not known is null."""
    return _core(row) | {
        "datetime": iso(row.ts_ns),
        "stopPrice": number(row.stop_price),
        "average": number(row.average),
        "fee": None,
    }


def trade_row(row: Row, fill: FillEntry) -> dict[str, Any]:
    fee = {"cost": number(fill.fee), "currency": fill.fee_currency}
    return {
        "id": str(fill.trade_id),
        "order": str(row.id),
        "symbol": row.symbol,
        "type": None,
        "datetime": iso(fill.ts_event),
        "side": fill.side.value.lower(),
        "takerOrMaker": "maker" if fill.is_maker else "taker",
        "price": number(fill.price),
        "amount": number(fill.quantity),
        "cost": number(fill.price * fill.quantity),
        "fee": fee,
        "fees": [fee],
    }


class Holding(msgspec.Struct, kw_only=True):
    """A position, one-way: `quantity` is signed, `entry` its average price."""

    quantity: Decimal = ZERO
    entry: Decimal = ZERO
    leverage: int
    is_isolated: bool = False
    ts_ns: int = 0

    def fill(self, side: Side, quantity: Decimal, price: Decimal, ts_ns: int) -> None:
        change = quantity if side is Side.BUY else -quantity
        before, after = self.quantity, self.quantity + change
        if before * change >= 0:
            self.entry = (self.entry * abs(before) + price * quantity) / abs(after)
        elif before * after < 0:
            self.entry = price  # through zero
        elif after == 0:
            self.entry = ZERO
        self.quantity, self.ts_ns = after, ts_ns

    def margin(self, mark: Decimal) -> Decimal:
        return abs(self.quantity) * mark / self.leverage

    def pnl(self, mark: Decimal) -> Decimal:
        return self.quantity * (mark - self.entry)


def position_row(
    symbol: str, holding: Holding, mark: Decimal, wallet: Decimal, liquidation: Decimal
) -> dict[str, Any]:
    mode = "isolated" if holding.is_isolated else "cross"
    notional = abs(holding.quantity) * mark
    maintenance = notional * Decimal("0.01")
    pnl = holding.pnl(mark)
    margin = holding.margin(mark)
    return {
        "symbol": symbol,
        "contracts": number(abs(holding.quantity)),
        "contractSize": 1,
        "unrealizedPnl": number(pnl),
        "leverage": holding.leverage,
        "liquidationPrice": number(liquidation),
        "collateral": number(wallet),
        "notional": number(notional),
        "markPrice": number(mark),
        "entryPrice": number(holding.entry),
        "initialMargin": number(margin),
        "initialMarginPercentage": number(Decimal(1) / holding.leverage),
        "maintenanceMargin": number(maintenance),
        "maintenanceMarginPercentage": Decimal("0.01"),
        "marginRatio": number(maintenance / wallet) if wallet > 0 else None,
        "datetime": iso(holding.ts_ns),
        "marginMode": mode,
        "marginType": mode,
        "side": "long" if holding.quantity > 0 else "short",
        "hedged": False,
        "percentage": number(100 * pnl / margin) if margin else None,
    }


def flat_row(symbol: str, holding: Holding, shape: Literal["zero", "nulls", "empty"]) -> object:
    """How a position that is none looks is not documented."""
    if shape == "empty":
        return {}
    told: dict[str, Any] = {"symbol": symbol, "contractSize": 1, "leverage": holding.leverage}
    mode = "isolated" if holding.is_isolated else "cross"
    told |= {"hedged": False, "marginMode": mode, "marginType": mode}
    names = ("contracts", "unrealizedPnl", "notional", "entryPrice", "initialMargin", "side")
    if shape == "nulls":
        return told | dict.fromkeys(names)
    return told | dict.fromkeys(names, 0) | {"side": None}


def balance_rows(wallet: Decimal, used: Decimal, currency: str) -> dict[str, Any]:
    free = max(wallet - used, ZERO)
    others = dict.fromkeys(("BNB", "BUSD"), 0)
    return {
        "free": {**others, currency: number(free)},
        "used": {**others, currency: number(wallet - free)},
        "total": {**others, currency: number(wallet)},
    }
