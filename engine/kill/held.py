"""A kill ends what the engine holds for a venue, in the journal: the venue knows nothing of it.

A run that lives finds it ended when it would release it; one that hangs can't release it any more.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from fairlead.engine.kill.sweep import SweptOrder
from fairlead.engine.orders.journal import Journal
from fairlead.engine.orders.model import OrderState

WHY = {"reason": "fairlead kill"}
NOT_SENT = "held by the engine, never sent"


def end_held(path: Path, covers: Callable[[str], bool], since_ns: int) -> list[SweptOrder]:
    """Cancel the held orders of the strategies that are covered. Raises JournalError.

    What a run that lives has cancelled itself since the kill (UNIX ns) is told with them.
    """
    with closing(Journal.reading(path)) as journal:
        held = [
            order.intent
            for order in journal.open_orders()
            if order.state is OrderState.HELD and covers(order.intent.strategy)
        ]
    ended = []
    if held:
        with closing(Journal(path, fsync=True, now_ns=time.time_ns)) as journal:
            ended = [one for one in held if journal.cancel_held(one.client_order_id, WHY)]
    ours = {one.client_order_id for one in ended}
    with closing(Journal.reading(path)) as journal:
        ended += [
            one
            for one in journal.held_cancelled_since(since_ns)
            if covers(one.strategy) and one.client_order_id not in ours
        ]
    return [
        SweptOrder(
            instrument=intent.instrument,
            venue_order_id="",
            client_order_id=intent.client_order_id,
            strategy=intent.strategy,
            state=OrderState.CANCELED,
            is_left=False,
            detail=NOT_SENT,
        )
        for intent in ended
    ]
