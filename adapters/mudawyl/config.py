"""Mudawyl adapter options: what the document does not publish, and what the gateway can't tell."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from fairlead.adapters.base.urls import HttpUrl


def _doc(text: str, **limits: Any) -> Meta:
    return Meta(description=text, **limits)


class MudawylMarket(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One market by the config: the gateway has no endpoint that tells precisions or fees."""

    symbol: Annotated[str, _doc("The gateway's name, BASE/QUOTE")]
    price_precision: Annotated[int, _doc("Decimals of prices", ge=0, le=12)]
    quantity_precision: Annotated[int, _doc("Decimals of quantities", ge=0, le=12)]
    min_quantity: Annotated[Decimal, _doc("Least quantity of an order, base units")] = Decimal(0)
    min_notional: Annotated[Decimal, _doc("Least value of an order, quote units")] = Decimal(0)
    maker_fee: Annotated[Decimal, _doc("Fee of a maker, a fraction of the value")] = Decimal(
        "0.0002"
    )
    taker_fee: Annotated[Decimal, _doc("Fee of a taker, a fraction of the value")] = Decimal(
        "0.0004"
    )
    leverage: Annotated[
        Annotated[int, Meta(ge=1, le=125)] | None,
        _doc("Set at the start, 1 to 125; None: left as it is"),
    ] = None
    margin_type: Annotated[
        Literal["ISOLATED", "CROSSED"] | None, _doc("Set at the start; None: left as it is")
    ] = None


class MudawylOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[venues.NAME.options]` of an account at the gateway."""

    http_url: Annotated[
        HttpUrl, _doc("Base URL, without /v1 and a slash at the end; it is not published")
    ] = "http://127.0.0.1:8085"
    key_id: Annotated[
        str, _doc("Id of the stored exchange key (MANUAL, FUTURES) to trade with")
    ] = ""
    markets: Annotated[tuple[MudawylMarket, ...], _doc("The markets, which nothing tells")] = ()
    authorization: Annotated[
        Literal["raw", "bearer"], _doc("Whether the token goes as it is, or after the word Bearer")
    ] = "raw"
    token_file: Annotated[
        str, _doc("A file (mode 0600) that somebody keeps a fresh token in; read when it is needed")
    ] = ""
    token_command: Annotated[
        tuple[str, ...], _doc("A command and its arguments that print a fresh token")
    ] = ()
    token_margin_secs: Annotated[
        float, _doc("How long before it expires a token is renewed, seconds", ge=0)
    ] = 60.0
    captcha: Annotated[
        Literal["none", "command", "prompt"],
        _doc("Who gives the reCAPTCHA token of a change: nobody, a command, or a person asked"),
    ] = "none"
    captcha_command: Annotated[
        tuple[str, ...], _doc("A command and its arguments that print a reCAPTCHA token")
    ] = ()
    provider_timeout_secs: Annotated[
        float, _doc("Longest wait for a command, or a person, seconds", gt=0)
    ] = 60.0
    clearing: Annotated[
        Literal["refuse", "allow"],
        _doc("Whether a new order may be sent before which the open orders there are cancelled"),
    ] = "refuse"
    allow_account_changes: Annotated[
        bool, _doc("Whether keys, profile, notifications and billing may be changed at all")
    ] = False
    request_timeout_secs: Annotated[float, _doc("Longest wait for one answer, seconds", gt=0)] = (
        10.0
    )
    requests_per_second: Annotated[
        int, _doc("Our own limit, public and private each; the gateway names none", ge=2)
    ] = 5
    rate_reserve: Annotated[
        float, _doc("Share of the limit kept for closing and queries", ge=0, lt=1)
    ] = 0.2
    rate_wait_secs: Annotated[
        float,
        _doc("Longest wait for room in the limit, seconds; then the request is refused", ge=0),
    ] = 2.0
