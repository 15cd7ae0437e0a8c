"""Whether what is being created is still wanted: asked once more, right before the wire.

Between the desk's last look and the first byte a request may wait for rate budget or for a
connection. The desk leaves its question in this context variable while it creates; rate limiter
and transport ask it when the waiting is over. Cancels and reads run without one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_question: ContextVar[Callable[[], str | None] | None] = ContextVar("permit", default=None)


@contextmanager
def asking(question: Callable[[], str | None]) -> Iterator[None]:
    """Within it every request of this task is sent only while `question` answers None."""
    token = _question.set(question)
    try:
        yield
    finally:
        _question.reset(token)


def refusal() -> str | None:
    """Why the current task may send nothing more, or None."""
    question = _question.get()
    return None if question is None else question()
