"""The simulated PiexGo, served by this process: a test asks it what it holds."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fairlead.adapters.piexgo.simulator import PiexgoSimOptions, PiexgoSimulator
from fairlead.adapters.simulation.server import serve
from fairlead.engine.cli.venue import write_credentials


@contextmanager
def simulated(folder: Path, options: PiexgoSimOptions | None = None) -> Iterator[dict[str, Any]]:
    """The line that `fairlead venue piexgo` would print, and the venue itself as `simulator`."""
    simulator = PiexgoSimulator(options, now_ns=time.time_ns(), seed=3)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    def call(work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result(60)

    served = call(serve(simulator, "127.0.0.1", 0))
    try:
        line = dict(served.describe())
        line["credentials"] = write_credentials(folder, line["credentials"])
        line["simulator"] = simulator
        yield line
    finally:
        call(served.stop())
        loop.call_soon_threadsafe(loop.stop)
        thread.join(60)
        loop.close()
