"""A simulated venue, served by a thread of the test process."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

from fairlead.adapters.simulation.server import Served, serve
from tests.support.patience import PATIENCE_SECS


class Serving:
    """The server, and how a test reaches its venue: `do`, since the venue is its thread's own."""

    def __init__(self, venue: Any, now_ns: Callable[[], int]) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.served: Served = self._call(serve(venue, "127.0.0.1", 0, now_ns=now_ns))

    def do[T](self, what: Callable[[], T]) -> T:
        async def done() -> T:
            return what()

        return self._call(done())

    def stop(self) -> None:
        self._call(self.served.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE_SECS)
        self._loop.close()

    def _call[T](self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE_SECS)


@contextmanager
def serving(venue: Any, now_ns: Callable[[], int] = time.time_ns) -> Iterator[Serving]:
    made = Serving(venue, now_ns)
    try:
        yield made
    finally:
        made.stop()
