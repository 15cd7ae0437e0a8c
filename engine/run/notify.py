"""What the service manager that started this process is told (sd_notify(3)): one datagram.

Nothing is sent where nobody asks for it, and a manager that does not listen delays nothing.
"""

from __future__ import annotations

import contextlib
import os
import socket

READY, STOPPING, ALIVE = "READY=1", "STOPPING=1", "WATCHDOG=1"


def notify(state: str) -> None:
    """Never raises, never waits. May be called from any thread."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC
    with contextlib.suppress(OSError, ValueError), socket.socket(socket.AF_UNIX, kind) as there:
        there.setblocking(False)
        there.connect(f"\0{address[1:]}" if address.startswith("@") else address)
        there.send(state.encode())


def alive_secs() -> float | None:
    """How often ALIVE is to be sent: twice within what the manager waits; None: it waits not."""
    try:
        wanted = int(os.environ.get("WATCHDOG_USEC", ""))
        mine = int(os.environ.get("WATCHDOG_PID", str(os.getpid()))) == os.getpid()
    except ValueError:
        return None
    return wanted / 2e6 if mine and wanted > 0 else None
