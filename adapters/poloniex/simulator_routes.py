"""From a request to its endpoint, and the errors of the simulated Poloniex as answers."""

from __future__ import annotations

from urllib.parse import parse_qsl

import msgspec

from fairlead.adapters.poloniex.simulator_account import ACCOUNTS
from fairlead.adapters.poloniex.simulator_auth import ApiError
from fairlead.adapters.poloniex.simulator_margin import MARGIN
from fairlead.adapters.poloniex.simulator_public import PUBLIC, Call
from fairlead.adapters.poloniex.simulator_state import PoloniexState
from fairlead.adapters.poloniex.simulator_trading import TRADING
from fairlead.adapters.poloniex.simulator_wallet import WALLET
from fairlead.adapters.simulation.routes import Routes
from fairlead.adapters.simulation.venue import SimRequest, SimResponse

ROUTES = Routes((*MARGIN, *PUBLIC, *WALLET, *ACCOUNTS, *TRADING))
_STATUS = {400: 400, 408: 408, 429: 429, 404: 404}


def answer(venue: PoloniexState, request: SimRequest) -> SimResponse:
    """Any request; an error is `{code, message}` with an HTTP status other than 200.

    A wrong key or signature is 401 without a body.
    """
    try:
        return SimResponse.of_json(200, _call(venue, request))
    except ApiError as error:
        if error.code == 401:
            return SimResponse(status=401, body=b"", headers={})
        status = _STATUS.get(error.code, venue.options.error_status)
        return SimResponse.of_json(status, {"code": error.code, "message": error.message})


def _call(venue: PoloniexState, request: SimRequest) -> object:
    # A trailing slash is taken, as older clients send it.
    endpoint, path = ROUTES.find(request.method, request.path.rstrip("/"))
    if endpoint is None:
        raise ApiError(404, "No such endpoint")
    if endpoint.is_private:
        venue.auth.check(request, venue.now_ms)
    limit = {
        "public": venue.options.public_rate,
        "private": venue.options.private_rate,
    }.get(endpoint.group, venue.options.bulk_rate)
    who = "" if endpoint.is_private else request.remote
    if not venue.limits.take(f"{endpoint.group} {who}", limit, venue.exchange.now_ns):
        raise ApiError(429)
    return endpoint.handler(venue, Call(params=_query(request), body=_body(request), path=path))


def _query(request: SimRequest) -> dict[str, str]:
    return dict(parse_qsl(request.query, keep_blank_values=True))


def _body(request: SimRequest) -> object:
    """None where there is none; a body of `null` says nothing, and is refused."""
    if not request.body.strip():
        return None
    try:
        body: object = msgspec.json.decode(request.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ApiError(601, "The request body is not valid JSON") from None
    if body is None:
        raise ApiError(601, "The request body is not an object")
    return body
