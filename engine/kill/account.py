"""What the kill switch needs of a venue account: in a run, and over a connection of its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Protocol

import msgspec

from fairlead.engine.orders.journal import Journal
from fairlead.engine.orders.model import Capabilities, VenueOrders

if TYPE_CHECKING:
    from fairlead.engine.config.loaded import LoadedConfig
    from fairlead.engine.orders.live import LiveOrder

# Best bid and ask of an instrument, read from the venue. Raises VenueUnavailable, and LookupError
# on an empty side.
Touch = Callable[[str], Awaitable[tuple[Decimal, Decimal]]]


class Market(msgspec.Struct, frozen=True, kw_only=True):
    """What is needed to close a position in one instrument. Base units, quote currency."""

    base: str
    quote: str
    step: Decimal
    min_quantity: Decimal
    min_notional: Decimal = Decimal(0)  # quote; 0 is no such minimum
    tick: Decimal
    is_cash: bool = True
    has_market_orders: bool = True


class Markets(msgspec.Struct, frozen=True):
    """The markets of one venue by instrument id, once it is connected."""

    by_name: Mapping[str, Market]
    touch: Touch


class Reached(Protocol):
    """One venue account of the config over a connection of its own, beside a run that may hang."""

    @property
    def orders(self) -> VenueOrders: ...

    @property
    def capabilities(self) -> Capabilities: ...
    def markets(self) -> Markets: ...

    async def connect(self) -> None:
        """Read the markets; orders can be cancelled before. Raises VenueUnavailable."""

    async def close(self) -> None: ...


# Makes the connection of a venue key, and asks nothing of the venue yet. Raises SecretError.
Reach = Callable[["LoadedConfig", str], Reached]


class TradedDesk(Protocol):
    """Who has the account's orders."""

    def live_orders(self) -> list[LiveOrder]: ...
    async def cancel(self, client_order_ids: Sequence[str]) -> None: ...
    def fail(self, error: BaseException) -> None: ...


class TradedAccount(Protocol):
    """One venue account that a run trades. `desk` is None until it is recovered."""

    @property
    def venue(self) -> str: ...
    @property
    def account(self) -> str: ...
    @property
    def journal(self) -> Journal: ...
    @property
    def desk(self) -> TradedDesk | None: ...
    @property
    def orders(self) -> VenueOrders: ...
    @property
    def can_flatten(self) -> bool:
        """Whether a kill closes its positions; where not, a person does, at the venue."""
        ...

    def look_at_kills(self) -> None:
        """Tell the run what a kill, of whichever process, has closed since. Never raises."""
