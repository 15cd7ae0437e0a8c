"""PiexGo as an adapter: capabilities, connection checks, and the parts put together."""

from __future__ import annotations

import msgspec

from fairlead.adapters.base.listed import ListedAdapter, readable
from fairlead.adapters.base.venue import (
    AdapterContext,
    AdapterSpec,
    Credential,
    MarketData,
    VenueError,
    VenueErrorKind,
)
from fairlead.adapters.piexgo import instruments as instruments_of
from fairlead.adapters.piexgo.config import PiexgoOptions
from fairlead.adapters.piexgo.errors import ERROR_CODES
from fairlead.adapters.piexgo.http import MAX_CANCELS, PiexgoHttp
from fairlead.adapters.piexgo.market_data import PiexgoMarketData
from fairlead.adapters.piexgo.orders import BATCH_QUERY_MAX, KINDS, PiexgoOrders
from fairlead.adapters.piexgo.websocket import EarlyOrders, LastPrices, PrivateStream
from fairlead.engine.orders.model import Capabilities, Kind, Tif, TriggerSource, VenueOrders

__all__ = ["CAPABILITIES", "ERROR_CODES", "SPEC", "PiexgoAdapter"]

NAME = "piexgo"

# The engine holds what the venue has no order for, or would wait for the other way.
HELD = frozenset({Kind.LIMIT_IF_TOUCHED, Kind.STOP_MARKET, Kind.MARKET_IF_TOUCHED})
CAPABILITIES = Capabilities(
    kinds=KINDS,
    time_in_force=frozenset({Tif.GTC}),
    private_stream=True,
    order_fees=True,
    batch_cancel_max=MAX_CANCELS,
    batch_query_max=BATCH_QUERY_MAX,
    public_fees=True,
    held=HELD,
    trigger_sources=(TriggerSource.LAST, TriggerSource.TOUCH, TriggerSource.MID),
    hold_passed=True,
    lists_stops=False,
)


class PiexgoAdapter(ListedAdapter):
    """One PiexGo account (`Adapter`)."""

    name = NAME
    capabilities = CAPABILITIES
    http: PiexgoHttp

    def __init__(self, context: AdapterContext) -> None:
        """Raises VenueError (AUTH) for credentials that can't be used."""
        options: PiexgoOptions = context.options
        secrets = context.secrets
        if secrets and not {"key", "secret"} <= secrets.keys():
            missing = "key" if "key" not in secrets else "secret"
            raise VenueError(
                VenueErrorKind.AUTH, "PIEXGO-KEY", f"expected credential {missing}, received none"
            )
        super().__init__(context, "PIEXGO")
        self._options = options
        self.capabilities = msgspec.structs.replace(
            CAPABILITIES, lists_stops=options.lists_triggers
        )
        self._secrets = secrets
        self._early = EarlyOrders(int(options.early_order_secs * 1e9))
        prices = LastPrices()
        self.http = PiexgoHttp(options, context.http, secrets, context.now_ns, context.reads)
        self.market_data: MarketData = PiexgoMarketData(
            options, self.http, self.instruments, context.now_ns, prices
        )
        self.orders: VenueOrders = PiexgoOrders(
            options,
            self.http,
            context.venue,
            self.instruments,
            self._early,
            prices,
            context.now_ns,
        )

    async def connect(self, *, trading: bool) -> None:
        """Load markets and fees; for trading, prove clock and key. Raises VenueError."""
        await self.refresh_instruments()
        self._require_named()
        if trading:
            await self.measure_clock()
            await self.http.account()

    async def refresh_instruments(self) -> None:
        """Load markets and fees anew. Raises VenueError; then nothing changes."""
        rows = await self.http.symbols()
        now_ns = self._now_ns()
        found, skipped = readable(
            rows,
            lambda row: row.symbol[:40],
            lambda row: instruments_of.instrument(row, self.venue, now_ns),
        )
        if not found:
            raise VenueError(
                VenueErrorKind.UNKNOWN,
                "PIEXGO-NO-MARKETS",
                f"expected markets, received {len(rows)} that can't be used",
            )
        self._list(found, skipped)

    def private_stream(self) -> PrivateStream | None:
        """None without credentials."""
        if not self._secrets:
            return None
        key, secret = self._secrets["key"], self._secrets["secret"]
        return PrivateStream(self._options, self.venue, key, secret, self._early)


SPEC = AdapterSpec(
    name=NAME,
    options=PiexgoOptions,
    credentials=(Credential("key"), Credential("secret")),
    capabilities=CAPABILITIES,
    create=PiexgoAdapter,
)
