"""What stands between a strategy and its orders, and the words that a strategy says it in."""

from fairlead.engine.guard.hooks import OwnOrder
from fairlead.engine.guard.strategy import GuardedStrategy
from fairlead.engine.orders.model import Kind, Role, Tif, TriggerCondition
from fairlead.engine.risk.checks import Denial
from fairlead.engine.risk.facts import Declared

__all__ = [
    "Declared",
    "Denial",
    "GuardedStrategy",
    "Kind",
    "OwnOrder",
    "Role",
    "Tif",
    "TriggerCondition",
]
