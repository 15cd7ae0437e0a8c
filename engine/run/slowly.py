"""What a run does after its stop, said to a person who waits for its end.

`run.stop_timeout_secs` is the time of the stop: of orders and streams. Then come the files: the
last rows of a recording, which another process brings into the catalog, and what the run is kept
in. On a busy machine that takes seconds in which nothing would be told.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from fairlead.engine.processes import say

TOLD_SECS = 3.0  # what is quicker nobody wonders about


@contextmanager
def said_if_slow(what: str, after_secs: float | None = None) -> Iterator[None]:
    """Tell that the run has stopped and does `what` still, once, if that takes so long.

    `after_secs` is `TOLD_SECS` where it is not given.
    """
    text = f"the run has stopped, and sends nothing any more; {what} ..."
    timer = threading.Timer(TOLD_SECS if after_secs is None else after_secs, say, (text,))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
