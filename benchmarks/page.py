"""What the page costs the engine: 20 instruments, 1,000 open orders, five who look.

In CPU time, which a busy machine does not change: of a build (four a second at most), of the
longest piece of it between two turns of the loop, and as a share of a core.

    python benchmarks/page.py
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from fairlead.engine.observe.page.snapshot import LEAST_SECS, Snapshot
from fairlead.engine.observe.page.stream import Hub, _Client
from fairlead.engine.status import BookState
from tests.unit.observe.test_page import Run, order

ORDERS, INSTRUMENTS, CLIENTS, BUILDS, CHANGES = 1_000, 20, 5, 40, 50
SHARE_MAX = 0.05  # of a core


class Socket:
    """Takes what it is sent."""

    def __init__(self) -> None:
        self.bytes = 0

    async def send_str(self, text: str) -> None:
        self.bytes += len(text.encode())


def run_of(folder: Path) -> Run:
    run = Run(folder)
    run.account.live = [order(f"order-{number}") for number in range(ORDERS)]
    for number in range(INSTRUMENTS):
        run.status.book(f"I{number}_USDT.TEST").state = BookState.VALID
    return run


class Pieces:
    """The longest time, CPU, that the loop was held between two of its turns."""

    def __init__(self) -> None:
        self.longest = 0.0
        self._last = time.process_time()

    async def watch(self) -> None:
        while True:
            await asyncio.sleep(0)
            now = time.process_time()
            self.longest, self._last = max(self.longest, now - self._last), now


async def measure(folder: Path) -> tuple[float, float, int]:
    """CPU seconds of a build with what it is sent, of the longest piece, bytes of a change."""
    run = run_of(folder)
    snapshot = Snapshot(run.sources, is_controlled=False)
    access: Any = None
    hub = Hub(snapshot, run.sources, access)
    sockets: list[Any] = [Socket() for _ in range(CLIENTS)]
    hub._clients = {_Client(one) for one in sockets}
    hub._tell_all(await snapshot.change())  # everything, once
    await asyncio.sleep(0)
    first = sockets[0].bytes
    spent = 0.0
    for number in range(BUILDS):
        for one in run.account.live[number * CHANGES % ORDERS :][:CHANGES]:
            one.filled += Decimal("0.001")
        snapshot.outdated()
        began = time.process_time()
        hub._tell_all(await snapshot.change())
        await asyncio.sleep(0)
        spent += time.process_time() - began
    pieces = Pieces()
    watching = asyncio.create_task(pieces.watch())
    for _ in range(BUILDS):
        snapshot.outdated()
        await snapshot.change()
    watching.cancel()
    return spent / BUILDS, pieces.longest, (sockets[0].bytes - first) // BUILDS


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        build, piece, size = asyncio.run(measure(Path(folder)))
    share = build / LEAST_SECS
    print(f"{ORDERS:,} orders, {INSTRUMENTS} books, {CHANGES} orders changed, {CLIENTS} who look")
    print(f"a build, and what it sends   {build * 1e3:.2f} ms of CPU, {size:,} bytes to each")
    print(f"the longest piece of it      {piece * 1e3:.2f} ms")
    print(f"of a core                    {share:.1%} (at most {SHARE_MAX:.0%})")
    return int(share > SHARE_MAX)


if __name__ == "__main__":
    sys.exit(main())
