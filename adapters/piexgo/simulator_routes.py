"""From a request to its endpoint, and the envelope of every answer (section 3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fairlead.adapters.piexgo.simulator_auth import Params, check, parameters
from fairlead.adapters.piexgo.simulator_markets import millis
from fairlead.adapters.piexgo.simulator_public import PUBLIC, V2
from fairlead.adapters.piexgo.simulator_state import PiexgoState
from fairlead.adapters.piexgo.simulator_trading import PRIVATE, TIMED
from fairlead.adapters.simulation.routes import ApiError, Endpoint, Routes
from fairlead.adapters.simulation.venue import SimRequest, SimResponse

ROUTES = Routes((*PUBLIC, *PRIVATE))
BARE = "/api/v1/time"  # has no envelope
NOT_FOUND = SimResponse(
    status=404, body=b"<html><h1>404 Not Found</h1></html>", headers={"content-type": "text/html"}
)


def answer(venue: PiexgoState, request: SimRequest) -> SimResponse:
    endpoint, _ = ROUTES.find(request.method, request.path)
    if endpoint is None:
        return NOT_FOUND
    planned = venue.take_planned_error(request.path)
    try:
        if planned is not None and not planned.is_executed:
            raise ApiError(planned.code, planned.message)
        found = _call(venue, request, endpoint)
        if planned is not None:
            raise ApiError(planned.code, planned.message)
    except ApiError as error:
        if endpoint.group == V2:
            return SimResponse.of_json(200, {})
        body = {"err_code": error.code, "msg": error.message}
        return SimResponse.of_json(venue.options.error_status, body)
    if endpoint.group != V2 and endpoint.path != BARE:
        assert isinstance(found, Mapping)
        found = {**found, "msg": "ok", "err_code": 0}
    return SimResponse.of_json(200, found)


def _call(venue: PiexgoState, request: SimRequest, endpoint: Endpoint[Any, Params]) -> object:
    params = parameters(request)
    if endpoint.is_private:
        is_told = endpoint.path != "/api/v1/account"  # has no parameters at all
        check(
            venue.credentials,
            request.headers,
            params,
            millis(venue.exchange.now_ns),
            needs_time=endpoint.group == TIMED or (venue.options.demands_time and is_told),
        )
    return endpoint.handler(venue, params)
