"""Query websocket of the simulated OceanEx: requests and answers, not a feed (section 7)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from fairlead.adapters.oceanex.simulator_markets import SimMarket, epoch, iso, number
from fairlead.adapters.oceanex.simulator_rest import (
    ORDER_SCOPE,
    QUERY_SCOPE,
    Params,
    integer,
    is_descending,
    listed,
)
from fairlead.adapters.oceanex.simulator_routes import ROUTES
from fairlead.adapters.oceanex.simulator_state import ACCOUNT, OceanexState
from fairlead.adapters.oceanex.simulator_trading import order_row
from fairlead.adapters.simulation.orders import FillEntry, SimOrder
from fairlead.adapters.simulation.routes import ApiError
from fairlead.adapters.simulation.venue import Opened
from fairlead.engine.orders.model import Side

PATH = "/ws/v1"
PING_NS = 60_000_000_000
UNANSWERED_PINGS_MAX = 3
PAGE_ROWS_MAX = 1000
_HISTORY_STATES = ("done", "cancel")
_OPEN_STATES = ("wait", "wait_trigger", "cancelling")

Action = Callable[[OceanexState, Params], object]


class QueryServer:
    """The open connections, which are pinged."""

    def __init__(self, venue: OceanexState) -> None:
        self._venue = venue
        self.sessions: list[QuerySession] = []

    def open(self, opened: Opened) -> QuerySession:
        session = QuerySession(self._venue, self, opened.send, opened.close)
        self.sessions.append(session)
        return session

    def advance(self, now_ns: int) -> None:
        for session in list(self.sessions):
            session.ping_if_due(now_ns)


class QuerySession:
    """One connection."""

    def __init__(
        self,
        venue: OceanexState,
        server: QueryServer,
        send: Callable[[str], None],
        close: Callable[[], None],
    ) -> None:
        self._venue = venue
        self._server = server
        self._send_text = send
        self._close = close
        self._is_logged_in = False
        self._unanswered = 0
        self._next_ping_ns = venue.exchange.now_ns + PING_NS
        self._send({"type": "welcome", "message": PING_NS // 1_000_000_000})

    def ping_if_due(self, now_ns: int) -> None:
        if now_ns < self._next_ping_ns:
            return
        self._next_ping_ns = now_ns + PING_NS
        if self._unanswered >= UNANSWERED_PINGS_MAX:
            self._disconnect("ping timeout", reconnect=True)
            return
        self._unanswered += 1
        self._send({"type": "ping", "message": epoch(now_ns)})

    def closed(self) -> None:
        if self in self._server.sessions:
            self._server.sessions.remove(self)

    def received(self, frame: str) -> None:
        try:
            message = msgspec.json.decode(frame)
        except msgspec.DecodeError:
            message = None
        command = message.get("command") if isinstance(message, dict) else None
        if command == "pong":
            self._unanswered = 0
        elif command == "message":
            self._message(message)
        else:
            self._disconnect("invalid_request", reconnect=False)

    def _message(self, message: dict[str, Any]) -> None:
        identifier, data = message.get("identifier"), message.get("data")
        handler = identifier.get("handler") if isinstance(identifier, dict) else None
        if not isinstance(handler, str) or not isinstance(data, dict):
            self._disconnect("invalid_request", reconnect=False)
            return
        action, uuid, args = data.get("action"), data.get("uuid"), data.get("args")
        reply: dict[str, Any] = {"action": action, "uuid": uuid, "code": 0, "data": {}}
        if (handler, action) == ("AuthHandler", "login"):
            if not self._logs_in(data.get("header")):
                self._disconnect("unauthorized", reconnect=False)
                return
            reply["data"] = {"scopes": self._scopes()}
        else:
            known = _ACTIONS.get((handler, str(action)))
            if known is not None and known[1] is not None and not self._is_logged_in:
                self._disconnect("unauthorized", reconnect=False)
                return
            try:
                reply["data"] = self._run(known, args if isinstance(args, dict) else {})
            except ApiError as e:
                reply |= {"code": e.code, "message": e.message}
        self._send({"identifier": {"handler": handler}, "message": reply})

    def _run(self, known: tuple[Action, str | None] | None, args: Params) -> object:
        if known is None:
            raise ApiError(9003, "You do not have API permissions, or the API does not exist")
        run, scope = known
        if scope is not None and scope not in self._venue.options.scopes:
            raise ApiError(9003, "You do not have API permissions, or the API does not exist")
        limit = self._venue.options.requests_per_minute
        if not self._venue.limits.take(PATH, limit, self._venue.exchange.now_ns):
            raise ApiError(-2, "Exceeding request Limit")
        return run(self._venue, args)

    def _logs_in(self, header: object) -> bool:
        """The signature is RSA PKCS#1 v1.5, SHA-256, over `GET|/ws/v1|{nonce}|`."""
        options = self._venue.options
        if self._is_logged_in or not isinstance(header, dict) or not options.key_enabled:
            return False
        if (header.get("uid"), header.get("api_key")) != (options.uid, options.key_id):
            return False
        text = f"GET|{PATH}|{header.get('nonce')}|".encode()
        try:
            signature = base64.b64decode(str(header.get("signature")), validate=True)
            self._venue.auth.public_key.verify(signature, text, padding.PKCS1v15(), hashes.SHA256())
        except (binascii.Error, ValueError, InvalidSignature):
            return False
        self._is_logged_in = True
        return True

    def _scopes(self) -> dict[str, bool]:
        scopes = self._venue.options.scopes
        return {
            "query": QUERY_SCOPE in scopes,
            "sell/buy": ORDER_SCOPE in scopes,
            "withdraw": "withdraws/deposits" in scopes,
        }

    def _disconnect(self, reason: str, *, reconnect: bool) -> None:
        self._send({"type": "disconnect", "reason": reason, "reconnect": reconnect})
        self.closed()
        self._close()

    def _send(self, message: object) -> None:
        self._send_text(msgspec.json.encode(message).decode())


