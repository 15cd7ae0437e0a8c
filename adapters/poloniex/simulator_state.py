"""What the handlers of the simulated Poloniex work on: `PoloniexState`."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Unpack

import msgspec

from fairlead.adapters.poloniex.simulator_auth import ApiError, Authenticator, Credentials
from fairlead.adapters.poloniex.simulator_markets import PoloniexSimOptions, millis
from fairlead.adapters.simulation.exchange import Exchange, ExchangeOptions
from fairlead.adapters.simulation.market import SECOND_NS
from fairlead.adapters.simulation.orders import FeeSchedule
from fairlead.adapters.simulation.routes import RateWindows
from fairlead.adapters.simulation.shell import SimState, Start

ACCOUNT = "spot"
FIRST_ORDER_ID = 205_343_650_954_092_544  # beyond 2**53, as on the venue
FIRST_TRADE_ID = 60_000_000
STATES = ("NORMAL", "PAUSE", "POST_ONLY", "OFFLINE", "NEW")


class Modes:
    """Switches of the whole venue and of single markets, told on `symbols` and `exchange`."""

    def __init__(self, states: Mapping[str, str]) -> None:
        self.states = dict(states)
        self.maintenance = False
        self.post_only = False
        self.limits: dict[str, tuple[Decimal, Decimal]] = {}  # highest bid and lowest ask, 0: none
        self.changed: set[str] = set()  # symbols, or "" for the venue, not told yet

    def state(self, symbol: str) -> str:
        return self.states.get(symbol, "NORMAL")

    def set_state(self, symbol: str, state: str) -> None:
        """Raises ValueError for a state that the document does not have."""
        if state not in STATES:
            raise ValueError(f"state: expected one of {', '.join(STATES)}, received {state!r}")
        self.states[symbol] = state
        self.changed.add(symbol)

    def set_venue(self, *, maintenance: bool | None, post_only: bool | None) -> None:
        """None leaves a switch as it is."""
        if maintenance is not None:
            self.maintenance = maintenance
        if post_only is not None:
            self.post_only = post_only
        self.changed.add("")


class KillSwitch:
    """Cancels every order, smart ones too, unless it is armed again in time."""

    def __init__(self) -> None:
        self.started_ms = 0
        self.due_ms: int | None = None

    def arm(self, secs: int, now_ms: int) -> None:
        self.started_ms = now_ms
        self.due_ms = now_ms + secs * 1000

    def advance(self, exchange: Exchange) -> None:
        if self.due_ms is None or millis(exchange.now_ns) < self.due_ms:
            return
        self.due_ms = None
        for order in exchange.open_orders(ACCOUNT):
            exchange.cancel(ACCOUNT, order.id, exchange.now_ns, 0)

    def row(self) -> dict[str, int]:
        """Raises ApiError 25020 when none is armed."""
        if self.due_ms is None:
            raise ApiError(25020)
        return {"startTime": self.started_ms, "cancellationTime": self.due_ms}


class Transfer(msgspec.Struct, frozen=True):
    id: int
    currency: str
    amount: Decimal
    source: str  # SPOT or FUTURES
    target: str
    ts_created: int


class Withdrawal(msgspec.Struct, frozen=True):
    """`amount` has the fee in it."""

    id: int
    currency: str
    amount: Decimal
    address: str
    tag: str | None
    ts_created: int


class Wallet:
    """What left the spot account, and what is in the futures account."""

    def __init__(self) -> None:
        self.transfers: list[Transfer] = []
        self.withdrawals: list[Withdrawal] = []
        self.futures: dict[str, Decimal] = {}
        self.addresses: dict[str, int] = {}  # how many were made, by currency
        self._next_id = 7_397_526

    def next_id(self) -> int:
        self._next_id += 1
        return self._next_id


class PoloniexState(SimState[PoloniexSimOptions]):
    """The account's key and wallet, request counts, modes of the venue, and its kill switch."""

    def __init__(self, options: PoloniexSimOptions | None = None, **start: Unpack[Start]) -> None:
        options = options or PoloniexSimOptions()
        fees = FeeSchedule.maker_taker(options.maker_rate, options.taker_rate)
        matching = ExchangeOptions(
            first_order_id=FIRST_ORDER_ID,
            first_trade_id=FIRST_TRADE_ID,
            self_trade="expire_taker",
            duplicate_client_ids=options.client_ids,
            stop_hold="trigger",
            post_only_take="cancel" if options.post_only_cross == "event" else "refuse",
        )
        listed = [(market.spec(fees), market.start_price) for market in options.markets]
        super().__init__(options, ACCOUNT, listed, matching, **start)
        self.markets = {market.symbol: market for market in options.markets}
        self.modes = Modes(options.states)
        self.credentials = Credentials.of_seed(self.seed)
        self.auth = Authenticator(self.credentials, options.clock_tolerance_ms)
        self.limits = RateWindows(SECOND_NS)
        self.kill_switch = KillSwitch()
        self.wallet = Wallet()
        self.started_ms = self.now_ms

    @property
    def now_ms(self) -> int:
        return millis(self.exchange.now_ns)
