"""From a request under the base path to its endpoint, and the envelope of every answer."""

from __future__ import annotations

from fairlead.adapters.oceanex.simulator_auth import parameters, rate_error
from fairlead.adapters.oceanex.simulator_rest import PUBLIC, SUCCESS
from fairlead.adapters.oceanex.simulator_state import OceanexState
from fairlead.adapters.oceanex.simulator_trading import PRIVATE
from fairlead.adapters.simulation.routes import ApiError, Routes
from fairlead.adapters.simulation.venue import SimRequest, SimResponse

ROUTES = Routes((*PUBLIC, *PRIVATE))


def answer(venue: OceanexState, request: SimRequest, path: str) -> SimResponse:
    """Any request under the base path; errors are envelopes too. `path` starts with a slash."""
    planned = venue.take_planned_error(path)
    if planned is not None and not planned.is_executed:
        return _envelope(200, planned.code, planned.message, {})
    try:
        data = _call(venue, request, path)
    except ApiError as e:
        return _envelope(200, e.code, e.message, {})
    if planned is not None:
        return _envelope(200, planned.code, planned.message, {})
    status = venue.options.post_status if request.method == "POST" else 200
    return _envelope(status, 0, SUCCESS, data)


def _envelope(status: int, code: int, message: str, data: object) -> SimResponse:
    return SimResponse.of_json(status, {"code": code, "message": message, "data": data})


def _call(venue: OceanexState, request: SimRequest, path: str) -> object:
    endpoint, named = ROUTES.find(request.method, path)
    options, now_ns = venue.options, venue.exchange.now_ns
    forbidden = ApiError(
        9003,
        f"You do not have API '{request.method.lower()}:/v2{path}' permissions, "
        "or the API does not exist",
    )
    if endpoint is None:
        raise forbidden
    params = parameters(request)
    if endpoint.is_private:
        params = venue.auth.data(params, request.remote, now_ns)
        if endpoint.group not in options.scopes:
            raise forbidden
    params |= named
    is_create = path in ("/orders", "/orders/multi") and request.method == "POST"
    if not is_create and not venue.limits.take(path, options.requests_per_minute, now_ns):
        raise rate_error("process the request")
    return endpoint.handler(venue, params)
