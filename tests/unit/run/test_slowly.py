"""What takes long after a stop is told, once, and what is quick is not."""

from __future__ import annotations

import threading

import pytest

from fairlead.engine.errors import Exit
from fairlead.engine.guard.run_state import RunState
from fairlead.engine.run import slowly
from fairlead.engine.run.ended import Ended
from fairlead.engine.run.slowly import said_if_slow
from fairlead.engine.status import RunStatus


class Said:
    def __init__(self) -> None:
        self.lines: list[str] = []
        self.was = threading.Event()

    def __call__(self, text: str) -> None:
        self.lines.append(text)
        self.was.set()


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> Said:
    made = Said()
    monkeypatch.setattr(slowly, "say", made)
    return made


def test_what_takes_long_is_told_once(said: Said) -> None:
    with said_if_slow("rows are moved", 0.0):
        assert said.was.wait(60)
    assert said.lines == ["the run has stopped, and sends nothing any more; rows are moved ..."]


def test_what_is_quick_is_not_told_nor_later(said: Said) -> None:
    before = threading.active_count()
    with pytest.raises(ValueError, match="of it"), said_if_slow("rows are moved", 3600.0):
        raise ValueError("of it")
    for thread in threading.enumerate():
        if isinstance(thread, threading.Timer):
            thread.join(60)
    assert threading.active_count() <= before
    assert said.lines == []


def test_a_recording_that_takes_its_time_at_the_end_is_told(
    said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slowly, "TOLD_SECS", 0.0)

    class Slow:
        def finish(self) -> None:
            assert said.was.wait(60)

    ended = Ended(
        exit=Exit.OK,
        reason="",
        status=RunStatus(),
        findings=[],
        unresolved=[],
        left_open=[],
        seconds=1.0,
        node=None,
        run_state=RunState(),
        recording=Slow(),  # type: ignore[arg-type]
    )
    ended.close()
    assert "the last rows of the recording are brought into its catalog" in said.lines[0]
