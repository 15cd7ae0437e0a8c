"""A simulated Poloniex spot: its REST API and both WebSockets over the simulated exchange.

Source: the venue document, sections 0 to 8. Serve it with `adapters.simulation.server.serve`, or
in memory with `adapters.simulation.memory`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from random import Random
from typing import Any

import msgspec

from adapters.poloniex.simulator_account import KillSwitch
from adapters.poloniex.simulator_auth import Authenticator, Credentials
from adapters.poloniex.simulator_markets import Modes, PoloniexSimOptions, millis
from adapters.poloniex.simulator_orders import (
    ACCOUNT,
    CHILD_OFFSET,
    FIRST_ORDER_ID,
    FIRST_TRADE_ID,
)
from adapters.poloniex.simulator_push import PushServer, PushSession
from adapters.poloniex.simulator_routes import answer
from adapters.poloniex.simulator_wallet import Wallet
from adapters.simulation.exchange import Exchange, ExchangeListener, ExchangeOptions
from adapters.simulation.faults import Faults
from adapters.simulation.market import SECOND_NS, MarketDriver, MarketFlow, SeededFlow
from adapters.simulation.orders import FeeSchedule, FillEntry
from adapters.simulation.replay import ReplayFlow, ReplaySource
from adapters.simulation.routes import RateWindows
from adapters.simulation.venue import SimRequest, SimResponse

__all__ = ["PoloniexSimOptions", "PoloniexSimulator", "create"]

QUIET_EVENTS_PER_SEC = 0.5
_QUOTE_VALUES = {"BTC": 60_000.0}  # in USDT, to size other markets


class PoloniexSimulator(ExchangeListener):
    """A `SimulatedVenue`. The same seed and options give the same market and credentials."""

    def __init__(
        self,
        *,
        now_ns: int,
        seed: int = 1,
        replay: ReplaySource | None = None,
        options: PoloniexSimOptions | None = None,
        ids_from: int = 0,
    ) -> None:
        """The numbers of orders and trades begin `ids_from` later than the usual ones.

        Raises ValueError for an empty recording or a `replay_market` that does not exist.
        """
        self.options = options or PoloniexSimOptions()
        self.seed = seed
        self.markets = {market.symbol: market for market in self.options.markets}
        self.modes = Modes(self.options.states)
        self.credentials = Credentials.of_seed(seed)
        self.auth = Authenticator(self.credentials, self.options.clock_tolerance_ms)
        self.limits = RateWindows(SECOND_NS)
        self.kill_switch = KillSwitch()
        self.wallet = Wallet()
        self.faults = Faults(seed)
        self.fills: list[FillEntry] = []
        self.fills_of: dict[int, list[FillEntry]] = {}  # by the exchange's order id
        self.started_ms = millis(now_ns)
        self.exchange = self._exchange(ids_from)
        self.exchange.listeners.append(self)
        self.exchange.open_account(ACCOUNT)
        for currency, amount in self.options.balances.items():
            self.exchange.adjust(ACCOUNT, currency, amount, Decimal(0), "deposit", now_ns)
        self.driver = MarketDriver(self.exchange, self._flows(replay), now_ns)
        self.driver.paused = not self.options.is_market_live
        self.push = PushServer(self)

    def take_credentials(self, kept: Mapping[str, str]) -> None:
        """Go on with the key of an earlier start. Raises ValueError for an empty one."""
        if not (kept["key"] and kept["secret"]):
            raise ValueError("expected a key and a secret")
        self.credentials = Credentials(kept["key"], kept["secret"])
        self.auth.credentials = self.credentials

    @property
    def now_ms(self) -> int:
        return millis(self.exchange.now_ns)

    # -- what the shell calls --------------------------------------------------------------------

    def http(self, request: SimRequest) -> SimResponse:
        return answer(self, request)

    def open_session(
        self, path: str, query: str, send: Callable[[str], None], close: Callable[[], None]
    ) -> PushSession:
        return self.push.open(path, send, close)

    def advance(self, now_ns: int) -> None:
        self.driver.advance(now_ns)
        self.kill_switch.advance(self)
        self.push.publish(now_ns)

    def vary(self, rng: Random) -> dict[str, Any]:
        """Draw what the document leaves open, for seeded sessions; returns adapter options."""
        self.options = msgspec.structs.replace(
            self.options,
            settle_ms=rng.choice((0, 20, 500)),
            child_client_id=rng.choice(("parent", "none")),
            smart_get=rng.choice(("list", "object")),
            smart_events=rng.random() < 0.5,
            client_ids=rng.choice(("ever", "open")),
            error_status=rng.choice((200, 400)),
        )
        self.exchange.options = msgspec.structs.replace(
            self.exchange.options,
            settle_ns=self.options.settle_ms * 1_000_000,
            duplicate_client_ids=self.options.client_ids,
        )
        return {
            "order_transport": rng.choice(("rest", "websocket")),
            "trigger_crossed": rng.choice(("refuse", "limit")),
        }

    def describe(self, http_base: str, ws_base: str) -> Mapping[str, object]:
        """`rest`, `public_ws` and `private_ws` are what a client is configured with."""
        return {
            "venue": "poloniex",
            "rest": http_base,
            "public_ws": f"{ws_base}/ws/public",
            "private_ws": f"{ws_base}/ws/private",
            "credentials": {"key": self.credentials.key, "secret": self.credentials.secret},
            "markets": list(self.markets),
        }

    def control(self, body: Mapping[str, object]) -> object:
        """`/_sim/venue`: {"symbol","state"}, {"maintenance"}, {"post_only"}, {"revoked"},
        {"symbol","highest_bid","lowest_ask"}.

        Raises KeyError or ValueError.
        """
        modes = self.modes
        # Everything is understood before anything is set.
        maintenance = _switch(body.get("maintenance"))
        post_only = _switch(body.get("post_only"))
        limits = [Decimal(str(body.get(name, 0))) for name in ("highest_bid", "lowest_ask")]
        if "symbol" in body:
            symbol = self.markets[str(body["symbol"])].symbol
            if "state" in body:
                modes.set_state(symbol, str(body["state"]))
            if "highest_bid" in body or "lowest_ask" in body:
                modes.limits[symbol] = (limits[0], limits[1])
                modes.changed.add(symbol)
        if "maintenance" in body or "post_only" in body:
            modes.set_venue(maintenance=maintenance, post_only=post_only)
        if "revoked" in body:
            self.auth.revoked = bool(body["revoked"])
        return {
            "states": modes.states,
            "maintenance": modes.maintenance,
            "post_only": modes.post_only,
            "revoked": self.auth.revoked,
            "trade_requests": self.push.trade_requests,
        }

    def ledger_id(self, venue_order_id: str) -> int:
        """The ledger's number of an order, one for a stop (`smart-ID`) and its child."""
        number = int(venue_order_id.removeprefix("smart-"))
        child_of = number - CHILD_OFFSET
        return child_of if self.exchange.order(ACCOUNT, child_of) is not None else number

    # -- what the exchange tells -----------------------------------------------------------------

    def filled(self, fill: FillEntry) -> None:
        if fill.account == ACCOUNT:
            self.fills.append(fill)
            self.fills_of.setdefault(fill.order_id, []).append(fill)

    # -- the parts -------------------------------------------------------------------------------

    def _exchange(self, ids_from: int) -> Exchange:
        options = self.options
        fees = FeeSchedule.maker_taker(options.maker_rate, options.taker_rate)
        return Exchange(
            [market.spec(fees) for market in options.markets],
            ExchangeOptions(
                settle_ns=options.settle_ms * 1_000_000,
                first_order_id=FIRST_ORDER_ID + ids_from,
                first_trade_id=FIRST_TRADE_ID + ids_from,
                self_trade="expire_taker",
                duplicate_client_ids=options.client_ids,
                stop_hold="trigger",
                post_only_take="cancel" if options.post_only_cross == "event" else "refuse",
            ),
        )

    def _flows(self, replay: ReplaySource | None) -> list[MarketFlow]:
        options = self.options
        if replay is not None and options.replay_market not in self.markets:
            raise ValueError(f"replay market {options.replay_market} is not a market")
        fees = FeeSchedule()  # a flow needs the steps only
        flows: list[MarketFlow] = []
        for number_of, market in enumerate(options.markets):
            spec = market.spec(fees)
            if replay is not None and market.symbol == options.replay_market:
                flows.append(ReplayFlow(spec, replay, options.replay_at_end))
                continue
            rng = Random(f"{self.seed}/{number_of}/{market.symbol}")  # noqa: S311 - simulation
            quote_value = _QUOTE_VALUES.get(market.quote, 1.0)
            flow = msgspec.structs.replace(
                options.flow,
                level_funds=options.flow.level_funds / quote_value,
                trade_funds=options.flow.trade_funds / quote_value,
            )
            if market.symbol not in options.active_markets:
                flow = msgspec.structs.replace(
                    flow,
                    book_events_per_sec=QUIET_EVENTS_PER_SEC,
                    trades_per_sec=QUIET_EVENTS_PER_SEC / 10,
                )
            flows.append(SeededFlow(spec, market.start_price, rng, flow))
        return flows


def _switch(value: object) -> bool | None:
    return None if value is None else bool(value)


def create(
    *,
    now_ns: int,
    seed: int = 1,
    replay: ReplaySource | None = None,
    replay_market: str | None = None,
    ids_from: int = 0,
) -> PoloniexSimulator:
    """What `fairlead venue poloniex` serves."""
    options = PoloniexSimOptions()
    if replay_market is not None:
        options = msgspec.structs.replace(options, replay_market=replay_market)
    return PoloniexSimulator(
        now_ns=now_ns, seed=seed, replay=replay, options=options, ids_from=ids_from
    )
