"""What a gate would give the desk, for tests of what comes after a gate."""

from __future__ import annotations

from typing import Any

from fairlead.engine.orders.approved import Approved
from fairlead.engine.orders.model import Intent
from fairlead.engine.risk.approval import Approvals, Change


def approved(*intents: Intent) -> list[Approved]:
    """Let through, without a look."""
    return [Approved(intent) for intent in intents]


class ApproveAll(Approvals):
    """Of a run without a gate."""

    def has(self, order: Any) -> bool:
        return True

    def changes(self, client_order_id: str) -> Any:
        return _Every()


class _Every:
    def __contains__(self, change: Change) -> bool:
        return True
