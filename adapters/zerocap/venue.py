"""Zerocap as an adapter: capabilities, connection checks, and the parts put together."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from decimal import Decimal

from fairlead.adapters.base.listed import ListedAdapter
from fairlead.adapters.base.venue import (
    AdapterContext,
    AdapterSpec,
    Credential,
    MarketData,
    OptionRefused,
    VenueError,
    VenueErrorKind,
)
from fairlead.adapters.zerocap import instruments as instruments_of
from fairlead.adapters.zerocap.config import ZerocapMarket, ZerocapOptions
from fairlead.adapters.zerocap.errors import CODE, ERROR_CODES
from fairlead.adapters.zerocap.http import SideText, ZerocapHttp
from fairlead.adapters.zerocap.ladder import tier_price
from fairlead.adapters.zerocap.market_data import ZerocapMarketData
from fairlead.adapters.zerocap.orders import BATCH_QUERY_MAX, ZerocapOrders
from fairlead.adapters.zerocap.signing import Signer
from fairlead.adapters.zerocap.websocket import AccountStream, Ladders
from fairlead.engine.orders.model import (
    Capabilities,
    Kind,
    Quoted,
    Side,
    Tif,
    TriggerSource,
    VenueOrders,
)
from fairlead.engine.secrets import Secret

logger = logging.getLogger(__name__)

__all__ = ["CAPABILITIES", "ERROR_CODES", "SPEC", "ZerocapAdapter"]

NAME = "zerocap"

CAPABILITIES = Capabilities(
    kinds=frozenset({Kind.LIMIT, Kind.MARKET}),
    time_in_force=frozenset({Tif.FOK}),
    client_order_ids=True,
    private_stream=True,
    reports_fills=True,
    batch_query_max=BATCH_QUERY_MAX,
    public_trades=False,
    held=frozenset(
        {Kind.STOP_LIMIT, Kind.LIMIT_IF_TOUCHED, Kind.STOP_MARKET, Kind.MARKET_IF_TOUCHED}
    ),
    trigger_sources=(TriggerSource.TIER, TriggerSource.TOUCH, TriggerSource.MID),
    tier_price=tier_price,
    public_fees=True,
)


class ZerocapAdapter(ListedAdapter):
    """One Zerocap account (`Adapter`)."""

    name = NAME
    capabilities = CAPABILITIES
    http: ZerocapHttp

    def __init__(self, context: AdapterContext) -> None:
        """Raises VenueError (AUTH) for credentials that can't be used."""
        super().__init__(context, CODE)
        options: ZerocapOptions = context.options
        self.ladders = Ladders()
        self._options = options
        key, secret = _credentials(context.secrets)

        def make_signer(now_ns: Callable[[], int]) -> Signer | None:
            if key is None or secret is None:
                return None
            return Signer(options.dialect, key, secret, now_ns)

        self.http = ZerocapHttp(
            options, context.http, make_signer, now_ns=context.now_ns, reads=context.reads
        )
        self.market_data: MarketData = ZerocapMarketData(
            options, self.instruments, self.ladders, self.http.signer
        )
        self.orders: VenueOrders = ZerocapOrders(
            self.http, options, self.venue, self.instruments, self.ladders
        )

    async def connect(self, *, trading: bool) -> None:
        """Load markets; for trading, prove key and, in dialect C, clock. Raises VenueError."""
        if trading and self._options.dialect == "C":
            await self.http.clock.prove(self._options.max_clock_offset_secs)
        if trading and (refused := refuses(self._options, self._now_ns())) is not None:
            raise VenueError(VenueErrorKind.REFUSED, refused.code, refused.text)
        await self.refresh_instruments()
        self._require_named()
        if trading and self._options.dialect == "A":
            await self.http.verify_key()

    async def refresh_instruments(self) -> None:
        """Read markets anew. Raises VenueError; then nothing changes."""
        found: dict[str, tuple[ZerocapMarket, bool]]
        skipped: dict[str, str] = {}
        if self._options.dialect == "A":
            found = {market.symbol: (market, True) for market in self._options.markets}
        else:
            rows = (await self.http.instruments()).instruments
            found, skipped = instruments_of.markets(rows, self._options.markets)
        if not found:
            text = "expected markets, received none"
            if self._options.dialect == "A":
                text = "dialect A tells no markets: name them in the option markets"
            raise VenueError(VenueErrorKind.UNKNOWN, f"{CODE}-NO-MARKETS", text)
        now_ns = self._now_ns()
        built = [
            instruments_of.instrument(market, is_tradable, self.venue, now_ns)
            for market, is_tradable in found.values()
        ]
        self._list({instrument.id: instrument for instrument in built}, skipped)

    async def request_quote(self, instrument: str, side: Side, quantity: Decimal) -> Quoted | None:
        """An indicative price of dialect C; None: dialect A has none, or it was not answered."""
        known = self.instruments.get(instrument)
        if known is None or self._options.dialect == "A":
            return None
        word: SideText = "buy" if side is Side.BUY else "sell"
        try:
            told = await self.http.request_for_quote(known.symbol, word, quantity)
        except VenueError as error:
            logger.warning("%s: no quote for %s %s: %s", CODE, quantity, instrument, error)
            return None
        return Quoted(instrument, side, quantity, told.price, told.rfq_id)

    async def measure_clock(self) -> None:
        """Dialect A has no clock to measure, and holds no time against us. Raises VenueError."""
        if self._options.dialect == "C":
            await super().measure_clock()

    def private_stream(self) -> AccountStream | None:
        if self.http.signer is None:
            return None
        return AccountStream(self._options, self.venue, self.http.signer)


def _credentials(secrets: Mapping[str, Secret]) -> tuple[Secret | None, Secret | None]:
    key, secret = secrets.get("api_key"), secrets.get("api_secret")
    if secrets and (key is None or secret is None):
        missing = "api_key" if key is None else "api_secret"
        text = f"expected credential {missing}, received none"
        raise VenueError(VenueErrorKind.AUTH, f"{CODE}-KEY", text)
    return key, secret


def refuses(options: ZerocapOptions, now_ns: int) -> OptionRefused | None:
    """What `fairlead check` and a start refuse alike: dialect A tells no balances."""
    if options.dialect != "A":
        return None
    if not options.balances or options.balances_at is None:
        text = "dialect A tells no balances: give the options balances and balances_at"
        return OptionRefused(f"{CODE}-NO-BALANCES", text)
    ahead_secs = options.balances_at.timestamp() - now_ns / 1e9
    if ahead_secs <= options.max_clock_offset_secs:
        return None
    text = (
        f"expected balances_at to be a time that has passed, received "
        f"{options.balances_at.isoformat()}, {ahead_secs:,.0f} s from now: what is "
        "executed until then would not count"
    )
    return OptionRefused(f"{CODE}-BALANCES-AHEAD", text, "balances_at")


SPEC = AdapterSpec(
    name=NAME,
    options=ZerocapOptions,
    credentials=(Credential("api_key"), Credential("api_secret")),
    capabilities=CAPABILITIES,
    create=ZerocapAdapter,
    keyed_data=True,
    refuses=refuses,
)
