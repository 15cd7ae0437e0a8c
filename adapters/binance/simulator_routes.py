"""From a request to its endpoint and its weight, and the simulated Binance's errors as answers."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

from fairlead.adapters.binance.simulator_auth import ApiError
from fairlead.adapters.binance.simulator_limits import TooMany
from fairlead.adapters.binance.simulator_markets import Product
from fairlead.adapters.binance.simulator_public import PUBLIC
from fairlead.adapters.binance.simulator_spot import SPOT, CancelReplaceError
from fairlead.adapters.binance.simulator_state import BinanceState, Call
from fairlead.adapters.binance.simulator_usdm import USDM
from fairlead.adapters.simulation.numbers import natural
from fairlead.adapters.simulation.routes import Endpoint, Routes
from fairlead.adapters.simulation.venue import SimRequest, SimResponse

ROUTES = Routes((*PUBLIC, *SPOT, *USDM))
# Weight of `depth` up to so many levels.
DEPTH_WEIGHTS = {
    Product.SPOT: ((100, 5), (500, 25), (1000, 50), (5000, 250)),
    Product.USDM: ((50, 2), (100, 5), (500, 10), (1000, 20)),
}
LIST_WEIGHT = 40  # of all symbols


def product_of(path: str) -> Product:
    """The futures APIs are below `/fapi`; other accounts' (`/sapi`) count with spot."""
    return Product.USDM if path.startswith("/fapi/") else Product.SPOT


def answer(venue: BinanceState, request: SimRequest) -> SimResponse:
    """Any request; an error is `{code, msg}` with a status of 400 and more."""
    product = product_of(request.path)
    headers: dict[str, str] = {}
    try:
        response = SimResponse.of_json(200, _call(venue, request, product, headers))
    except ApiError as error:
        if isinstance(error, TooMany):
            headers["retry-after"] = str(error.retry_secs)
        response = SimResponse.of_json(error.status, refusal(error))
    return SimResponse(
        status=response.status, body=response.body, headers={**response.headers, **headers}
    )


def refusal(error: ApiError) -> dict[str, Any]:
    told: dict[str, Any] = {"code": error.code, "msg": error.message}
    if isinstance(error, CancelReplaceError):
        told["data"] = error.data
    return told


def _call(
    venue: BinanceState, request: SimRequest, product: Product, headers: dict[str, str]
) -> object:
    endpoint, _ = ROUTES.find(request.method, request.path)
    if endpoint is None:
        raise ApiError(
            -5000, f"Path {request.path}, Method {request.method} is invalid", status=404
        )
    call = Call(
        product=product,
        params=_params(request),
        remote=request.remote,
        key=request.headers.get("x-mbx-apikey"),
    )
    used = venue.limits[product].take(
        request.remote, weight_of(endpoint, call), venue.exchange.now_ns
    )
    headers["x-mbx-used-weight-1m"] = str(used)
    if endpoint.is_private:
        venue.auth.check_request(request, venue.now_ms)
    answered = endpoint.handler(venue, call)
    if request.method in ("POST", "PUT") and "rder" in request.path:
        used = venue.limits[product].orders_used(venue.exchange.now_ns)
        headers["x-mbx-order-count-10s"] = str(used)
    return answered


def weight_of(endpoint: Endpoint[BinanceState, Call], call: Call) -> int:
    if endpoint.group == "depth":
        limit = natural(call.params.get("limit", "100")) or 0
        weights = DEPTH_WEIGHTS[call.product]
        return next((weight for most, weight in weights if limit <= most), weights[-1][1])
    if endpoint.group == "list":
        return 2 if call.params.get("symbol") else LIST_WEIGHT
    return int(endpoint.group)


def _params(request: SimRequest) -> dict[str, str]:
    """Of query and body; the query's go first where both name one."""
    body = request.body.decode("utf-8", "replace")
    return dict(
        [
            *parse_qsl(body, keep_blank_values=True),
            *parse_qsl(request.query, keep_blank_values=True),
        ]
    )
