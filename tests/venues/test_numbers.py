"""Numbers as venues write them: plain ASCII decimals, at every venue."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from fairlead.adapters.base.decode import Answer
from fairlead.adapters.base.venue import ParseError
from fairlead.adapters.oceanex import parse as oceanex
from fairlead.adapters.oceanex import schemas as os_
from fairlead.adapters.piexgo import parse as piexgo
from fairlead.adapters.piexgo import schemas as pxs
from fairlead.adapters.poloniex import parse as poloniex
from fairlead.adapters.poloniex import schemas as pls
from fairlead.adapters.zerocap import parse as zerocap
from fairlead.adapters.zerocap import schemas as zs

ODD = ["1_0", "_1", "1_", " 1.5 ", "1.5\n", "+1.5", "\u0661\u0662", "\uff11", "1_1.5", "1e_2"]
FINE = ["1", "1.5", "0.10", "12e-1", "1E+1"]


class Row(msgspec.Struct, frozen=True):
    money: Decimal | None = None
    count: int = 0
    part: float = 0.0
    name: str = ""
    rows: list[Row] = []
    pair: tuple[Decimal, str] | None = None
    named: dict[str, Decimal] = {}


_rows = Answer(Row)


def within(text: str) -> list[dict[str, Any]]:
    return [
        {"money": text},
        {"rows": [{"money": "1"}, {"money": text}]},
        {"pair": [text, "a"]},
        {"named": {"a": text}},
        {"part": text},
    ]


@pytest.mark.parametrize("text", ODD)
def test_odd_numbers_are_refused_wherever_they_are(text: str) -> None:
    for payload in (*within(text), {"count": text}):
        for escaped in (True, False):
            with pytest.raises(ParseError):
                _rows(json.dumps(payload, ensure_ascii=escaped))


@pytest.mark.parametrize("text", FINE)
def test_plain_numbers_are_read(text: str) -> None:
    for payload in within(text):
        _rows(json.dumps(payload))
    assert _rows(json.dumps({"money": text})).money == Decimal(text)


@pytest.mark.parametrize("text", ODD)
def test_a_text_that_is_no_number_may_be_anything(text: str) -> None:
    told = _rows(json.dumps({"money": "1.5", "name": text, "pair": ["1", text]}))
    assert (told.name, told.pair) == (text, (Decimal(1), text))


def oceanex_order(**changes: Any) -> Any:
    row: dict[str, Any] = {
        **{"id": 1, "side": "buy", "ord_type": "limit", "state": "wait", "market": "vet_eth"},
        **{"volume": "2", "price": "1", "avg_price": "0", "executed_volume": "0"},
        **{"remaining_volume": "2", "created_on": 1_790_000_000},
    }
    return oceanex.order(Answer(os_.Order)(json.dumps(row | changes)), "VET_ETH.OCEANEX")


def oceanex_balance(free: str = "1", locked: str = "1") -> Any:
    account = {"currency": "vet", "balance": free, "locked": locked}
    return oceanex.balances(Answer(os_.Member)(json.dumps({"accounts": [account]})))


NAMES = poloniex.Names(venue="POLONIEX", size_precisions={})
POLONIEX_TRADE = {
    **{"id": "9", "symbol": "BTC_USDT", "accountType": "SPOT", "orderId": "3", "side": "BUY"},
    **{"type": "LIMIT", "matchRole": "TAKER", "createTime": 1_648_635_115_525, "price": "30"},
    **{"quantity": "0.5", "amount": "15", "feeCurrency": "USDT", "feeAmount": "0.01"},
    **{"pageId": "1", "clientOrderId": ""},
}
POLONIEX_ORDER = {
    **{"id": "3", "symbol": "BTC_USDT", "accountType": "SPOT", "side": "BUY", "type": "LIMIT"},
    **{"state": "PARTIALLY_FILLED", "price": "30", "quantity": "1", "amount": "0"},
    **{"timeInForce": "GTC", "avgPrice": "30", "filledQuantity": "0.5", "filledAmount": "15"},
    **{"createTime": 1_648_635_115_525, "updateTime": 1_648_635_115_525, "clientOrderId": ""},
}


def poloniex_trade(**changes: Any) -> Any:
    return poloniex.account_fill(Answer(pls.Trade)(json.dumps(POLONIEX_TRADE | changes)), NAMES)


def poloniex_order(**changes: Any) -> Any:
    return poloniex.regular_order(Answer(pls.Order)(json.dumps(POLONIEX_ORDER | changes)), NAMES)


def poloniex_balance(free: str = "1", locked: str = "1") -> Any:
    held = {"currencyId": "1", "currency": "USDT", "available": free, "hold": locked}
    account = {"accountId": "7", "accountType": "SPOT", "balances": [held]}
    return poloniex.account_balances(Answer(list[pls.AccountBalances])(json.dumps([account])))


def zerocap_order(**changes: Any) -> Any:
    row = {
        **{"id": "a", "client_order_id": "c", "timestamp": "1790000000000", "status": "closed"},
        **{"symbol": "USDT/AUD", "type": "limit", "side": "buy", "price": "1.5"},
        **{"average": "1.49", "amount": "10", "filled": "10", "cost": "14.9", "trades": []},
    }
    told = zerocap.Reader(zs.OrderRow)(json.dumps(row | changes))
    return zerocap.order(told, "ZEROCAP", zerocap.Source.CREATE)


def zerocap_ladder(price: str = "1.5", size: str = "100") -> Any:
    data = {"symbol": "USDT/AUD", "timestamp": 1.79e9, "bids": [[price, size]], "asks": [[3, 100]]}
    return zerocap.frame(json.dumps({"type": "price", "data": data}))


def zerocap_balance(free: str = "1", locked: str = "1") -> Any:
    told = {"AUD": {"prime": {"free": free, "used": locked, "total": "2"}}}
    return zerocap.balances(zerocap.balances_payload(json.dumps(told)), "prime")


def piexgo_order(**changes: Any) -> Any:
    row = {
        **{"order_price": "10", "stop": "0.0", "price": "10", "market_price": "0", "volume": "20"},
        **{"remain": "0", "amount": "200", "type": "buy", "timestamp": 1_790_000_000},
        **{"order_id": "123", "market": "BTC_USDT", "status": 2, "flag": 0},
    }
    return piexgo.order(piexgo.Reader(pxs.Order)(json.dumps(row | changes)), "PIEXGO")


def piexgo_depth(price: str = "1.5", change_id: Any = 1) -> Any:
    row = {"index": 0, "price": price, "qty": 1}
    book = {"buy_book": [row], "sell_book": [], "change_id": change_id}
    told = piexgo.frame(json.dumps({"topic": "depth", "symbol": "btc_usdt", **book}))
    return piexgo.depth(told, 2, 4)


def piexgo_deals(price: str = "1.5") -> Any:
    deal = {"time": 1_553_326_491_272, "direct": 0, "price": price, "vol": "1.0"}
    rows, faults = piexgo.deals(
        piexgo.frame(json.dumps({"topic": "dealinfo", "symbol": "btc_usdt", "deals": [deal]}))
    )
    if faults:
        raise faults[0]
    return rows


def piexgo_balance(free: str = "1", locked: str = "1") -> Any:
    row = {"market": "USDT", "balance": free, "locked": locked}
    return piexgo.balances(piexgo.Reader(pxs.Account)(json.dumps({"data": [row]})))


READ: dict[str, Callable[[str], Any]] = {
    "oceanex volume": lambda text: oceanex_order(volume=text),
    "oceanex price": lambda text: oceanex_order(price=text),
    "oceanex balance": oceanex_balance,
    "poloniex trade price": lambda text: poloniex_trade(price=text),
    "poloniex trade quantity": lambda text: poloniex_trade(quantity=text),
    "poloniex order quantity": lambda text: poloniex_order(quantity=text),
    "poloniex order price": lambda text: poloniex_order(price=text),
    "poloniex balance": poloniex_balance,
    "zerocap average": lambda text: zerocap_order(average=text),
    "zerocap amount": lambda text: zerocap_order(amount=text, filled="1"),
    "zerocap time": lambda text: zerocap_order(timestamp=text),
    "zerocap ladder price": zerocap_ladder,
    "zerocap ladder size": lambda text: zerocap_ladder(size=text),
    "zerocap balance": zerocap_balance,
    "piexgo volume": lambda text: piexgo_order(volume=text, remain="0", amount="20"),
    "piexgo depth": piexgo_depth,
    "piexgo change id": lambda text: piexgo_depth(change_id=text),
    "piexgo deal": piexgo_deals,
    "piexgo balance": piexgo_balance,
}


@pytest.mark.parametrize("where", READ)
@pytest.mark.parametrize("text", ODD)
def test_no_venue_s_money_is_read_from_an_odd_text(where: str, text: str) -> None:
    with pytest.raises(ParseError):
        READ[where](text)


def test_these_payloads_are_read_as_they_are() -> None:
    for where, read in READ.items():
        assert read("1790000000000" if where == "zerocap time" else "2"), where


NEGATIVE: dict[str, Callable[[], Any]] = {
    "oceanex price": lambda: oceanex_order(price="-1"),
    "oceanex volume": lambda: oceanex_order(volume="-1"),
    "oceanex average": lambda: oceanex_order(avg_price="-1", executed_volume="1"),
    "oceanex free": lambda: oceanex_balance("-1"),
    "oceanex locked": lambda: oceanex_balance("1", "-1"),
    "poloniex trade quantity": lambda: poloniex_trade(quantity="-0.5"),
    "poloniex trade of nothing": lambda: poloniex_trade(quantity="0"),
    "poloniex trade price": lambda: poloniex_trade(price="-11"),
    "poloniex trade for nothing": lambda: poloniex_trade(price="0"),
    "poloniex order": lambda: poloniex_order(quantity="-1"),
    "poloniex filled": lambda: poloniex_order(filledQuantity="-1"),
    "poloniex cost": lambda: poloniex_order(filledAmount="-1"),
    "poloniex order price": lambda: poloniex_order(price="-1"),
    "poloniex free": lambda: poloniex_balance("-1"),
    "poloniex hold": lambda: poloniex_balance("1", "-1"),
    "zerocap free": lambda: zerocap_balance("-1"),
    "zerocap used": lambda: zerocap_balance("1", "-1"),
    "zerocap average": lambda: zerocap_order(average="-1"),
    "zerocap price": lambda: zerocap_order(price="-1"),
    "zerocap amount": lambda: zerocap_order(amount="-1"),
    "zerocap cost": lambda: zerocap_order(average="", cost="-1"),
    "piexgo free": lambda: piexgo_balance("-1"),
    "piexgo locked": lambda: piexgo_balance("1", "-1"),
    "piexgo price": lambda: piexgo_order(order_price="-1"),
    "piexgo depth": lambda: piexgo_depth("-1"),
}


@pytest.mark.parametrize("what", NEGATIVE)
def test_what_can_not_be_negative_is_not(what: str) -> None:
    with pytest.raises(ParseError):
        NEGATIVE[what]()


def test_a_fee_may_be_a_rebate() -> None:
    assert poloniex_trade(feeAmount="-0.01").fee == Decimal("-0.01")
