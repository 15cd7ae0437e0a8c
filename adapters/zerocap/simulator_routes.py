"""From a request to its endpoint, and the words of a refusal (sections 2 and 3)."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

import msgspec

from fairlead.adapters.simulation.routes import ApiError, Endpoint, Routes
from fairlead.adapters.simulation.venue import SimRequest, SimResponse
from fairlead.adapters.zerocap.config import Dialect
from fairlead.adapters.zerocap.simulator_account import REST as ACCOUNT_REST
from fairlead.adapters.zerocap.simulator_rest import REST, Asked
from fairlead.adapters.zerocap.simulator_state import ZerocapState

BASE_PATH = "/v2"
ROUTES = Routes((*REST, *ACCOUNT_REST))


def answer(state: ZerocapState, request: SimRequest) -> SimResponse:
    try:
        return SimResponse.of_json(200, _call(state, request))
    except ApiError as e:
        return _refusal(state, e)


def _refusal(state: ZerocapState, error: ApiError) -> SimResponse:
    form = state.options.error_body
    if form == "text":
        headers = {"content-type": "text/plain; charset=utf-8"}
        return SimResponse(status=error.code, body=error.message.encode(), headers=headers)
    told: dict[str, Any] = {"detail": error.message}
    if form == "code":
        told = {"error_code": str(error.code), "error_message": error.message}
    return SimResponse.of_json(error.code, told)


def _call(state: ZerocapState, request: SimRequest) -> object:
    path = request.path.removeprefix(BASE_PATH)
    endpoint, _ = ROUTES.find(request.method, path)
    if not request.path.startswith(f"{BASE_PATH}/") or endpoint is None:
        raise ApiError(404, "Not Found")
    limit, now_ns = state.options.requests_per_sec, state.exchange.now_ns
    if not state.limits.take(f"{request.remote} {path}", limit, now_ns):
        raise ApiError(429, "rate limit exceeded")
    dialect = _dialect(state, request, endpoint)
    return endpoint.handler(state, Asked(dialect=dialect, params=_params(request)))


def _dialect(
    state: ZerocapState, request: SimRequest, endpoint: Endpoint[ZerocapState, Asked]
) -> Dialect:
    if not endpoint.is_private:
        return "A"
    headers = request.headers
    dialect = state.authenticated(
        headers.get("api-key", ""),
        headers.get("signature", ""),
        headers.get("timestamp"),
        request.remote,
    )
    if dialect not in endpoint.group:
        raise ApiError(404, "Not Found")
    return dialect


def _params(request: SimRequest) -> dict[str, Any]:
    if request.method == "GET":
        return dict(parse_qsl(request.query, keep_blank_values=True))
    try:
        body = msgspec.json.decode(request.body)
    except (msgspec.DecodeError, RecursionError) as e:
        raise ApiError(422, "the body is not JSON") from e
    if not isinstance(body, dict):
        raise ApiError(422, "the body is not an object")
    return body
