"""A simulated OceanEx: REST v1, push websocket and query websocket over the simulated exchange.

Source: the venue document, sections 1 to 7. Serve it with `adapters.simulation.server.serve`, or
in memory with `adapters.simulation.memory`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from random import Random
from typing import Any

import msgspec

from adapters.oceanex.simulator_auth import (
    Authenticator,
    generated_key_pair,
    public_half,
)
from adapters.oceanex.simulator_markets import OceanexSimOptions
from adapters.oceanex.simulator_push import PushServer
from adapters.oceanex.simulator_query import PATH as QUERY_PATH
from adapters.oceanex.simulator_query import QueryServer
from adapters.oceanex.simulator_routes import answer
from adapters.oceanex.simulator_trading import ACCOUNT
from adapters.oceanex.simulator_wallet import Deposit, Wallet
from adapters.simulation.exchange import Exchange, ExchangeOptions
from adapters.simulation.faults import Faults
from adapters.simulation.market import MarketDriver, MarketFlow, SeededFlow
from adapters.simulation.replay import ReplayFlow, ReplaySource
from adapters.simulation.routes import RateWindows
from adapters.simulation.tape import MINUTE_NS
from adapters.simulation.venue import SimRequest, SimResponse, SimSession

__all__ = ["OceanexSimOptions", "OceanexSimulator", "create"]

BASE_PATH = "/v1"
FIRST_ORDER_ID = 5_862_630_855  # beyond 32 bits, as on the venue
FIRST_TRADE_ID = 6_220_247_666
NOT_FOUND = SimResponse(
    status=404, body=b"<html><h1>Not Found</h1></html>", headers={"content-type": "text/html"}
)


class PlannedError(msgspec.Struct, frozen=True):
    """An error that the venue answers once, whatever it did."""

    method: str
    path: str  # under the base path
    code: int
    message: str
    is_executed: bool


class OceanexSimulator:
    """A `SimulatedVenue`. The same seed and options give the same market."""

    def __init__(
        self,
        *,
        now_ns: int,
        seed: int = 1,
        public_key_pem: str | None = None,
        replay: ReplaySource | None = None,
        options: OceanexSimOptions | None = None,
        ids_from: int = 0,
    ) -> None:
        """`public_key_pem` None makes a test key pair, whose private half `describe` tells.

        The numbers of orders and trades begin `ids_from` later than the usual ones.

        Raises ValueError for an empty recording or a `replay_market` that does not exist.
        """
        self.options = options or OceanexSimOptions()
        self.seed = seed
        self.markets = {market.id: market for market in self.options.markets}
        self.private_key_pem: str | None = None
        if public_key_pem is None:
            self.private_key_pem, public_key_pem = generated_key_pair()
        self.auth = Authenticator(self.options, public_key_pem)
        self.limits = RateWindows(MINUTE_NS)
        self.wallet = Wallet()
        self.faults = Faults(seed)
        self.exchange = Exchange(
            [market.spec for market in self.options.markets],
            ExchangeOptions(
                settle_ns=self.options.settle_ms * 1_000_000,
                first_order_id=FIRST_ORDER_ID + ids_from,
                first_trade_id=FIRST_TRADE_ID + ids_from,
            ),
        )
        self._fund(now_ns)
        self.driver = MarketDriver(self.exchange, self._flows(replay), now_ns)
        self.driver.paused = not self.options.is_market_live
        self.push = PushServer(self)
        self.query = QueryServer(self)
        self._planned: list[PlannedError] = []

    def fail_next(
        self, method: str, path: str, code: int, message: str, *, is_executed: bool = False
    ) -> None:
        """Answer the next such request with an error: -1 and its kin prove nothing of the rest."""
        self._planned.append(PlannedError(method, path, code, message, is_executed))

    def take_planned_error(self, method: str, path: str) -> PlannedError | None:
        for planned in self._planned:
            if (planned.method, planned.path) == (method, path):
                self._planned.remove(planned)
                return planned
        return None

    def http(self, request: SimRequest) -> SimResponse:
        if not request.path.startswith(f"{BASE_PATH}/"):
            return NOT_FOUND
        return answer(self, request, request.path.removeprefix(BASE_PATH).replace("//", "/"))

    def open_session(
        self, path: str, query: str, send: Callable[[str], None], close: Callable[[], None]
    ) -> SimSession:
        if path == QUERY_PATH:
            return self.query.open(send, close)
        return self.push.open(path, query, send, close)

    def advance(self, now_ns: int) -> None:
        self.driver.advance(now_ns)
        self.wallet.advance(self, now_ns)
        self.push.publish(now_ns)
        self.query.advance(now_ns)

    def vary(self, rng: Random) -> dict[str, Any]:
        """Draw what the document leaves open, for seeded sessions.

        Returns adapter options that fit it: `lists_triggers` only where stops that wait are listed.
        """
        is_hiding = rng.random() < 0.5
        self.options = msgspec.structs.replace(
            self.options,
            filter_hides_waiting=is_hiding,
            create_reply=rng.choice(("entry", "matched")),
            settle_ms=rng.choice((0, 150, 1500)),
            post_status=rng.choice((200, 201)),
        )
        settle_ns = self.options.settle_ms * 1_000_000
        self.exchange.options = msgspec.structs.replace(self.exchange.options, settle_ns=settle_ns)
        adapter_options = {
            "lists_triggers": rng.random() < 0.5 and not is_hiding,
            "orders_get_jwt": rng.choice(("body", "query")),
            "jwt_ttl_secs": rng.choice((None, 60)),
        }
        self.options = msgspec.structs.replace(
            self.options, funds_error=rng.choice(("plain", "wrapped"))
        )
        return adapter_options

    def describe(self, http_base: str, ws_base: str) -> Mapping[str, object]:
        """`rest` and `ws` are what a client is configured with; `ws_url` is the whole address."""
        key = self.options.app_key
        return {
            "venue": "oceanex",
            "rest": f"{http_base}{BASE_PATH}",
            "ws": ws_base,
            "ws_url": f"{ws_base}/app/{key}?protocol=7&version=4.3.1&flash=false&client=js",
            "query_ws_url": f"{ws_base}{QUERY_PATH}",
            "app_key": key,
            "uid": self.options.uid,
            "key_id": self.options.key_id,
            "private_key": self.private_key_pem,
            "credentials": self._credentials(),
            "markets": list(self.markets),
        }

    def take_credentials(self, kept: Mapping[str, str]) -> None:
        """Go on with the key of an earlier start. Raises ValueError for one that is no such key."""
        if (kept["uid"], kept["key_id"]) != (self.options.uid, self.options.key_id):
            raise ValueError("uid and key_id are another account's")
        self.private_key_pem = kept["private_key"]
        self.auth = Authenticator(self.options, public_half(self.private_key_pem))

    def _credentials(self) -> dict[str, str]:
        """By the adapter's credential names; no private key where the caller gave the public."""
        found = {"uid": self.options.uid, "key_id": self.options.key_id}
        if self.private_key_pem is not None:
            found["private_key"] = self.private_key_pem
        return found

    def _fund(self, now_ns: int) -> None:
        self.exchange.open_account(ACCOUNT)
        for currency, amount in self.options.balances.items():
            self.exchange.adjust(ACCOUNT, currency, amount, Decimal(0), "deposit", now_ns)
            self.wallet.deposits.append(
                Deposit(
                    id=self.wallet.next_id(), currency=currency, amount=amount, ts_created=now_ns
                )
            )

    def _flows(self, replay: ReplaySource | None) -> list[MarketFlow]:
        options = self.options
        if replay is not None and options.replay_market not in self.markets:
            raise ValueError(f"replay market {options.replay_market} is not a market")
        flows: list[MarketFlow] = []
        for number, market in enumerate(options.markets):
            spec = market.spec
            if replay is not None and market.id == options.replay_market:
                flows.append(ReplayFlow(spec, replay, options.replay_at_end))
                continue
            rng = Random(f"{self.seed}/{number}/{market.id}")  # noqa: S311 - simulation
            flow_options = options.flow
            quote_price = _QUOTE_VALUES.get(market.quote, 1.0)
            flow_options = msgspec.structs.replace(
                flow_options,
                level_funds=flow_options.level_funds / quote_price,
                trade_funds=flow_options.trade_funds / quote_price,
            )
            if market.id not in options.active_markets:
                flow_options = msgspec.structs.replace(
                    flow_options,
                    book_events_per_sec=QUIET_EVENTS_PER_SEC,
                    trades_per_sec=QUIET_EVENTS_PER_SEC / 10,
                )
            flows.append(SeededFlow(spec, market.start_price, rng, flow_options))
        return flows


def create(
    *,
    now_ns: int,
    seed: int = 1,
    replay: ReplaySource | None = None,
    replay_market: str | None = None,
    ids_from: int = 0,
) -> OceanexSimulator:
    """What `fairlead venue oceanex` serves."""
    options = OceanexSimOptions()
    if replay_market is not None:
        options = msgspec.structs.replace(options, replay_market=replay_market)
    return OceanexSimulator(
        now_ns=now_ns, seed=seed, replay=replay, options=options, ids_from=ids_from
    )


QUIET_EVENTS_PER_SEC = 0.5
_QUOTE_VALUES = {"BTC": 60_000.0, "ETH": 3_000.0, "VET": 0.025}  # in USDT, to size other markets
