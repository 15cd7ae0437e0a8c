"""Intents as the venue's requests, and what is refused unsent (document sections 2, 6, 8)."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_DOWN, Decimal
from typing import Literal

import msgspec

from fairlead.adapters.base.venue import VenueError, VenueErrorKind, VenueInstrument
from fairlead.adapters.poloniex.config import PoloniexOptions
from fairlead.adapters.poloniex.http import OrderRequest, PoloniexHttp, plain
from fairlead.adapters.poloniex.symbols import WireId, client_id_problem
from fairlead.adapters.poloniex.tracking import Tracker
from fairlead.engine.orders.live import STOP_KINDS
from fairlead.engine.orders.model import Intent, Kind, Refused, Side, Tif, TriggerCondition

_BPS = Decimal(10_000)


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """One request that is about to be sent for an intent."""

    intent: Intent
    wire: WireId
    request: OrderRequest
    is_smart: bool


def wire_id(intent: Intent) -> WireId:
    """The client order id of a first create; a stop's carries its trigger condition."""
    condition = intent.trigger_condition if intent.kind in STOP_KINDS else None
    return WireId(client_order_id=intent.client_order_id, condition=condition)


class Planner:
    """Turns intents into requests; reads a price where the venue's rules need one."""

    def __init__(
        self,
        *,
        http: PoloniexHttp,
        instruments: Mapping[str, VenueInstrument],
        options: PoloniexOptions,
        tracker: Tracker,
    ) -> None:
        self._http = http
        self._instruments = instruments
        self._options = options
        self._tracker = tracker

    async def plan(self, intent: Intent, now_ns: int) -> Plan | Refused:
        """A request, or why the order is not sent. Never raises."""
        problem = self._problem(intent)
        if problem is not None:
            return problem
        try:
            if intent.kind in STOP_KINDS:
                return await self._stop(intent, now_ns)
            if intent.kind is Kind.MARKET and intent.side is Side.BUY:
                return await self._market_buy(intent)
        except VenueError as error:  # of a read: nothing was sent
            return Refused(error.code, f"{error.message}; the order was not sent")
        return self._regular(intent, wire_id(intent))

    def _problem(self, intent: Intent) -> Refused | None:
        """Spot has no reduce-only orders: such a one is sent as a plain order, held by the gate."""
        if intent.instrument not in self._instruments:
            return Refused("POLONIEX-SYMBOL", f"the venue does not list {intent.instrument}")
        problem = client_id_problem(wire_id(intent))
        if problem is not None:
            return Refused("POLONIEX-CLIENT-ID", problem)
        if intent.post_only and (
            intent.kind is not Kind.LIMIT or intent.time_in_force is not Tif.GTC
        ):
            return Refused("POLONIEX-POST-ONLY", "only a LIMIT order that is GTC can be post-only")
        if intent.kind is not Kind.MARKET and intent.price is None:
            return Refused("POLONIEX-PRICE", f"a {intent.kind} order needs a price")
        if intent.kind in STOP_KINDS and (not intent.trigger_price or not intent.trigger_condition):
            return Refused("POLONIEX-TRIGGER", f"a {intent.kind} needs trigger price and condition")
        return None

    def _regular(self, intent: Intent, wire: WireId) -> Plan:
        """Section 2.1. `type` is always given: the venue's default is MARKET (trap 5)."""
        type_ = "MARKET" if intent.kind is Kind.MARKET else "LIMIT"
        is_market = intent.kind is Kind.MARKET
        request = OrderRequest(
            symbol=self._instruments[intent.instrument].symbol,
            side=intent.side.value,
            type="LIMIT_MAKER" if intent.post_only else type_,
            time_in_force=None if is_market or intent.post_only else intent.time_in_force.value,
            price=None if is_market or intent.price is None else plain(intent.price),
            quantity=plain(intent.quantity),
            client_order_id=wire.text(),
            stp_mode=self._stp_mode(),
        )
        return Plan(intent=intent, wire=wire, request=request, is_smart=False)

    async def _market_buy(self, intent: Intent) -> Plan | Refused:
        """The venue sizes a market buy in quote currency only (section 2.1).

        Converting by a price would buy another quantity than was approved, so the conversion is
        the document's other one (section 6): LIMIT IOC, a little above the best ask.
        """
        if self._options.market_buy == "refuse":
            return Refused(
                "POLONIEX-MARKET-BUY", "market_buy is `refuse`: size it by a limit order"
            )
        instrument = self._instruments[intent.instrument]
        book = await self._http.order_book(instrument.symbol, limit=5)
        if not book.asks:
            return Refused("POLONIEX-NO-ASK", f"{instrument.symbol} has no ask to convert by")
        try:
            ask = Decimal(book.asks[0])
        except ArithmeticError:
            ask = Decimal("NaN")
        if not ask.is_finite() or ask <= 0:
            return Refused("POLONIEX-NO-ASK", f"{instrument.symbol}: an ask that is no price")
        limit = ask * (1 + self._options.market_buy_slippage_bps / _BPS)
        tick = Decimal(1).scaleb(-instrument.price_precision)
        request = OrderRequest(
            symbol=instrument.symbol,
            side="BUY",
            type="LIMIT",
            time_in_force="FOK" if intent.time_in_force is Tif.FOK else "IOC",
            price=plain(max(limit.quantize(tick, rounding=ROUND_DOWN), ask)),
            quantity=plain(intent.quantity),
            client_order_id=wire_id(intent).text(),
            stp_mode=self._stp_mode(),
        )
        return Plan(intent=intent, wire=wire_id(intent), request=request, is_smart=False)

    async def _stop(self, intent: Intent, now_ns: int) -> Plan | Refused:
        """Section 8: the venue has no direction field, it waits for a cross from the current side.

        So the market must be on the side where the condition is false when the order is made.
        """
        assert intent.trigger_price is not None, "checked before"
        last = await self.last_price(intent.instrument, now_ns)
        rises = intent.trigger_condition is TriggerCondition.GTE
        is_true = last >= intent.trigger_price if rises else last <= intent.trigger_price
        if is_true and self._options.trigger_crossed == "limit":
            # The suffix stays, so that the order is known as a stop that has triggered.
            return self._regular(intent, wire_id(intent))
        if is_true:
            return Refused(
                "POLONIEX-TRIGGER-CROSSED",
                f"last price {last} is {intent.trigger_condition} {intent.trigger_price} already: "
                "the venue would wait for the opposite cross; not sent",
            )
        request = OrderRequest(
            symbol=self._instruments[intent.instrument].symbol,
            side=intent.side.value,
            type="STOP_LIMIT",
            time_in_force=intent.time_in_force.value,
            price=None if intent.price is None else plain(intent.price),
            quantity=plain(intent.quantity),
            stop_price=plain(intent.trigger_price),
            client_order_id=wire_id(intent).text(),
        )
        return Plan(intent=intent, wire=wire_id(intent), request=request, is_smart=True)

    async def last_price(self, instrument: str, now_ns: int) -> Decimal:
        """Of the trade stream if fresh, else asked for; raises VenueError."""
        symbol = self._instruments[instrument].symbol
        told = self._tracker.fresh_price(symbol, now_ns)
        price = Decimal(told) if told is not None else (await self._http.price(symbol)).price
        if price <= 0:
            raise VenueError(
                VenueErrorKind.REFUSED, "POLONIEX-NO-PRICE", f"{symbol} has no last price"
            )
        return price

    def _stp_mode(self) -> Literal["NONE"] | None:
        return "NONE" if self._options.self_trade_prevention == "NONE" else None
