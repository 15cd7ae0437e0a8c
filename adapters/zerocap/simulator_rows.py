"""How the simulated Zerocap writes its orders and trades, by dialect (sections 3, 4 and 5)."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import ROUND_DOWN, Decimal
from typing import Any

from fairlead.adapters.simulation.market import MS
from fairlead.adapters.zerocap.config import Dialect
from fairlead.adapters.zerocap.simulator_state import Deal

_COST_A = Decimal("1E-8")
_COST_C = Decimal("1E-3")  # cut off, as the document's own examples are


def text(value: Decimal) -> str:
    """A decimal as dialect A writes it: no exponent, no padding."""
    return format(value.normalize(), "f") if value else "0"


def clock(ts_ns: int) -> str:
    return datetime.fromtimestamp(ts_ns // 1_000_000_000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def iso(ts_ns: int) -> str:
    """`2024-01-15T02:49:17.658142Z`."""
    moment = datetime.fromtimestamp(ts_ns // 1_000_000_000, UTC)
    return f"{moment.strftime('%Y-%m-%dT%H:%M:%S')}.{ts_ns // 1000 % 1_000_000:06}Z"


def _cost(deal: Deal, dialect: Dialect) -> Decimal:
    cost = deal.average * deal.filled
    return cost.quantize(_COST_A) if dialect == "A" else cost.quantize(_COST_C, ROUND_DOWN)


_BLANK_TRADE = (
    *("id", "timestamp", "datetime", "symbol", "order", "type", "side", "taker_or_maker"),
    *("price", "amount", "cost", "order_from", "fee", "fees"),
)


def created(deal: Deal, dialect: Dialect) -> dict[str, Any]:
    """The create's answer."""
    if dialect == "C":
        return _order_c(deal, deal.average) | {"client_order_id": deal.client_order_id}
    ms, is_done = str(deal.ts_ns // MS), deal.status == "closed"
    return {
        "id": deal.id,
        "clientOrderId": deal.client_order_id,
        "datatime": clock(deal.ts_ns),
        "timestamp": ms,
        "lastTradeTimestamp": ms,
        "status": deal.status,
        "symbol": deal.symbol,
        "type": deal.type.capitalize(),
        "timeInForce": "FOK",
        "side": deal.side.value.lower(),
        "price": text(deal.price),
        "average": text(deal.average) if is_done else "",
        "amount": text(deal.amount),
        "filled": text(deal.filled) if is_done else "",
        "remaining": text(deal.amount - deal.filled) if is_done else "",
        "cost": text(_cost(deal, dialect)) if is_done else "",
        "transferId": deal.trade_id,
        "trades": [trade(deal, "A")] if is_done else [],
    }


def fetched(deal: Deal, dialect: Dialect, *, is_listed: bool) -> dict[str, Any]:
    """A row of what is fetched. In dialect C its trades' price is the order's limit."""
    if dialect == "C":
        row = _order_c(deal, deal.price)
        return row | ({"client_order_id": deal.client_order_id} if is_listed else {})
    row = {_SNAKE.get(name, name): value for name, value in created(deal, "A").items()}
    if deal.status == "closed":
        told = {_SNAKE.get(name, name): value for name, value in trade(deal, "A").items()}
        row["trades"] = [told | {"fee": "", "fees": ""}]
    else:
        row["trades"] = [dict.fromkeys(_BLANK_TRADE, "")]
    return row | {"fee": "", "type": deal.type}


_SNAKE = {
    "clientOrderId": "client_order_id",
    "lastTradeTimestamp": "last_trade_timestamp",
    "timeInForce": "time_in_force",
    "transferId": "transfer_id",
    "takerOrMaker": "taker_or_maker",
    "orderFrom": "order_from",
}


def trade(deal: Deal, dialect: Dialect, price: Decimal | None = None) -> dict[str, Any]:
    """The execution of an order that is closed."""
    ms, price = deal.ts_ns // MS, deal.average if price is None else price
    cost = _cost(deal, dialect)
    if dialect == "C":
        return {
            "id": deal.trade_id,
            "timestamp": ms,
            "symbol": deal.symbol,
            "order": deal.id,
            "type": deal.type,
            "side": deal.side.value.lower(),
            "taker_or_maker": "taker",
            "price": float(price),
            "amount": float(deal.amount),
            "cost": float(cost),
            "fee": 0,
        }
    return {
        "id": deal.trade_id,
        "timestamp": str(ms),
        "datetime": clock(deal.ts_ns),
        "symbol": deal.symbol,
        "order": deal.id,
        "type": deal.type,
        "side": deal.side.value.lower(),
        "takerOrMaker": "taker",
        "price": text(price),
        "amount": text(deal.amount),
        "cost": text(cost),
        "orderFrom": "coinroutes",
    }


def _order_c(deal: Deal, trade_price: Decimal) -> dict[str, Any]:
    ms = deal.ts_ns // MS
    return {
        "id": deal.id,
        "timestamp": ms,
        "last_trade_timestamp": ms,
        "status": deal.status,
        "symbol": deal.symbol,
        "type": deal.type,
        "time_in_force": "FOK",
        "side": deal.side.value.lower(),
        "price": float(deal.price),
        "average": float(deal.average),
        "amount": float(deal.amount),
        "filled": float(deal.filled),
        "remaining": float(deal.amount - deal.filled),
        "cost": float(_cost(deal, "C")),
        "fee": 0,
        "error_message": deal.error,
        "trades": [trade(deal, "C", trade_price)] if deal.status == "closed" else [],
    }


def pushed(deal: Deal, dialect: Dialect, *, is_open: bool) -> dict[str, Any]:
    """An order's push, as it came in or as it ended. `cost` is limit times amount (section 5)."""
    status = "open" if is_open else deal.status
    average, filled = (Decimal(0), Decimal(0)) if is_open else (deal.average, deal.filled)
    cost = deal.price * deal.amount
    if dialect == "C":
        row = _order_c(deal, deal.average)
        row |= {"status": status, "average": float(average), "filled": float(filled)}
        row |= {"remaining": float(deal.amount - filled), "cost": float(cost)}
        return row | ({"trades": [], "error_message": ""} if is_open else {})
    ms = deal.ts_ns // MS
    return {
        "OrderId": deal.id,
        "ClientOrderId": deal.client_order_id,
        "TxnAlias": "",
        "TransferId": "" if is_open else deal.trade_id,
        "Symbol": deal.symbol,
        "Type": deal.type,
        "TimeInForce": "FOK",
        "Side": deal.side.value.lower(),
        "Price": text(deal.price),
        "AveragePrice": "",
        "Amount": text(deal.amount),
        "CreatedAt": ms,
        "UpdatedAt": ms,
        "AccountId": "1ca36d2b-2103-45c7-a2e3-3b90825ba1b2",
        "VaultId": "5175",
        "Note": "",
        "Status": status,
        "Average": text(average),
        "Filled": text(filled),
        "Remaining": text(deal.amount - filled),
        "Cost": text(cost),
        "ExecPrice": "",
        "OrderFrom": "coinroutes",
    }