# -- actions ---------------------------------------------------------------------------------------


def _rest(path: str, method: str = "POST", **renamed: str) -> Action:
    """The REST endpoint's own answer; `renamed` maps its parameter to this API's name."""
    endpoint, _ = ROUTES.find(method, path)
    assert endpoint is not None, f"{method} {path}"

    def run(venue: OceanexState, args: Params) -> object:
        given = {name: args[alias] for name, alias in renamed.items() if alias in args}
        return endpoint.handler(venue, {**args, **given})

    return run


def _markets(venue: OceanexState, args: Params) -> object:
    return [
        {
            "id": m.id,
            "name": m.name,
            "price_precision": m.price_precision,
            "amount_precision": m.amount_precision,
            "enabled": not venue.exchange.markets[m.id].halted,
            "minimum_trading_amount": number(m.minimum_trading_amount),
        }
        for m in venue.markets.values()
    ]


def _fees(venue: OceanexState, args: Params) -> object:
    return [
        {
            "market_id": m.id,
            "ask_fee": {"type": "relative", "value": str(m.ask_fee)},
            "bid_fee": {"type": "relative", "value": str(m.bid_fee)},
        }
        for m in venue.markets.values()
    ]


def _row(venue: OceanexState, order: SimOrder, *, as_entered: bool = False) -> dict[str, Any]:
    """As REST, but `side` is bid or ask, `created_on` an integer, and the market is named."""
    market = venue.markets[order.market]
    row = order_row(order, as_entered=as_entered)
    row["side"] = _bid_or_ask(order.side)
    row["created_on"] = epoch(order.ts_created)
    row["market_name"] = row["market_display_name"] = market.name
    return row


def _bid_or_ask(side: Side) -> str:
    return "bid" if side is Side.BUY else "ask"


