"""What is there is told at once, and what can't be looked at soon after."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairlead.engine.kill.absence import LOOK_NS, Absence
from fairlead.engine.kill.state import KillState
from fairlead.engine.kill.switch import KillSwitch


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("what", ["file", "folder", "a link that leads nowhere"])
def test_what_is_there_is_told_at_once(tmp_path: Path, which: int, what: str) -> None:
    paths = (tmp_path / "one", tmp_path / "other")
    absence = Absence(*paths)
    assert absence.is_sure()
    made = {
        "file": Path.touch,
        "folder": Path.mkdir,
        "a link that leads nowhere": lambda path: path.symlink_to("/nonexistent/x"),
    }
    made[what](paths[which])
    assert not absence.is_sure()


@pytest.mark.parametrize("which", [0, 1])
def test_a_place_that_cannot_be_looked_at_is_told_soon(tmp_path: Path, which: int) -> None:
    now = [0]
    places = (tmp_path / "one", tmp_path / "other")
    for place in places:
        place.mkdir()
    absence = Absence(*(place / "KILL" for place in places), monotonic_ns=lambda: now[0])
    assert absence.is_sure()
    places[which].rmdir()
    places[which].touch()  # as of a folder that nobody may search: ENOTDIR tells no absence
    now[0] = LOOK_NS
    assert not absence.is_sure()
    assert not absence.is_sure()
    places[which].unlink()
    assert absence.is_sure()


def test_one_look_of_an_order_is_as_good_as_two(tmp_path: Path) -> None:
    """A kill file that can't be looked at counts as there, at the latest by the next look."""
    place = tmp_path / "state"
    place.mkdir()
    now = [0]
    switch = KillSwitch(
        place / "KILL", KillState(tmp_path / "kill-switch"), monotonic_ns=lambda: now[0]
    )
    assert switch.reason("S-1", "BTC.X") is None
    place.rmdir()
    place.touch()
    now[0] = LOOK_NS
    assert "can't be looked at" in (switch.reason("S-1", "BTC.X") or "")
