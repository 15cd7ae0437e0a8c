"""Any bytes give items or ParseError: parsers and the stream are total."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fairlead.adapters.base.decode import Answer
from fairlead.adapters.base.venue import Feed, FeedKind, ParseError, VenueInstrument
from fairlead.adapters.oceanex import parse
from fairlead.adapters.oceanex import schemas as s
from fairlead.adapters.oceanex.config import OceanexOptions
from fairlead.adapters.oceanex.websocket import OceanexStream

OCEVET = "OCE_VET.OCEANEX"
FEW = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=20)
    | st.sampled_from(["1", "0.5", "-1", "1e9", "NaN", "9" * 40, "0.000000000000000001", "٣.٥"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "asks",
                    "bids",
                    "trades",
                    "tid",
                    "type",
                    "date",
                    "price",
                    "amount",
                    "code",
                    "data",
                    "socket_id",
                    "activity_timeout",
                    "message",
                    "ocevet",
                    "buy",
                    "id",
                    "volume",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)
levels = st.lists(st.tuples(json_values, json_values) | json_values, max_size=5)
books = st.fixed_dictionaries({"asks": levels, "bids": levels})
events = st.sampled_from(
    [
        "update",
        "trades",
        "tickers",
        "pusher:error",
        "pusher:ping",
        "pusher:connection_established",
        "pusher_internal:subscription_succeeded",
        "other",
    ]
)
channels = st.sampled_from(
    ["market-ocevet-8-global", "market-ocevet-trade-global", "market-global", "x"]
)


def subscribed(instruments: Mapping[str, VenueInstrument]) -> OceanexStream:
    stream = OceanexStream(OceanexOptions(), instruments)
    for kind in (FeedKind.BOOK, FeedKind.TRADES, FeedKind.TICKER):
        stream.subscribe(Feed(kind, OCEVET))
    stream.opened(1)
    return stream


def feed(stream: OceanexStream, frame: bytes | str) -> None:
    with contextlib.suppress(ParseError):
        list(stream.received(frame, 2_000_000_000_000_000_000))


@FEW
@given(st.binary(max_size=200) | st.text(max_size=200))
def test_any_bytes(instruments: Mapping[str, VenueInstrument], data: bytes | str) -> None:
    feed(subscribed(instruments), data)
    body = data if isinstance(data, bytes) else data.encode(errors="surrogatepass")
    for parser in (parse.envelope, *map(Answer, (s.Order, s.Member, list[s.Candle]))):
        with contextlib.suppress(ParseError):
            parser(body)


@FEW
@given(st.lists(st.tuples(events, channels, json_values | books, st.booleans()), max_size=6))
def test_any_dialogue(
    instruments: Mapping[str, VenueInstrument], frames: list[tuple[str, str, Any, bool]]
) -> None:
    stream = subscribed(instruments)
    for event, channel, value, double in frames:
        data = json.dumps(value) if double else value
        feed(stream, json.dumps({"event": event, "channel": channel, "data": data}))
    list(stream.closed(3))


@FEW
@given(st.data())
def test_any_order_row(data: st.DataObject) -> None:
    row = data.draw(
        st.fixed_dictionaries(
            {
                "id": json_values,
                "side": st.sampled_from(["buy", "sell", "bid", ""]) | json_values,
                "volume": json_values,
                "state": st.sampled_from(["wait", "done", "x"]) | json_values,
            },
            optional={
                "executed_volume": json_values,
                "price": json_values,
                "created_on": json_values,
                "ord_type": st.sampled_from(["limit", "market", "stop_limit"]) | json_values,
                "trigger_condition": json_values,
            },
        )
    )
    with contextlib.suppress(ParseError):
        parse.order(Answer(s.Order)(json.dumps(row).encode()), OCEVET)
