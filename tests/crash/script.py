"""One order's whole life: sent, and led to the end that its scenario names."""

from __future__ import annotations

import json
import urllib.request
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import msgspec
from nautilus_trader.model import BookType, InstrumentId, OrderSide, TimeInForce, TriggerType
from nautilus_trader.trading import StrategyConfig

from fairlead.engine.guard import GuardedStrategy
from fairlead.engine.orders.model import Capabilities, Kind, Side, TriggerCondition
from fairlead.engine.orders.trigger import condition_of
from tests.crash import seam
from tests.support.patience import PATIENCE_SECS
from tests.support.venues import rests

UNITS = Decimal("0.002")  # of base currency, at least, in each order
FAR = Decimal("0.05")  # from the market: nothing trades there by itself
NEAR = Decimal("0.01")  # where stops wait
CROSSING = Decimal("0.005")  # beyond the other side

# fill: until it is filled; cancel, replace (then cancel); part: filled by half, then cancelled;
# stop: left open for the ordered stop of the run; pair: two in one submission, then cancelled;
# kill: two in one submission that find no price, where orders are fill-or-kill.
End = Literal["fill", "cancel", "part", "replace", "stop", "pair", "kill"]


class Scenario(msgspec.Struct, frozen=True):
    """One order type and its life."""

    kind: Kind
    side: Side
    end: End

    @property
    def condition(self) -> TriggerCondition | None:
        return condition_of(self.kind, self.side)

    @property
    def name(self) -> str:
        words = [self.kind, self.side, *([self.condition] if self.condition else []), self.end]
        return "-".join(words).lower()


def scenarios(able: Capabilities, *, is_bare: bool = False) -> list[Scenario]:
    """Every order type that the venue has, filled on both sides, and the other ways of its life.

    What is asked after the create is asked the same way for both sides. Of a venue laid bare, only
    what is held for it: the plain kinds are those of the venue as it is.
    """
    found = []
    for kind in sorted(able.held):
        found += [Scenario(kind, side, "fill") for side in Side]
        found += [Scenario(kind, Side.BUY, end) for end in _HELD_ENDS]
    if is_bare:
        return found
    for kind in sorted(able.kinds):
        found += [Scenario(kind, side, "fill") for side in Side]
        if kind is Kind.MARKET:
            continue
        ends: list[End] = ["part", "stop", "pair"] if kind is Kind.LIMIT else ["cancel"]
        if kind is Kind.LIMIT and not rests(able):
            ends = ["kill"]
        if able.replace:
            ends.append("replace")
        found += [Scenario(kind, Side.BUY, end) for end in ends]
    return found


_HELD_ENDS: tuple[End, ...] = ("cancel", "replace", "stop")


class ScriptConfig(StrategyConfig):
    """`marker` is a file made when the strategy starts; `control` the venue's own door.

    `fok`: limit orders are fill-or-kill.
    """

    def __init__(
        self,
        *,
        instrument_id: InstrumentId,
        kind: str,
        side: str,
        end: str,
        quantity: str,
        market: str,
        control: str,
        marker: str,
        fok: bool = False,
        **native: Any,
    ) -> None:
        self.instrument_id = instrument_id
        self.scenario = Scenario(Kind(kind), Side(side), end)  # type: ignore[arg-type]
        self.quantity = Decimal(quantity)
        self.market = market
        self.control = control
        self.marker = marker
        self.fok = fok


