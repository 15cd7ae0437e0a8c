"""Any bytes give values or ParseError: the parsers are total."""

from __future__ import annotations

import contextlib
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from nautilus_trader.model import InstrumentId

from fairlead.adapters.base.book import Numbers
from fairlead.adapters.base.venue import ParseError
from fairlead.adapters.piexgo import parse
from fairlead.adapters.piexgo import schemas as s
from fairlead.engine.orders.model import VenueOrder

SAMPLES = Path(__file__).parent / "samples"
BTC = InstrumentId.from_str("BTC_USDT.PIEXGO")
FEW = settings(max_examples=200, deadline=None)
STREAM = [json.loads(path.read_bytes()) for path in sorted(SAMPLES.glob("ws_[dp]*.json"))]

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["", "1", "0.5", "-1", "1e9", "NaN", "9" * 40, "0.0000000000000000001", "٣"])
    | st.sampled_from([1553326491, 1553326491272, 1559734776923657000, -1, 2, 4, 5])
)
json_values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["price", "qty", "data", "time"]), inner, max_size=4)
    ),
    max_leaves=10,
)


def read(data: bytes | str) -> None:
    """Everything that may be made of one frame."""
    with contextlib.suppress(ParseError):
        message = parse.frame(data)
        with contextlib.suppress(ParseError):
            book = parse.depth(message, 2, 4)
            for price, size in book.asks + book.bids:
                assert Decimal(price) >= 0
                assert Decimal(size) >= 0
        with contextlib.suppress(ParseError):
            names = parse.DealNames()
            for deal in parse.deals(message)[0]:
                with contextlib.suppress(ParseError):
                    tick = parse.tick(deal, names, BTC, Numbers(2, 4), 7)
                    assert tick.price.raw > 0
                    assert tick.size.raw > 0
        with contextlib.suppress(ParseError):
            check(parse.private(message, "PIEXGO"))


def check(found: VenueOrder | s.BalanceEvent) -> None:
    if not isinstance(found, VenueOrder):
        return
    assert 0 <= found.filled <= found.quantity
    assert found.quantity > 0
    assert (found.avg_price is None) == (found.filled == 0)
    assert found.avg_price is None or found.avg_price > 0


@FEW
@given(st.binary(max_size=200) | st.text(max_size=200))
def test_any_bytes(data: bytes | str) -> None:
    read(data)
    body = data if isinstance(data, bytes) else data.encode(errors="surrogatepass")
    for type_ in (s.Order, s.OrderPage, s.Account, list[s.Deal], s.Tickers, s.OrderBook):
        with contextlib.suppress(ParseError):
            parse.Reader(type_)(body)


@FEW
@given(st.sampled_from(STREAM), st.data())
def test_any_value_in_any_place_of_a_message(message: Any, data: st.DataObject) -> None:
    changed = json.loads(json.dumps(message))
    for _ in range(data.draw(st.integers(1, 3))):
        place = changed
        while True:
            keys: Any = range(len(place)) if isinstance(place, list) else sorted(place)
            if not keys:
                break
            key = data.draw(st.sampled_from(keys))
            inner = place[key]
            if not isinstance(inner, (dict, list)) or data.draw(st.booleans()):
                place[key] = data.draw(json_values)
                break
            place = inner
    read(json.dumps(changed))


@FEW
@given(
    st.decimals("0.01", 10**6, places=2),
    st.lists(
        st.tuples(st.decimals("0.0001", 1000, places=4), st.decimals("0.01", 10**6, places=2)),
        min_size=1,
        max_size=8,
    ),
    st.randoms(use_true_random=False),
)
def test_differences_add_up_to_what_was_paid(
    limit: Decimal, fills: list[tuple[Decimal, Decimal]], order: Any
) -> None:
    """States that come late, twice and in any order: each adds what the ones before it lack."""
    quantity = sum((size for size, _ in fills), Decimal(0)) + 1
    states, filled, amount = [], Decimal(0), Decimal(0)
    for size, price in fills:
        filled, amount = filled + size, amount + size * price
        states.append((quantity - filled, amount))
    shuffled = states * 2
    order.shuffle(shuffled)
    known = cost = Decimal(0)
    for remain, value in shuffled:
        row = s.Order(
            order_id="1", market="BTC_USDT", type="buy", flag=0, status=0, volume=quantity,
            remain=remain, order_price=limit, amount=value, price=round(value, 2),
        )  # fmt: skip
        found = parse.order(row, "PIEXGO")
        assert found.avg_price is not None
        if found.filled > known:
            price = (found.avg_price * found.filled - cost) / (found.filled - known)
            cost += price * (found.filled - known)
            known = found.filled
    assert known == filled
    assert abs(cost - amount) <= amount * Decimal("1e-25")
