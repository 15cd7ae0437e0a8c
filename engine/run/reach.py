"""A venue account without a run: for `fairlead kill` beside one that hangs, and for `resolve`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from decimal import Decimal
from typing import Literal

from fairlead.adapters import registry
from fairlead.adapters.base.plain_transport import PlainTransport
from fairlead.adapters.base.transport import HttpTransport
from fairlead.adapters.base.venue import (
    Adapter,
    AdapterContext,
    ParseError,
    VenueError,
    VenueErrorKind,
    VenueInstrument,
)
from fairlead.engine.config.loaded import LoadedConfig, account_files
from fairlead.engine.errors import Exit, FairleadError
from fairlead.engine.kill.account import Market, Markets, Reached, Touch
from fairlead.engine.orders.model import Capabilities, Kind, VenueOrders, VenueUnavailable
from fairlead.engine.run.native.found import PREFIX
from fairlead.engine.secrets import Secret, read_credentials


class PlainReach:
    """Implements `fairlead.engine.kill.account.Reached`; reads the keys that are not given.

    Raises SecretError.
    """

    def __init__(
        self, loaded: LoadedConfig, key: str, secrets: Mapping[str, Secret] | None = None
    ) -> None:
        venue = loaded.config.venues[key]
        secrets = secrets_of(loaded, key, secrets)
        self._account_type = venue.account_type
        self._transport = PlainTransport()
        self.adapter = adapter_of(loaded, key, secrets, self._transport)

    @property
    def orders(self) -> VenueOrders:
        return self.adapter.orders

    @property
    def capabilities(self) -> Capabilities:
        return self.adapter.capabilities

    def markets(self) -> Markets:
        return markets_of(self.adapter, self._account_type)

    async def connect(self) -> None:
        try:
            await self.adapter.connect(trading=False)
        except VenueError as error:
            is_auth = error.kind is VenueErrorKind.AUTH
            raise VenueUnavailable(error.code, error.told, is_auth=is_auth) from error

    async def close(self) -> None:
        await self._transport.close()


def reach(loaded: LoadedConfig, key: str, secrets: Mapping[str, Secret] | None = None) -> Reached:
    """The connection of a kill from another process. Raises SecretError."""
    if not loaded.config.venues[key].adapter.startswith(PREFIX):
        return PlainReach(loaded, key, secrets)
    from fairlead.engine.run.native.reach import NativeReach
    from fairlead.engine.run.native.venue import native_of

    native = native_of(loaded, key, secrets_of(loaded, key, secrets), "live")
    assert native is not None, "it is one of NautilusTrader's own"
    return NativeReach(native.clients, native.config, native.names, account_files(loaded, key))


def secrets_of(
    loaded: LoadedConfig, key: str, secrets: Mapping[str, Secret] | None
) -> Mapping[str, Secret]:
    """Those given, or read. Raises SecretError."""
    if secrets is not None:
        return secrets
    venue, wanted = loaded.config.venues[key], loaded.specs[key].credentials
    found, failed = read_credentials(venue.credentials, wanted, loaded.path.parent)
    for error in failed.values():
        raise error
    return found


def adapter_of(
    loaded: LoadedConfig, key: str, secrets: Mapping[str, Secret], http: HttpTransport
) -> Adapter:
    """Of the venue `key` of the config, not connected; raises FairleadError `NODE-ONLY`."""
    venue = loaded.config.venues[key]
    if venue.adapter.startswith(PREFIX):
        raise FairleadError(
            "NODE-ONLY",
            f"[venues.{key}] is NautilusTrader's own adapter, which only a run can ask; the next "
            "live start settles what its journal holds open",
            Exit.USAGE,
        )
    return registry.spec(venue.adapter).create(
        AdapterContext(
            venue=key.upper(),
            options=loaded.options[key],
            secrets=secrets,
            http=http,
            now_ns=time.time_ns,
            instruments=tuple(venue.instruments),
        )
    )


def markets_of(adapter: Adapter, account_type: Literal["cash", "margin"]) -> Markets:
    """What is needed to close positions at a venue that is connected."""
    markets = {
        name: _market(one, adapter.capabilities, account_type)
        for name, one in adapter.instruments.items()
    }
    return Markets(markets, _touch(adapter))


def _market(
    instrument: VenueInstrument, can: Capabilities, account_type: Literal["cash", "margin"]
) -> Market:
    return Market(
        base=instrument.base,
        quote=instrument.quote,
        step=instrument.nautilus.size_increment.as_decimal(),
        min_quantity=instrument.min_quantity,
        min_notional=instrument.min_notional,
        tick=instrument.nautilus.price_increment.as_decimal(),
        is_cash=account_type == "cash",
        has_market_orders=Kind.MARKET in can.kinds,
    )


def _touch(adapter: Adapter) -> Touch:
    """Best bid and ask, read from the venue."""

    async def touch(instrument: str) -> tuple[Decimal, Decimal]:
        try:
            snapshot = await adapter.market_data.book_snapshot(instrument, 5)
        except (VenueError, ParseError) as error:
            code = error.code if isinstance(error, VenueError) else "BOOK-UNREADABLE"
            raise VenueUnavailable(code, f"the book of {instrument}: {error}") from error
        sides: dict[str, list[Decimal]] = {"BUY": [], "SELL": []}
        for delta in snapshot.deltas:
            side = delta.order.side  # None of the CLEAR
            levels = None if side is None else sides.get(side.name)
            if levels is not None:
                levels.append(delta.order.price.as_decimal())
        if not sides["BUY"] or not sides["SELL"]:
            raise LookupError(f"the book of {instrument} has an empty side")
        return max(sides["BUY"]), min(sides["SELL"])

    return touch