class Script(GuardedStrategy):
    """Acts only in a process that was started to be killed; a restart of the same config waits."""

    config_class = ScriptConfig

    def __init__(self, config: ScriptConfig) -> None:
        super().__init__(config)
        self.name = config.instrument_id
        self.scenario = config.scenario
        self.trail = seam.current()
        self.is_sent = False

    def on_start(self) -> None:
        Path(self.config.marker).touch()
        if self.trail is None or self.trail.role != "script":
            return
        self.subscribe_book_deltas(self.name, BookType.L2_MBP, managed=True)
        if not self.config.fok:  # a ladder of prices has no trades
            self.subscribe_trades(self.name)
        self.clock.set_timer("script", timedelta(milliseconds=20))

    def on_time_event(self, event: Any) -> None:
        top = self.cache.top_of_book(self.name)
        if top is None or self.is_sent or not self._has_price():
            return
        self.is_sent = True
        self._send(top[0].as_decimal(), top[2].as_decimal())

    def _has_price(self) -> bool:
        """A stop goes to some venues only where a trade proves that its trigger lies ahead."""
        is_stop = self.scenario.condition is not None
        return self.config.fok or not is_stop or self.cache.trade(self.name) is not None

    def _send(self, bid: Decimal, ask: Decimal) -> None:
        kind, side, end = self.scenario.kind, self.scenario.side, self.scenario.end
        make = self.order_factory
        if kind is Kind.MARKET:
            self.submit_order(make.market(self.name, _native(side), self._units()))
        elif self.scenario.condition is not None:
            self._send_stop((bid + ask) / 2)
        elif end in ("pair", "kill"):
            self.submit_order_list([self._limit(each, self._far(each, bid, ask)) for each in Side])
        else:
            price = self._far(side, bid, ask)
            if end == "fill":
                across = ask * (1 + CROSSING) if side is Side.BUY else bid * (1 - CROSSING)
                price = self._price(across)
            self.submit_order(self._limit(side, price))

    def _limit(self, side: Side, price: Any) -> Any:
        tif = TimeInForce.FOK if self.config.fok else TimeInForce.GTC
        return self.order_factory.limit(
            self.name, _native(side), self._units(), price, time_in_force=tif
        )

    def _send_stop(self, middle: Decimal) -> None:
        condition, side = self.scenario.condition, self.scenario.side
        assert condition is not None
        is_above = condition is TriggerCondition.GTE
        trigger = middle * (1 + NEAR if is_above else 1 - NEAR)
        # Marketable when it fires, whichever way the market came.
        limit = middle * (1 + 2 * NEAR if side is Side.BUY else 1 - 2 * NEAR)
        if self.scenario.kind in (Kind.STOP_MARKET, Kind.MARKET_IF_TOUCHED):
            name = self.scenario.kind.lower()
            build = getattr(self.order_factory, name)
            made = (self.name, _native(side), self._units(), self._price(trigger))
            self.submit_order(build(*made, trigger_type=TriggerType.LAST_PRICE))
            return
        self.stop_limit(
            self.name,
            _native(side),
            self._units(),
            self._price(trigger),
            self._price(limit),
            condition.value,
        )

    def on_order_accepted(self, event: Any) -> None:
        order = self.cache.order(event.client_order_id)
        end = self.scenario.end
        if end == "stop":
            self._done()
        elif end == "cancel":
            self.cancel_order(order.client_order_id)
        elif end == "replace":
            if order.order_type.name in Kind and order.has_price:
                price = order.price.as_decimal() * Decimal("1.001")
                self.modify_order(order.client_order_id, price=self._price(price))
            else:
                quantity = order.quantity.as_decimal() / 2
                less = self.cache.instrument(self.name).make_qty(quantity)
                self.modify_order(order.client_order_id, quantity=less)
        elif end == "pair":
            if len(self.cache.orders_open(strategy_id=self.strategy_id)) == 2:
                self.cancel_all_orders(self.name)
        elif end == "part":
            self._trade(order.price.as_decimal(), UNITS / 2, through=True)
        elif self.scenario.condition is not None:
            self._trade(order.trigger_price.as_decimal(), UNITS / 10, through=False)

    def on_order_updated(self, event: Any) -> None:
        if self.scenario.end == "replace":
            self.cancel_order(event.client_order_id)

    def on_order_filled(self, event: Any) -> None:
        order = self.cache.order(event.client_order_id)
        if order.is_closed:
            self._done()
        elif self.scenario.end == "part":
            self.cancel_order(order.client_order_id)

    def on_order_canceled(self, event: Any) -> None:
        if self.scenario.end == "kill" and self.cache.orders_inflight(strategy_id=self.strategy_id):
            return
        if not self.cache.orders_open(strategy_id=self.strategy_id):
            self._done()

    def on_order_rejected(self, event: Any) -> None:
        self._failed(f"rejected: {event.reason}")

    def on_order_modify_rejected(self, event: Any) -> None:
        self._failed(f"not replaced: {event.reason}")

    def on_gate_denied(self, order: Any, denial: Any) -> None:
        self._failed(f"denied: {denial}")

    def _trade(self, price: Decimal, quantity: Decimal, *, through: bool) -> None:
        """Others trade at the price, or just through it: resting orders fill, stops fire.

        A dealer's prices move there, a little further: no trade moves them.
        """
        is_buy, is_rise = self.scenario.side is Side.BUY, _rises(self.scenario)
        aggressor = Side.BUY if is_rise else Side.SELL
        if through:  # against our order
            aggressor = Side.SELL if is_buy else Side.BUY
            price *= Decimal("0.999") if is_buy else Decimal("1.001")
        body = {"market": self.config.market}
        if self.config.fok:
            body["mid"] = str(self._price(price * (1 + NEAR / 4 if is_rise else 1 - NEAR / 4)))
        else:
            body["price"] = str(self._price(price))
            body["quantity"] = str(quantity.normalize())
            body["aggressor"] = aggressor.value
        asked = urllib.request.Request(
            f"{self.config.control.rstrip('/')}/market", data=json.dumps(body).encode()
        )
        urllib.request.urlopen(asked, timeout=PATIENCE_SECS).close()

    def _done(self) -> None:
        if self.trail is not None:
            self.trail.tell(seam.DONE)

    def _failed(self, why: str) -> None:
        if self.trail is not None:
            self.trail.tell(f"{seam.FAILED}{why}")

    def _far(self, side: Side, bid: Decimal, ask: Decimal) -> Any:
        return self._price(bid * (1 - FAR) if side is Side.BUY else ask * (1 + FAR))

    def _price(self, value: Decimal) -> Any:
        return self.cache.instrument(self.name).make_price(value)

    def _units(self) -> Any:
        return self.cache.instrument(self.name).make_qty(self.config.quantity)


def _rises(scenario: Scenario) -> bool:
    """Whether the market has to rise for what the scenario waits for."""
    return scenario.condition is TriggerCondition.GTE


def _native(side: Side) -> Any:
    return OrderSide.BUY if side is Side.BUY else OrderSide.SELL
