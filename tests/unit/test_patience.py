"""What a test waits for and never comes fails it, and hangs nothing."""

from __future__ import annotations

import asyncio

import pytest

from tests.support import patience
from tests.support.patience import over


async def test_a_task_that_does_not_end_fails_its_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "PATIENCE_SECS", 0.01)
    endless = asyncio.ensure_future(asyncio.Event().wait())
    with pytest.raises(AssertionError, match="the node has not ended"):
        await over(endless, "the node")
    endless.cancel()


async def test_what_a_task_gives_or_raises_is_its_own() -> None:
    assert await over(asyncio.ensure_future(asyncio.sleep(0, "given"))) == "given"

    async def fails() -> None:
        raise RuntimeError("it failed")

    with pytest.raises(RuntimeError, match="it failed"):
        await over(asyncio.ensure_future(fails()))
