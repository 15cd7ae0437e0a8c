"""One of NautilusTrader's own adapters, as the run's parts see an adapter of ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from nautilus_trader.live import LiveNodeConfig

from fairlead.adapters.base.venue import (
    AdapterContext,
    AdapterSpec,
    Credential,
    MarketData,
    PrivateProtocol,
    Renewal,
    StreamProtocol,
    VenueError,
    VenueErrorKind,
    VenueInstrument,
)
from fairlead.engine.orders.journal_reads import JournaledOrder
from fairlead.engine.orders.model import (
    CancelOutcome,
    Capabilities,
    Fee,
    FindResult,
    Intent,
    Kind,
    Lost,
    OrderRef,
    Outcome,
    Side,
    Tif,
    VenueBalance,
    VenueFill,
    VenueOrder,
    VenueOrders,
    VenueUnavailable,
)
from fairlead.engine.run.native.clients import Clients
from fairlead.engine.run.native.found import Builtin, find
from fairlead.engine.run.native.look import Seen, look
from fairlead.engine.run.native.options import options_of, secrets_of
from fairlead.engine.run.native.session import session

# NautilusTrader tells no table of what its adapters take: the adapter refuses what it lacks, and
# the strategy is told so. Trailing stops are left out: what is left of one after a restart can't be
# asked for. What the gate asks of a venue beyond that is in docs/nautilus-venues.md.
ABLE = Capabilities(
    kinds=frozenset(Kind) - {Kind.TRAILING_STOP_MARKET},
    time_in_force=frozenset(Tif),
    post_only=True,
    replace=True,
    client_order_ids=True,
    private_stream=True,
    reports_fills=True,
)
LOOKS_MAX = 3  # where what is seen does not agree, and orders could have moved it meanwhile
NATIVE = object()  # as `execution`: orders go through NautilusTrader's own client
NODE_ONLY = "NautilusTrader's own adapters are reached through a node of a run only"


class NativeSpec(AdapterSpec, frozen=True, kw_only=True):
    """A spec made of what the adapter's stub declares."""

    builtin: Builtin


def spec(name: str) -> NativeSpec:
    """Of one of `found.names()`. Raises KeyError for any other."""
    builtin = find(name)
    data = builtin.data
    needed = {one.name for one in data.arguments if one.is_required} if data is not None else set()
    return NativeSpec(
        name=name,
        options=options_of(builtin),
        credentials=tuple(
            Credential(one.name, required=one.name in needed) for one in secrets_of(builtin)
        ),
        capabilities=ABLE,
        create=_none,
        keyed_data=bool(needed),
        uses_keys=True,
        has_desk=False,
        builtin=builtin,
    )


def _none(context: AdapterContext) -> Any:
    raise VenueError(VenueErrorKind.REFUSED, f"{context.venue}-NODE", NODE_ONLY, is_sent=False)


