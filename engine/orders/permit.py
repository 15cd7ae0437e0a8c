"""Whether what is being created is still wanted: asked once more, right before the wire.

Between the desk's last look and the first byte a request may wait for rate budget or for a
connection. The desk leaves its question in this context variable while it creates; rate limiter
and transport ask it when the waiting is over, and the limiter stops waiting once the desk has
withdrawn what it creates. Cancels and reads run without one: a task begun, or a signal handled,
while one is asked has it in its context, so that whatever outlives the submission is begun `apart`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any


class Permit:
    """What one submission may still do. `withdrawn` is set when its question is worth asking anew.

    `is_held`: the rate limiter has it, and has let no request of it out. Such a submission was
    provably not sent, whatever becomes of the task that waits.
    """

    __slots__ = ("_is_out", "is_held", "question", "withdrawn")

    def __init__(self, question: Callable[[], str | None], withdrawn: asyncio.Event | None) -> None:
        self.question = question
        self.withdrawn = withdrawn
        self.is_held = False
        self._is_out = False

    def hold(self) -> None:
        self.is_held = not self._is_out

    def let_out(self) -> None:
        self._is_out, self.is_held = True, False


_permit: ContextVar[Permit | None] = ContextVar("permit", default=None)


@contextmanager
def asking(
    question: Callable[[], str | None], withdrawn: asyncio.Event | None = None
) -> Iterator[Permit]:
    """Within it every request of this task is sent only while `question` answers None."""
    permit = Permit(question, withdrawn)
    token = _permit.set(permit)
    try:
        yield permit
    finally:
        _permit.reset(token)


@contextmanager
def apart() -> Iterator[None]:
    """Within it nothing is asked, whoever called, nor in tasks that are begun in it."""
    token = _permit.set(None)
    try:
        yield
    finally:
        _permit.reset(token)


def begun[T](coroutine: Coroutine[Any, Any, T], name: str | None = None) -> asyncio.Task[T]:
    """A task that is no part of the submission, if any, in which it is begun."""
    with apart():
        return asyncio.get_running_loop().create_task(coroutine, name=name)


def current() -> Permit | None:
    """The permit of the current task's submission, if it makes one."""
    return _permit.get()


def refusal() -> str | None:
    """Why the current task may send nothing more, or None."""
    permit = _permit.get()
    return None if permit is None else permit.question()


async def pause(secs: float) -> None:
    """Sleep, or until the current task's submission is withdrawn."""
    permit = _permit.get()
    withdrawn = None if permit is None else permit.withdrawn
    if withdrawn is None or withdrawn.is_set():
        await asyncio.sleep(secs)
        return
    try:
        async with asyncio.timeout(secs):
            await withdrawn.wait()
    except TimeoutError:
        return
