"""OceanEx as an adapter: capabilities, connection checks, and the parts put together."""

from __future__ import annotations

from collections.abc import Callable, Mapping

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
from fairlead.adapters.oceanex import instruments as instruments_of
from fairlead.adapters.oceanex.config import OceanexOptions
from fairlead.adapters.oceanex.errors import ERROR_CODES
from fairlead.adapters.oceanex.http import OceanexHttp
from fairlead.adapters.oceanex.market_data import OceanexMarketData
from fairlead.adapters.oceanex.orders import (
    BATCH_CANCEL_MAX,
    BATCH_QUERY_MAX,
    BATCH_SUBMIT_MAX,
    OceanexOrders,
)
from fairlead.adapters.oceanex.schemas import ApiKey
from fairlead.adapters.oceanex.signing import Signer, load_key
from fairlead.engine.orders.model import Capabilities, Kind, Tif, VenueOrders
from fairlead.engine.secrets import Secret

__all__ = ["CAPABILITIES", "ERROR_CODES", "SPEC", "OceanexAdapter"]

NAME = "oceanex"
TRADING_SCOPE = "sell/buy"
_KEY_ENABLED = "1"

CAPABILITIES = Capabilities(
    kinds=frozenset({Kind.LIMIT, Kind.MARKET, Kind.STOP_LIMIT, Kind.LIMIT_IF_TOUCHED}),
    time_in_force=frozenset({Tif.GTC}),
    batch_submit_max=BATCH_SUBMIT_MAX,
    batch_cancel_max=BATCH_CANCEL_MAX,
    batch_query_max=BATCH_QUERY_MAX,
    public_fees=True,
    lists_stops=False,
)


class OceanexAdapter(ListedAdapter):
    """One OceanEx account (`Adapter`)."""

    name = NAME
    capabilities = CAPABILITIES
    http: OceanexHttp

    def __init__(self, context: AdapterContext) -> None:
        """Raises VenueError (AUTH) for credentials that can't be used."""
        super().__init__(context, "OCEANEX")
        options: OceanexOptions = context.options
        self._options = options
        self.capabilities = msgspec.structs.replace(
            CAPABILITIES, lists_stops=options.lists_triggers
        )
        signer = _signer(context.secrets, lambda: self.http.clock.earliest_ns(), options)
        self.http = OceanexHttp(
            options, context.http, signer, now_ns=context.now_ns, reads=context.reads
        )
        self.market_data: MarketData = OceanexMarketData(
            options, self.http, self.instruments, self._now_ns
        )
        self.orders: VenueOrders = OceanexOrders(
            self.http, self.instruments, lists_triggers=options.lists_triggers
        )

    async def connect(self, *, trading: bool) -> None:
        """Load markets and fees; for trading, prove clock, key and scope. Raises VenueError."""
        await self.refresh_instruments()
        self._require_named()
        if trading:
            await self.http.clock.prove(self._options.max_clock_offset_secs)
            _check_key(await self.http.key())

    async def refresh_instruments(self) -> None:
        """Load markets and fees anew. Raises VenueError; then nothing changes."""
        markets = await self.http.markets()
        fees = await self.http.trading_fees()
        now_ns = self._now_ns()
        found, skipped = readable(
            markets,
            lambda row: row.id,
            lambda row: instruments_of.instrument(row, fees, self.venue, now_ns),
        )
        if not found:
            raise VenueError(
                VenueErrorKind.UNKNOWN,
                "OCEANEX-NO-MARKETS",
                f"expected markets with details, received {len(markets)} without",
            )
        self._list(found, skipped)


def _signer(
    secrets: Mapping[str, Secret], now_ns: Callable[[], int], options: OceanexOptions
) -> Signer | None:
    """The signer, or None where no credentials were given: market data needs none."""
    if not secrets:
        return None
    uid, pem, key_id = secrets.get("uid"), secrets.get("private_key"), secrets.get("key_id")
    if uid is None or pem is None:
        missing = "uid" if uid is None else "private_key"
        raise VenueError(
            VenueErrorKind.AUTH, "OCEANEX-KEY", f"expected credential {missing}, received none"
        )
    return Signer(
        uid.reveal(),
        None if key_id is None else key_id.reveal(),
        load_key(pem),
        now_ns,
        options.jwt_ttl_secs,
    )


def _check_key(keys: list[ApiKey]) -> None:
    """Raises VenueError (AUTH) unless an enabled key may trade (section 2)."""
    enabled = [key for key in keys if key.state == _KEY_ENABLED]
    if any(TRADING_SCOPE in key.scopes for key in enabled):
        return
    if keys and not enabled:
        detail = "the key is disabled"
    else:
        scopes = sorted({scope for key in enabled for scope in key.scopes})
        detail = f"expected scope {TRADING_SCOPE}, received {', '.join(scopes) or 'none'}"
    raise VenueError(VenueErrorKind.AUTH, "OCEANEX-SCOPE", detail)


SPEC = AdapterSpec(
    name=NAME,
    options=OceanexOptions,
    credentials=(
        Credential("uid"),
        Credential("key_id", required=False),
        Credential("private_key", kind="pem"),
    ),
    capabilities=CAPABILITIES,
    create=OceanexAdapter,
)
