"""What stands between a strategy and its orders, and the words that a strategy says it in."""

from engine.guard.hooks import OwnOrder
from engine.guard.strategy import GuardedStrategy
from engine.orders.model import Kind, Role, Tif, TriggerCondition
from engine.risk.checks import Denial
from engine.risk.facts import Declared

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
