"""The public names for a simulated venue of one's own: `from fairlead import simulators as sim`.

They are promised as those of `fairlead` are; see docs/new-venue.md.
"""

from fairlead.adapters.simulation.kit import (
    MS,
    KitCall,
    KitSimulator,
    balances,
    cancel,
    clock,
    create,
    fills,
    listed,
    look,
    texts,
)
from fairlead.adapters.simulation.orders import (
    FeeSchedule,
    FillEntry,
    MarketSpec,
    NewOrder,
    SimOrder,
    Trade,
)
from fairlead.adapters.simulation.routes import ApiError, Endpoint, Routes
from fairlead.adapters.simulation.shell import Start
from fairlead.adapters.simulation.venue import SimRequest
from fairlead.engine.orders.model import Side, Tif

__all__ = [
    "MS",
    "ApiError",
    "Endpoint",
    "FeeSchedule",
    "FillEntry",
    "KitCall",
    "KitSimulator",
    "MarketSpec",
    "NewOrder",
    "Routes",
    "Side",
    "SimOrder",
    "SimRequest",
    "Start",
    "Tif",
    "Trade",
    "balances",
    "cancel",
    "clock",
    "create",
    "fills",
    "listed",
    "look",
    "texts",
]
