"""The Poloniex adapter: its capabilities, and one connected account."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from fairlead.adapters.base.listed import ListedAdapter
from fairlead.adapters.base.venue import (
    AdapterContext,
    AdapterSpec,
    Credential,
    MarketData,
    PrivateProtocol,
    Renewal,
    VenueError,
    VenueErrorKind,
)
from fairlead.adapters.poloniex import schemas as s
from fairlead.adapters.poloniex.config import PoloniexOptions
from fairlead.adapters.poloniex.errors import ERROR_CODES
from fairlead.adapters.poloniex.http import MS, PoloniexHttp
from fairlead.adapters.poloniex.instruments import venue_instruments
from fairlead.adapters.poloniex.market_data import PoloniexMarketData
from fairlead.adapters.poloniex.orders import PoloniexOrders
from fairlead.adapters.poloniex.parse import Names, account_balances
from fairlead.adapters.poloniex.private_websocket import PrivateStream, TradeRequests
from fairlead.adapters.poloniex.symbols import INTERVALS
from fairlead.adapters.poloniex.tracking import Tracker
from fairlead.adapters.poloniex.websocket import BOOK_DEPTHS
from fairlead.engine.orders.model import Capabilities, Kind, Tif, VenueOrders

logger = logging.getLogger(__name__)

NAME = "poloniex"
KILL_RENEWALS = 3  # renewals within one timeout of the dead man's switch

CAPABILITIES = Capabilities(
    kinds=frozenset({Kind.LIMIT, Kind.MARKET, Kind.STOP_LIMIT, Kind.LIMIT_IF_TOUCHED}),
    time_in_force=frozenset({Tif.GTC, Tif.IOC, Tif.FOK}),
    post_only=True,
    replace=True,
    client_order_ids=True,
    private_stream=True,
    reports_fills=True,
    batch_submit_max=20,
    batch_cancel_max=20,
    batch_query_max=20,
    book_depths=BOOK_DEPTHS,
    sequenced_books=True,
    bar_minutes=tuple(INTERVALS),
    max_order_lag_secs=5.0,
)


class PoloniexAdapter(ListedAdapter):
    """One account, connected. An `Adapter`."""

    name = NAME
    capabilities = CAPABILITIES
    http: PoloniexHttp

    def __init__(self, context: AdapterContext) -> None:
        options = context.options
        assert isinstance(options, PoloniexOptions), "options of this adapter"
        super().__init__(context, "POLONIEX")
        self.options = options
        self._secrets = context.secrets
        self._precisions: dict[str, int] = {}
        self._names = Names(venue=self.venue, size_precisions=self._precisions)
        self._tracker = Tracker()
        self._requests = TradeRequests(options.request_timeout_secs)
        self._fees: s.FeeInfo | None = None
        self._is_armed = False
        self.http = PoloniexHttp(
            options, context.http, context.secrets, context.now_ns, context.reads
        )
        self.market_data: MarketData = PoloniexMarketData(
            http=self.http,
            venue=self.venue,
            options=options,
            instruments=self.instruments,
            tracker=self._tracker,
            now_ns=context.now_ns,
        )
        self.orders: VenueOrders = PoloniexOrders(
            http=self.http,
            instruments=self.instruments,
            names=self._names,
            options=options,
            tracker=self._tracker,
            requests=self._requests,
            now_ns=context.now_ns,
        )

    async def connect(self, *, trading: bool) -> None:
        """Clock, key and account first when trading; then markets and fees. Raises VenueError."""
        if trading:
            await self.measure_clock()
            self._tracker.merge(account_balances(await self.http.balances()))
            accounts = await self.http.accounts()
            if not any(a.account_type == "SPOT" and a.account_state == "NORMAL" for a in accounts):
                raise VenueError(
                    VenueErrorKind.AUTH,
                    "POLONIEX-ACCOUNT",
                    "expected a SPOT account in state NORMAL",
                )
        if "key" in self._secrets and "secret" in self._secrets:
            self._fees = await self.http.fee_info()
        await self.refresh_instruments()
        if trading and self.options.dead_mans_switch_secs:
            await self._arm()

    async def refresh_instruments(self) -> None:
        """Read every market; the mapping is changed in place. Raises VenueError."""
        found = venue_instruments(await self.http.markets(), self.venue, self._fees)
        if not found:
            raise VenueError(
                VenueErrorKind.UNKNOWN, "POLONIEX-MARKETS", "expected markets, received none usable"
            )
        self._list(found)
        self._precisions.update({i.symbol: i.size_precision for i in found.values()})

    def private_stream(self) -> PrivateProtocol | None:
        """None without credentials."""
        key, secret = self._secrets.get("key"), self._secrets.get("secret")
        if key is None or secret is None:
            return None
        return PrivateStream(
            url=self.options.private_ws_url,
            key=key,
            secret=secret,
            timestamp_ms=lambda: self.http.clock.now_ns() // MS,
            names=self._names,
            tracker=self._tracker,
            requests=self._requests,
        )

    async def dead_mans_switch(self, timeout_secs: int) -> s.KillSwitch:
        """Arm or renew the venue's timer that cancels every order, smart ones too; -1 disarms.

        Seconds from 10 to 600. Raises VenueError.
        """
        return await self.http.kill_switch(timeout_secs)

    def renewals(self) -> Sequence[Renewal]:
        """The dead man's switch, where the options want one."""
        secs = self.options.dead_mans_switch_secs
        if not secs:
            return ()
        return (Renewal("the dead man's switch", secs / KILL_RENEWALS, self._arm),)

    async def _arm(self) -> None:
        await self.dead_mans_switch(self.options.dead_mans_switch_secs)
        self._is_armed = True

    async def close(self) -> None:
        """Disarm the switch: an ordered stop is not a death."""
        if not self._is_armed:
            return
        self._is_armed = False
        try:
            await self.dead_mans_switch(-1)
        except VenueError as error:
            logger.warning("the dead man's switch stays armed: %s", error)


def create(context: AdapterContext) -> PoloniexAdapter:
    return PoloniexAdapter(context)


SPEC = AdapterSpec(
    name=NAME,
    options=PoloniexOptions,
    credentials=(Credential("key"), Credential("secret")),
    capabilities=CAPABILITIES,
    create=create,
)

__all__ = ["CAPABILITIES", "ERROR_CODES", "SPEC", "PoloniexAdapter", "create"]
