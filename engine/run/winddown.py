"""An ordered stop of a run that trades, in an order in which everybody hears the end of it.

NautilusTrader's own stop calls `on_stop` at once, waits a fixed time and disconnects: an order
whose answer comes later is filled for a strategy that has gone, and NautilusTrader calls it lost.
So its stop is the last step here. Before it:

1. strategies hear no market any more, what of their orders is no exit is withdrawn where it is
   not sent yet, and else cancelled (unless the config keeps it), and the outcome of each order is
   waited for;
2. `on_stop`, while the strategies still run, and what they promised to close is closed;
3. real accounts settle: the order desk cancels, and asks until it knows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from fairlead.engine.config.model import Run
from fairlead.engine.run.trading import TradingAccount

LOOK_SECS = 0.02
WAIT_SHARE = 0.5  # of the longest time that a stop may take: until outcomes are known
EXIT_SHARE = 0.75  # and until exits are sent and filled: that many of them had time of their own
AFTER_SECS = 1.0  # of that time: for NautilusTrader's own stop, beside what it waits itself
SENT_SECS = 1.0  # for what strategies send in on_stop: it may be there to rest for a moment
HEARD_SECS = 1.0  # for NautilusTrader to hear the last answers


async def wind_down(
    strategies: Sequence[Any],
    accounts: Sequence[TradingAccount],
    settings: Run,
    post_stop_secs: float,
) -> None:
    """Returns in `stop_timeout_secs` less what NautilusTrader's stop takes, whatever happens.

    That waits `post_stop_secs`: on paper, for what is on its way.
    """
    loop = asyncio.get_running_loop()
    began = loop.time()
    ours_secs = settings.stop_timeout_secs - AFTER_SECS - post_stop_secs
    heard_by = began + min(settings.stop_timeout_secs * WAIT_SHARE, ours_secs)
    latest = began + min(settings.stop_timeout_secs * EXIT_SHARE, ours_secs)
    for strategy in strategies:
        strategy._guard.brackets.stopping()
    downs = [strategy._guard.winddown for strategy in strategies]
    for down in downs:
        down.begin(cancels=settings.on_stop == "cancel")

    def is_settled() -> bool:
        unsent = [name for down in downs for name in down.unsent()]
        for account in accounts:
            account.withdraw(unsent)
        return _all(down.is_settled() for down in downs)

    await _until(is_settled, heard_by)
    for down in downs:
        down.end()
    await _until(lambda: _all(down.is_settled() for down in downs), heard_by)
    await _until(lambda: _all(down.look() for down in downs), latest)
    await _until(
        lambda: not any(down.has_sent() for down in downs), min(latest, loop.time() + SENT_SECS)
    )
    left = began + ours_secs - loop.time()
    await asyncio.gather(*(account.settle(max(left, 0.0)) for account in accounts))
    heard = min(loop.time() + HEARD_SECS, began + ours_secs)
    await _until(lambda: _all(down.is_settled() for down in downs), heard)


def _all(done: Iterable[bool]) -> bool:
    """Each is asked: asking does the next step."""
    return all(list(done))


async def _until(condition: Callable[[], bool], latest: float) -> None:
    loop = asyncio.get_running_loop()
    while not condition():
        if loop.time() >= latest:
            return
        await asyncio.sleep(LOOK_SECS)
