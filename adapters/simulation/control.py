"""The tests' own door to a simulated venue: `/_sim/...`, never part of a venue's API.

GET  /_sim/ledger?since=SEQ   the true ledger's entries from SEQ on, and the next SEQ
GET  /_sim/balances           every account's balances
GET  /_sim/book?market=ID     the true book
GET  /_sim/faults             what was applied, what waits
POST /_sim/faults             {"method","path","kind","secs","times"} programs a fault;
                              {"clear": true} ends all; {"profile": "mild"} sets the seeded ones
POST /_sim/market             {"action": "pause"|"resume"}, {"market","side","price","size"} sets a
                              level, {"market","price","quantity","aggressor"} prints a trade,
                              {"market","mid"} moves the market there, where it is a seeded one
POST /_sim/venue              what the venue itself can be told (its `control(body)`)
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import parse_qs

import msgspec

from fairlead.adapters.simulation.faults import Faults
from fairlead.adapters.simulation.ledger import FEE_ACCOUNT, MARKET_ACCOUNT
from fairlead.adapters.simulation.venue import SimRequest, SimResponse, SimulatedVenue
from fairlead.engine.orders.model import Side

CONTROL_PREFIX = "/_sim/"
BOOK_DEPTH = 1000


def control(venue: SimulatedVenue, request: SimRequest) -> SimResponse:
    """Answer a `/_sim/` request; 404 or 400 with {"error"} when it can't be understood."""
    handler = _HANDLERS.get((request.method, request.path.removeprefix(CONTROL_PREFIX)))
    if handler is None:
        return SimResponse.of_json(404, {"error": f"expected one of {sorted(_HANDLERS)}"})
    try:
        return SimResponse.of_json(200, handler(venue, request))
    except (KeyError, ValueError, InvalidOperation, TypeError, msgspec.DecodeError) as e:
        return SimResponse.of_json(400, {"error": f"{type(e).__name__}: {e}"})


def _query(request: SimRequest, name: str, default: str) -> str:
    return parse_qs(request.query).get(name, [default])[0]


def _body(request: SimRequest) -> dict[str, Any]:
    body = msgspec.json.decode(request.body)
    if not isinstance(body, dict):
        raise TypeError("a JSON object is expected")
    return body


def _ledger(venue: SimulatedVenue, request: SimRequest) -> object:
    entries = venue.exchange.ledger.entries
    since = int(_query(request, "since", "0"))
    return {"entries": entries[since:], "next": len(entries)}


def _balances(venue: SimulatedVenue, request: SimRequest) -> object:
    ledger = venue.exchange.ledger
    return {
        account: ledger.balances(account)
        for account in ledger.accounts
        if account not in (MARKET_ACCOUNT, FEE_ACCOUNT)
    }


def _book(venue: SimulatedVenue, request: SimRequest) -> object:
    book = venue.exchange.markets[_query(request, "market", "")].book
    return {"bids": book.bids.levels(BOOK_DEPTH), "asks": book.asks.levels(BOOK_DEPTH)}


def _faults(venue: SimulatedVenue, request: SimRequest) -> object:
    faults = venue.faults
    return {"profile": faults.profile, "applied": faults.counts, "waiting": faults.waiting}


def _set_faults(venue: SimulatedVenue, request: SimRequest) -> object:
    body = _body(request)
    if body.get("profile", "none") not in ("none", "mild", "bad"):
        raise ValueError("profile is none, mild or bad")
    # Everything is understood before anything is set.
    new = Faults()
    if "kind" in body:
        new.next(
            str(body.get("method", "POST")),
            str(body.get("path", "/")),
            body["kind"],
            secs=float(body.get("secs", 0.5)),
            times=int(body.get("times", 1)),
        )
    venue.faults.take_over(new, clear=bool(body.get("clear")))
    if "profile" in body:
        venue.faults.profile = body["profile"]
    return _faults(venue, request)


def _market(venue: SimulatedVenue, request: SimRequest) -> object:
    body = _body(request)
    exchange = venue.exchange
    if "action" in body:
        venue.driver.paused = {"pause": True, "resume": False}[body["action"]]
    elif "mid" in body:
        venue.driver.move(body["market"], Decimal(body["mid"]))
    elif "size" in body:
        price, size = Decimal(body["price"]), Decimal(body["size"])
        exchange.set_level(body["market"], Side(body["side"]), price, size, exchange.now_ns)
    else:
        price, quantity = Decimal(body["price"]), Decimal(body["quantity"])
        aggressor = Side(body["aggressor"])
        exchange.print_trade(body["market"], price, quantity, aggressor, exchange.now_ns)
    return {"paused": venue.driver.paused}


def _venue(venue: SimulatedVenue, request: SimRequest) -> object:
    return venue.control(_body(request))


_HANDLERS: dict[tuple[str, str], Callable[[SimulatedVenue, SimRequest], object]] = {
    ("GET", "ledger"): _ledger,
    ("GET", "balances"): _balances,
    ("GET", "book"): _book,
    ("GET", "faults"): _faults,
    ("POST", "faults"): _set_faults,
    ("POST", "market"): _market,
    ("POST", "venue"): _venue,
}
