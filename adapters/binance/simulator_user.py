"""What the accounts' streams of the simulated Binance tell, as events.

Sources: Spot "User Data Stream" (executionReport, outboundAccountPosition), USD-M "User Data
Streams" (ORDER_TRADE_UPDATE, TRADE_LITE, ACCOUNT_UPDATE, ALGO_UPDATE, listenKeyExpired).
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from fairlead.adapters.binance import simulator_algo as algo
from fairlead.adapters.binance.simulator_markets import Product, fixed, millis
from fairlead.adapters.binance.simulator_news import OrderNews
from fairlead.adapters.binance.simulator_orders import BY_USER, status_of
from fairlead.adapters.binance.simulator_positions import OrderMeta, Position
from fairlead.adapters.binance.simulator_spot_orders import spot_type
from fairlead.adapters.binance.simulator_state import SPOT_ACCOUNT, BinanceState
from fairlead.adapters.simulation.orders import SimOrder, Status

ZERO = Decimal(0)
Event = dict[str, Any]


def take_events(venue: BinanceState) -> list[tuple[Product, Event]]:
    """All since the last call, in the order that the venue tells them."""
    orders, currencies = venue.news.take()
    algos, venue.algos.news = venue.algos.news, []
    out: list[tuple[Product, Event]] = []
    first = [one for one in algos if one.status in ("NEW", "TRIGGERING")]
    rest = [one for one in algos if one.status not in ("NEW", "TRIGGERING")]
    out += [(Product.USDM, algo.update(venue, one)) for one in first]
    for news in orders:
        if news.meta is None:
            out += [(Product.SPOT, event) for event in _spot_events(venue, news)]
        else:
            out += [(Product.USDM, event) for event in _usdm_events(venue, news, news.meta)]
    out += [(Product.USDM, algo.update(venue, one)) for one in rest]
    if currencies:
        out.append((Product.SPOT, _position_event(venue, currencies)))
    return out


def execution_of(news: OrderNews) -> str | None:
    """The word for what happened; None where the venue says nothing."""
    if news.event == "amended":
        return "AMENDMENT"
    if news.fill is not None:
        return "TRADE"
    if news.event in ("accepted", "triggered"):
        return "NEW"
    if news.event == "canceled" and news.order.reason == BY_USER:
        return "CANCELED"
    return "EXPIRED" if news.event == "canceled" else None


# -- spot -----------------------------------------------------------------------------------------


def _spot_events(venue: BinanceState, news: OrderNews) -> Iterable[Event]:
    execution = execution_of(news)
    if execution is None:
        return []
    order, fill = news.order, news.fill
    market, now_ms = venue.markets[order.market], millis(news.ts_event)
    name, original = order.client_order_id or "", ""
    if execution == "CANCELED":
        name, original = venue.news.cancel_names.get(order.id, venue.new_name()), name
    price, size = market.price_text, market.size_text
    event: Event = {
        "e": "executionReport",
        "E": now_ms,
        "s": market.symbol,
        "c": name,
        "S": order.side.value,
        "o": spot_type(order),
        "f": order.time_in_force.value,
        "q": size(order.quantity),
        "p": price(order.price or ZERO),
        "P": price(order.trigger_price or ZERO),
        "F": size(ZERO),
        "g": -1,
        "C": original,
        "x": execution,
        "X": status_of(order),
        "r": "NONE",
        "i": order.id,
        "l": size(fill.quantity if fill else ZERO),
        "z": size(order.executed),
        "L": price(fill.price if fill else ZERO),
        "n": fixed(fill.fee, 8) if fill else "0",
        "N": fill.fee_currency if fill else None,
        "T": now_ms,
        "t": fill.trade_id if fill else -1,
        "I": order.id * 10 + order.trades_count,
        "w": order.status is Status.OPEN,
        "m": fill.is_maker if fill else False,
        "M": False,
        "O": millis(order.ts_created),
        "Z": fixed(order.funds, 8),
        "Y": fixed(fill.price * fill.quantity if fill else ZERO, 8),
        "Q": fixed(order.quote_amount or ZERO, 8),
        "V": "EXPIRE_TAKER",
    }
    if order.status is not Status.WAIT_TRIGGER:
        event["W"] = millis(order.ts_triggered or order.ts_created)
    return [event]


def _position_event(venue: BinanceState, currencies: Iterable[str]) -> Event:
    ledger = venue.exchange.ledger
    rows = []
    for currency in currencies:
        balance = ledger.balance(SPOT_ACCOUNT, currency)
        row = {"a": currency, "f": fixed(balance.free, 8), "l": fixed(balance.locked, 8)}
        rows.append(row)
    now_ms = venue.now_ms
    return {"e": "outboundAccountPosition", "E": now_ms, "u": now_ms, "B": rows}


# -- futures --------------------------------------------------------------------------------------


def _usdm_events(venue: BinanceState, news: OrderNews, meta: OrderMeta) -> Iterable[Event]:
    execution = execution_of(news)
    if execution is None:
        return []
    if meta.is_expired and execution == "CANCELED":
        execution = "EXPIRED"
    events = []
    if news.fill is not None:
        events += [_trade_lite(venue, news, meta), _account_update(venue, news)]
    events.append(_order_update(venue, news, meta, execution))
    order = news.order
    if order.status is Status.FILLED and order.executed < meta.asked:
        # What was clipped: the last fill leaves it open, then the rest ends.
        events[-1]["o"]["X"] = "PARTIALLY_FILLED"
        ended = OrderNews(order=order, event="canceled", ts_event=news.ts_event, meta=meta)
        events.append(_order_update(venue, ended, meta, "EXPIRED"))
    return events


def _order_update(venue: BinanceState, news: OrderNews, meta: OrderMeta, execution: str) -> Event:
    order, fill, at = news.order, news.fill, millis(news.ts_event)
    market = venue.markets[order.market]
    price, size = market.price_text, market.size_text
    told: Event = {
        "s": market.symbol,
        "c": order.client_order_id or "",
        "S": order.side.value,
        "o": meta.type,
        "f": meta.time_in_force,
        "q": size(meta.asked),
        "p": price(order.price or ZERO),
        "ap": price(order.avg_price or ZERO),
        "sp": price(meta.stop_price),
        "x": execution,
        "X": execution if execution in ("EXPIRED", "CANCELED") else _status(order),
        "i": order.id,
        "l": size(fill.quantity if fill else ZERO),
        "z": size(order.executed),
        "L": price(fill.price if fill else ZERO),
        "T": at,
        "t": fill.trade_id if fill else 0,
        "b": "0",
        "a": "0",
        "m": fill.is_maker if fill else False,
        "R": meta.is_reduce_only and meta.position_side == "BOTH",
        "wt": meta.working_type,
        "ot": meta.original_type,
        "ps": meta.position_side,
        "cp": meta.is_closing,
        "rp": fixed(news.profit, 8),
        "pP": False,
        "si": 0,
        "ss": 0,
        "V": "EXPIRE_TAKER",
        "pm": "NONE",
        "gtd": meta.good_till_ms,
    }
    if fill is not None:
        told |= {"N": fill.fee_currency, "n": fixed(fill.fee, 8)}
    return {"e": "ORDER_TRADE_UPDATE", "T": at, "E": at, "o": told}


def _status(order: SimOrder) -> str:
    return status_of(order)


def _trade_lite(venue: BinanceState, news: OrderNews, meta: OrderMeta) -> Event:
    order, fill, at = news.order, news.fill, millis(news.ts_event)
    assert fill is not None
    market = venue.markets[order.market]
    return {
        "e": "TRADE_LITE",
        "E": at,
        "T": at,
        "s": market.symbol,
        "q": market.size_text(meta.asked),
        "p": market.price_text(order.price or ZERO),
        "m": fill.is_maker,
        "c": order.client_order_id or "",
        "S": order.side.value,
        "L": market.price_text(fill.price),
        "l": market.size_text(fill.quantity),
        "t": fill.trade_id,
        "i": order.id,
    }


def _account_update(venue: BinanceState, news: OrderNews) -> Event:
    at, position = millis(news.ts_event), news.position
    assert position is not None
    wallet = fixed(news.wallet, 8)
    currency = venue.markets[news.order.market].quote
    balance = {"a": currency, "wb": wallet, "cw": wallet, "bc": "0"}
    told = {"m": "ORDER", "B": [balance], "P": [_position_row(venue, position)]}
    return {"e": "ACCOUNT_UPDATE", "T": at, "E": at, "a": told}


def _position_row(venue: BinanceState, position: Position) -> Event:
    market = venue.market(Product.USDM, position.symbol)
    is_isolated = position.symbol in venue.usdm.isolated
    return {
        "s": position.symbol,
        "pa": market.size_text(position.amount),
        "ep": fixed(position.entry, 8),
        "bep": fixed(position.entry, 8),
        "cr": fixed(position.realized, 8),
        "up": fixed(position.unrealized(venue.last_price(market)), 8),
        "mt": "isolated" if is_isolated else "cross",
        "iw": "0",
        "ps": position.side,
        "ma": market.quote,
    }
