"""From a request to its endpoint: who asks, what is asked, and the answer (sections 1 and 2)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, unquote

import msgspec

from fairlead.adapters.mudawyl.simulator_account import ACCOUNT
from fairlead.adapters.mudawyl.simulator_checks import Call, Refusal, not_found
from fairlead.adapters.mudawyl.simulator_state import MudawylState
from fairlead.adapters.mudawyl.simulator_trading import TRADING
from fairlead.adapters.simulation.routes import Routes
from fairlead.adapters.simulation.venue import SimRequest, SimResponse

ROUTES = Routes((*ACCOUNT, *TRADING))
_JSON = {"content-type": "application/json"}
_encoder = msgspec.json.Encoder(decimal_format="number")
_decoder = msgspec.json.Decoder(Any, float_hook=Decimal)


def answer(state: MudawylState, request: SimRequest) -> SimResponse:
    try:
        found = _call(state, request)
    except Refusal as e:
        body = b"" if e.body is None else _encoder.encode(e.body)
        return SimResponse(status=e.status, body=body, headers=_JSON)
    if found is None:
        return SimResponse(status=204, body=b"")
    return SimResponse(status=200, body=_encoder.encode(found), headers=_JSON)


def _call(state: MudawylState, request: SimRequest) -> object:
    endpoint, named = ROUTES.find(request.method, request.path)
    if endpoint is None:
        raise not_found()
    limit, now_ns = state.options.requests_per_sec, state.exchange.now_ns
    if not state.limits.take(request.remote, limit, now_ns):
        raise Refusal(429, {"message": "Too Many Requests"})
    if endpoint.is_private:
        state.require_token(request.headers)
    if request.method != "GET":
        state.require_captcha(request.headers)
    call = Call(
        path={name: unquote(text) for name, text in named.items()},
        query=dict(parse_qsl(request.query, keep_blank_values=True)),
        body=_body(request),
    )
    return endpoint.handler(state, call)


def _body(request: SimRequest) -> dict[str, Any]:
    if not request.body:
        return {}
    try:
        body = _decoder.decode(request.body)
    except (msgspec.MsgspecError, ValueError, ArithmeticError, RecursionError) as e:
        raise Refusal(400, {"message": "Bad Request"}) from e
    if not isinstance(body, dict):
        raise Refusal(400, {"message": "Bad Request"})
    return body
