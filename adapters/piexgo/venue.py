"""PiexGo as an adapter: capabilities, connection checks, and the parts put together."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

from fairlead.adapters.base.venue import (
    AdapterContext,
    AdapterSpec,
    Credential,
    MarketData,
    ParseError,
    Renewal,
    VenueError,
    VenueErrorKind,
    VenueInstrument,
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
)


class PiexgoAdapter:
    """One PiexGo account (`Adapter`)."""

    name = NAME
    capabilities = CAPABILITIES

    def __init__(self, context: AdapterContext) -> None:
        """Raises VenueError (AUTH) for credentials that can't be used."""
        options: PiexgoOptions = context.options
        secrets = context.secrets
        if secrets and not {"key", "secret"} <= secrets.keys():
            missing = "key" if "key" not in secrets else "secret"
            raise VenueError(
                VenueErrorKind.AUTH, "PIEXGO-KEY", f"expected credential {missing}, received none"
            )
        self.venue = context.venue
        self._options = options
        self._secrets = secrets
        self._found: dict[str, VenueInstrument] = {}
        self.instruments: Mapping[str, VenueInstrument] = self._found
        self.skipped: dict[str, str] = {}  # symbol -> why it can't be traded here
        self._named = context.instruments
        self._now_ns = context.now_ns
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
        for named in self._named:
            if named not in self.instruments:
                near = difflib.get_close_matches(named, self.instruments, 1)
                hint = f"; did you mean {near[0]}?" if near else ""
                raise VenueError(
                    VenueErrorKind.REFUSED,
                    "PIEXGO-UNKNOWN-MARKET",
                    f"no market {named[:60]}{hint}",
                )
        if trading:
            await self.measure_clock()
            await self.http.account()

    async def refresh_instruments(self) -> None:
        """Load markets and fees anew. Raises VenueError; then nothing changes."""
        rows = await self.http.symbols()
        now_ns = self._now_ns()
        found: dict[str, VenueInstrument] = {}
        skipped: dict[str, str] = {}
        for row in rows:
            try:
                built = instruments_of.instrument(row, self.venue, now_ns)
            except ParseError as e:
                skipped[row.symbol[:40]] = str(e)
                continue
            found[built.id] = built
        if not found:
            raise VenueError(
                VenueErrorKind.UNKNOWN,
                "PIEXGO-NO-MARKETS",
                f"expected markets, received {len(rows)} that can't be used",
            )
        self._found.clear()
        self._found.update(found)
        self.skipped = skipped

    async def measure_clock(self) -> None:
        """Raises VenueError."""
        await self.http.clock.measure()

    @property
    def clock_offset_ms(self) -> float | None:
        return self.http.clock.offset_ms

    def private_stream(self) -> PrivateStream | None:
        """None without credentials."""
        if not self._secrets:
            return None
        key, secret = self._secrets["key"], self._secrets["secret"]
        return PrivateStream(self._options, self.venue, key, secret, self._early)

    def renewals(self) -> Sequence[Renewal]:
        return ()

    async def close(self) -> None:
        """Nothing is left at the venue."""


SPEC = AdapterSpec(
    name=NAME,
    options=PiexgoOptions,
    credentials=(Credential("key"), Credential("secret")),
    capabilities=CAPABILITIES,
    create=PiexgoAdapter,
)
