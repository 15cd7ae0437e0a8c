"""Any bytes give values or ParseError: parsers are total, and what they give holds together."""

from __future__ import annotations

import contextlib
import json
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.adapters.base.venue import ParseError
from fairlead.adapters.zerocap import parse
from fairlead.adapters.zerocap import schemas as s
from fairlead.adapters.zerocap.ladder import Ladder, levels
from fairlead.engine.orders.model import Side
from tests.venues.zerocap.reading import feed, order, used

FEW = settings(max_examples=150, deadline=None)

numbers = st.sampled_from(
    [0, 1, -1, 1.5, 1e300, 10**30, "", "0", "1.5", "-2", "NaN", "Infinity", "9" * 60, "1e-50", "٣"]
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | numbers | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    *("type", "channel", "data", "message", "error_code", "error_message", "id"),
                    *("OrderId", "Status", "symbol", "Symbol", "side", "amount", "Filled", "price"),
                    *("bids", "asks", "timestamp", "trades", "order", "balances_data", "prime"),
                    *("AUD", "free", "used", "order_list", "instruments", "name", "server_time"),
                ]
            ),
            inner,
            max_size=6,
        )
    ),
    max_leaves=15,
)


@FEW
@given(st.binary(max_size=200) | st.text(max_size=200))
def test_any_bytes(data: bytes | str) -> None:
    feed(data)


@FEW
@given(json_values, st.booleans())
def test_any_json(value: Any, is_text: bool) -> None:
    feed(json.dumps({"data": json.dumps(value)} if is_text else value))


@FEW
@given(
    st.sampled_from(["price", "order", "orders", "trade", "message", None]),
    st.sampled_from(["dma_ladder_price_USDT/AUD", "dma_order_info", "dma_trader_info", ""]),
    json_values
    | st.fixed_dictionaries(
        {
            "symbol": st.just("USDT/AUD"),
            "bids": st.lists(st.tuples(numbers, numbers), max_size=4),
            "asks": st.lists(st.tuples(numbers, numbers), max_size=4),
        }
    ),
    st.booleans(),
)
def test_any_frame(type_: str | None, channel: str, data: Any, is_text: bool) -> None:
    told = json.dumps(data) if is_text else data
    feed(json.dumps({"type": type_, "channel": channel, "data": told}))


prices = st.decimals(min_value=Decimal("0.0001"), max_value=Decimal(1000), places=6)
sizes = st.decimals(min_value=0, max_value=Decimal(100_000), places=2)
sides = st.lists(st.tuples(prices, sizes), max_size=5)


@FEW
@given(sides, sides)
def test_no_ladder_makes_a_crossed_book(bids: Any, asks: Any) -> None:
    """Rounded against us too."""
    data = {"symbol": "A/B", "bids": [[str(p), str(q)] for p, q in bids]}
    data["asks"] = [[str(p), str(q)] for p, q in asks]
    ladder = parse.frame(json.dumps({"type": "price", "data": data}))
    assert isinstance(ladder, Ladder)
    used(ladder)
    sided = ladder.sided("auto")
    if sided is not None and sided.bids and sided.asks:
        low = [Decimal(price) for price, _ in levels(sided.asks, Side.SELL, 2, 2)]
        high = [Decimal(price) for price, _ in levels(sided.bids, Side.BUY, 2, 2)]
        assert not low or not high or min(low) > max(high)


rows = st.fixed_dictionaries(
    {
        "id": st.sampled_from(["o1", ""]),
        "status": st.sampled_from(["open", "closed", "rejected", "gone"]),
        "symbol": st.sampled_from(["USDT/AUD", "", "USDT"]),
        "type": st.sampled_from(["limit", "Market", "stop"]),
        "side": st.sampled_from(["buy", "SELL", ""]),
        "amount": numbers,
        "filled": numbers,
        "average": numbers,
        "cost": numbers,
        "price": numbers,
        "timestamp": numbers,
    },
    optional={
        "trades": st.lists(
            st.fixed_dictionaries(
                {"id": st.sampled_from(["t1", "t2", ""]), "amount": numbers, "price": numbers},
                optional={"cost": numbers, "fee": numbers, "order": st.sampled_from(["o1", "x"])},
            ),
            max_size=3,
        )
    },
)


@FEW
@given(rows)
def test_any_order_row(row: dict[str, Any]) -> None:
    with contextlib.suppress(ParseError):
        order(parse.Reader(s.OrderRow)(json.dumps(row).encode()))
