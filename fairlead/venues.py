"""The public names for an adapter of one's own: `from fairlead import venues as fl`.

They are promised as those of `fairlead` are. What each is, its docstring says; docs/new-venue.md
builds a venue with them, and `fairlead conformance NAME` shows whether it keeps its contract.
"""

from fairlead.adapters.base.decode import Answer
from fairlead.adapters.base.kit import JsonHttp, KitAdapter, KitOptions, KitOrders
from fairlead.adapters.base.kit_rows import (
    MS,
    FillRow,
    MarketRow,
    OrderRow,
    Row,
    decoders,
    ns_of,
)
from fairlead.adapters.base.kit_stream import (
    BookNews,
    KitMarketData,
    KitStream,
    News,
    TradeNews,
)
from fairlead.adapters.base.ratelimit import Rate
from fairlead.adapters.base.snapshot_channel import SnapshotChannel
from fairlead.adapters.base.spot import FeeTable, spot_instrument
from fairlead.adapters.base.venue import (
    AdapterContext,
    AdapterSpec,
    Credential,
    Feed,
    FeedKind,
    ParseError,
    Send,
    VenueError,
    VenueErrorKind,
    VenueInstrument,
)
from fairlead.engine.orders.model import (
    Capabilities,
    Intent,
    Kind,
    OrderRef,
    OrderState,
    Side,
    Tif,
    TriggerSource,
    VenueBalance,
    VenueFill,
    VenueOrder,
)

__all__ = [
    "MS",
    "AdapterContext",
    "AdapterSpec",
    "Answer",
    "BookNews",
    "Capabilities",
    "Credential",
    "FeeTable",
    "Feed",
    "FeedKind",
    "FillRow",
    "Intent",
    "JsonHttp",
    "Kind",
    "KitAdapter",
    "KitMarketData",
    "KitOptions",
    "KitOrders",
    "KitStream",
    "MarketRow",
    "News",
    "OrderRef",
    "OrderRow",
    "OrderState",
    "ParseError",
    "Rate",
    "Row",
    "Send",
    "Side",
    "SnapshotChannel",
    "Tif",
    "TradeNews",
    "TriggerSource",
    "VenueBalance",
    "VenueError",
    "VenueErrorKind",
    "VenueFill",
    "VenueInstrument",
    "VenueOrder",
    "decoders",
    "ns_of",
    "spot_instrument",
]