def _trade_row(market: SimMarket, fill: FillEntry) -> dict[str, Any]:
    funds = fill.price * fill.quantity
    return {
        "ask_fee": number(funds * market.ask_fee),
        "ask_fee_currency_id": market.quote.lower(),
        "bid_fee": number(fill.quantity * market.bid_fee),
        "bid_fee_currency_id": market.base.lower(),
        "created_at": iso(fill.ts_event),
        "created_on": epoch(fill.ts_event),
        "fee": str(market.bid_fee if fill.side is Side.BUY else market.ask_fee),
        "funds": number(funds),
        "id": fill.trade_id,
        "market": market.id,
        "market_display_name": market.name,
        "market_name": market.name,
        "order_id": fill.order_id,
        "price": number(fill.price),
        "side": _bid_or_ask(fill.side),
        "volume": number(fill.quantity),
    }


def _create(venue: OceanexState, args: Params) -> object:
    created: Any = _rest("/orders")(venue, args)
    order = venue.exchange.order(ACCOUNT, created["id"])
    assert order is not None
    return _row(venue, order, as_entered=venue.options.create_reply == "entry")


def _cancelled_ids(path: str) -> Action:
    """Ids whose cancel was accepted, which is not done."""

    def run(venue: OceanexState, args: Params) -> object:
        rows: Any = _rest(path)(venue, args)
        return [row["id"] for row in rows]

    return run


def _show(states: tuple[str, ...]) -> Action:
    def run(venue: OceanexState, args: Params) -> object:
        order = venue.exchange.order(ACCOUNT, integer(args, "id", 0))
        row = None if order is None else _row(venue, order)
        if order is None or row is None or row["state"] not in states:
            raise ApiError(2004, "Order does not exist")
        fills = venue.exchange.ledger.fills_of(order.id)
        market = venue.markets[order.market]
        return {**row, "trades": [_trade_row(market, fill) for fill in fills]}

    return run


def _index(states: tuple[str, ...]) -> Action:
    def run(venue: OceanexState, args: Params) -> object:
        wanted = listed(args, "state") if args.get("state") else list(states)
        if any(state not in states for state in wanted):
            raise ApiError(9002, "state does not have a valid value")
        rows = [_row(venue, o) for o in venue.exchange.orders(ACCOUNT, args.get("market"))]
        start, end = integer(args, "start_time", 0), integer(args, "end_time", 2**62)
        rows = [
            row
            for row in rows
            if row["state"] in states
            and row["state"] in wanted
            and start <= row["created_on"] <= end
            and args.get("ord_type") in (None, row["ord_type"])
        ]
        if is_descending(args):
            rows.reverse()
        per = min(PAGE_ROWS_MAX, integer(args, "per", 100, 1))
        page = integer(args, "page", 1, 1)
        shown = rows[(page - 1) * per : page * per]
        return {"resources": shown, "resources_count": len(rows)}

    return run


_ACTIONS: dict[tuple[str, str], tuple[Action, str | None]] = {
    ("ToolHandler", "timestamp"): (_rest("/timestamp"), None),
    ("MarketsHandler", "index"): (_markets, None),
    ("FeeHandler", "trading_fee"): (_fees, None),
    ("TickerHandler", "index"): (_rest("/tickers_multi", markets="market_ids"), None),
    ("OrderBookHandler", "index"): (_rest("/order_book", market="market_id", limit="level"), None),
    ("KlineHandler", "index"): (_rest("/k", market="market_id", timestamp="start_time"), None),
    ("AccountHandler", "index"): (_rest("/members/me"), QUERY_SCOPE),
    ("OrderHandler", "create"): (_create, ORDER_SCOPE),
    ("OrderHandler", "cancel"): (_cancelled_ids("/order/delete/multi"), ORDER_SCOPE),
    ("OrderHandler", "clear"): (_cancelled_ids("/orders/clear"), ORDER_SCOPE),
    ("OrderHandler", "index"): (_index(_OPEN_STATES), QUERY_SCOPE),
    ("OrderHandler", "show"): (_show(_OPEN_STATES), QUERY_SCOPE),
    ("OrderHistoryHandler", "show"): (_show(_HISTORY_STATES), QUERY_SCOPE),
    ("OrderHistoryHandler", "index"): (_index(_HISTORY_STATES), QUERY_SCOPE),
}