class NativeAdapter:
    """Implements `fairlead.adapters.base.venue.Adapter`: instruments come of a short node, data and
    orders go through the clients that the run's node has."""

    clock_offset_ms: float | None = None  # NautilusTrader does not tell the venue's time

    def __init__(
        self,
        clients: Clients,
        config: Callable[[], LiveNodeConfig],
        instruments: Sequence[str],
        lost: Callable[[], Sequence[JournaledOrder]] = tuple,
        may_have_moved: Callable[[Seen], bool] = lambda _: False,
    ) -> None:
        """`lost` gives the orders that the account's journal does not know to be over;
        `may_have_moved` is whether another look may tell something else than this one."""
        self.name = clients.builtin.name
        self.venue = clients.venue
        self.clients = clients
        self.capabilities = ABLE
        self.instruments: Mapping[str, VenueInstrument] = {}
        self.market_data: MarketData = NoData()
        self.orders: VenueOrders = NoOrders()
        self.seen = Seen()  # of the account, where it trades
        self.config = config
        self.names = tuple(instruments)
        self._lost = lost
        self._may_have_moved = may_have_moved

    async def measure_clock(self) -> None:
        """Nobody to ask."""

    async def connect(self, *, trading: bool) -> None:
        """With a short node, and again where what it saw moved under it. A difference that stays
        is the account's to refuse. Raises VenueError."""
        for _ in range(LOOKS_MAX):
            await self._look(trading=trading)
            if not (trading and self._may_have_moved(self.seen)):
                return

    async def _look(self, *, trading: bool) -> None:
        async with session(self.clients, self.config, self.names, trading=trading) as looker:
            found = ((str(one), looker.cache.instrument(one)) for one in looker.wanted)
            self.instruments = {name: told(one) for name, one in found if one is not None}
            if trading:
                self.seen = await look(looker, self._lost(), self.clients.account_id)

    async def refresh_instruments(self) -> None:
        """They stay what they were at the start; NautilusTrader's client keeps its own fresh."""

    def private_stream(self) -> PrivateProtocol | None:
        return None

    def renewals(self) -> Sequence[Renewal]:
        return ()

    async def close(self) -> None:
        """The short node is gone already."""


class NoData:
    """Market data is the node's: nothing is asked beside it."""

    def public_stream(self) -> StreamProtocol:
        raise NotImplementedError(NODE_ONLY)

    async def history_trades(
        self, instrument: str, start_ns: int | None, end_ns: int | None, limit: int
    ) -> list[Any]:
        raise _refused()

    async def history_bars(
        self, bar_type: Any, start_ns: int | None, end_ns: int | None, limit: int
    ) -> list[Any]:
        raise _refused()

    async def book_snapshot(self, instrument: str, depth: int) -> Any:
        raise _refused()


class NoOrders:
    """Orders are the node's; a kill from another process can't send any of its own."""

    async def submit(self, intents: Sequence[Intent]) -> list[Outcome]:
        raise _away()

    async def cancel(self, refs: Sequence[OrderRef]) -> list[CancelOutcome]:
        raise _away()

    async def replace(self, ref: OrderRef, intent: Intent) -> Outcome:
        raise _away()

    async def find(
        self, intent: Intent, known: frozenset[str], ts_sent: int, slack_ns: int = 0
    ) -> FindResult:
        raise _away()

    async def find_all(self, lost: Sequence[Lost]) -> list[FindResult]:
        raise _away()

    async def orders(self, refs: Sequence[OrderRef]) -> list[VenueOrder]:
        raise _away()

    async def open_orders(self, instruments: Sequence[str]) -> list[VenueOrder]:
        raise _away()

    async def fills(self, refs: Sequence[OrderRef], ts_from: int) -> list[VenueFill]:
        raise _away()

    async def balances(self) -> list[VenueBalance]:
        raise _away()

    def fee(self, instrument: str, side: Side, quantity: Decimal, price: Decimal) -> Fee:
        """NautilusTrader tells the fee of each execution."""
        raise NotImplementedError(NODE_ONLY)


def told(instrument: Any) -> VenueInstrument:
    """NautilusTrader's instrument with what the run's parts ask of it."""
    least = instrument.min_quantity
    worth = instrument.min_notional
    base = getattr(instrument, "base_currency", None)
    return VenueInstrument(
        id=str(instrument.id),
        symbol=str(instrument.raw_symbol),
        base=str(instrument.id.symbol) if base is None else base.code,
        quote=instrument.quote_currency.code,
        nautilus=instrument,
        price_precision=instrument.price_precision,
        size_precision=instrument.size_precision,
        min_quantity=Decimal(0) if least is None else least.as_decimal(),
        min_notional=Decimal(0) if worth is None else worth.as_decimal(),
    )


def _refused() -> VenueError:
    return VenueError(VenueErrorKind.REFUSED, "NODE-ONLY", NODE_ONLY, is_sent=False)


def _away() -> VenueUnavailable:
    return VenueUnavailable("NODE-ONLY", NODE_ONLY)
