"""OceanEx adapter options. Every field has a default; hosts and app key are settings on purpose."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from fairlead.adapters.base.urls import HttpUrl, WsUrl


def _doc(text: str, **limits: Any) -> Meta:
    return Meta(description=text, **limits)


class OceanexOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[venues.NAME.options]` of an OceanEx account."""

    http_url: Annotated[HttpUrl, _doc("Base URL of REST v1, without a slash at the end")] = (
        "https://api.oceanex.cc/v1"
    )
    ws_url: Annotated[WsUrl, _doc("Base URL of the Pusher server, without /app")] = (
        "wss://ws-slanger.oceanex.cc"
    )
    app_key: Annotated[str, _doc("Pusher app key")] = "03e22cd99036bbfee126ce6b9725"
    request_timeout_secs: Annotated[float, _doc("Longest wait for one answer, seconds", gt=0)] = 5.0
    activity_timeout_secs: Annotated[
        float, _doc("Silence after which the stream is pinged; the venue may say less", gt=0)
    ] = 30.0
    pong_timeout_secs: Annotated[
        float, _doc("Silence after a ping after which the stream is given up", gt=0)
    ] = 30.0
    orders_get_jwt: Annotated[
        Literal["body", "query"],
        _doc("Where GET /orders carries its token; query where a proxy drops GET bodies"),
    ] = "body"
    jwt_ttl_secs: Annotated[
        Annotated[int, Meta(ge=1)] | None,
        _doc("Adds iat and exp to tokens, seconds; None sends neither"),
    ] = None
    max_clock_offset_secs: Annotated[
        float, _doc("Largest difference to the venue's clock for trading, seconds", gt=0)
    ] = 10.0
    rate_reserve: Annotated[
        float, _doc("Share of each rate limit kept for cancels and queries", ge=0, lt=1)
    ] = 0.2
    rate_wait_secs: Annotated[
        float,
        _doc("Longest wait for room in a rate limit, seconds; then the request is refused", ge=0),
    ] = 2.0
    orders_per_minute: Annotated[int, _doc("Limit of created orders, per minute", ge=2)] = 1200
    requests_per_minute: Annotated[
        int, _doc("Limit of requests, public and private each, per minute", ge=2)
    ] = 3000
    lists_triggers: Annotated[
        bool,
        _doc(
            "Whether /orders/filter is known to list stop orders that wait; if not, a lost one"
            " stays unknown until it triggers"
        ),
    ] = False
    allow_withdrawals: Annotated[bool, _doc("Whether withdrawals may be created at all")] = False
