"""A clock that is set during a run: no order goes out until the venue's offset is within limit."""

from __future__ import annotations

import json
import time

import pytest

from tests.live.desk import QUICK, Desk
from tests.support.processes import wait_for


def set_clock(desk: Desk, secs: float) -> None:
    asked = desk.seen.with_suffix(".new")
    asked.write_text(str(secs))
    asked.rename(desk.seen.with_suffix(".step"))
    wait_for(lambda: not desk.seen.with_suffix(".step").exists(), "the clock to be set")


@pytest.mark.parametrize("secs", [30, -60])
@pytest.mark.parametrize("verb", ["live", "paper"])
def test_a_step_is_told_and_orders_wait(desk: Desk, verb: str, secs: int) -> None:
    config = desk.config("many", more=QUICK + "[record]\n", cls="Stepping")
    config.write_text(config.read_text().replace("tests.live.scripted:", "tests.live.stepping:"))
    process = desk.start(verb, config, "--json")
    if verb == "live":
        desk.wait_resting(process)
    gaps = desk.folder / "data" / "catalog" / "gaps.jsonl"
    wait_for(gaps.parent.exists, "the recording")
    wait_for(lambda: list((desk.folder / "state").glob("*.lock")), "the run")
    if verb == "paper":
        raw = desk.folder / "data" / "raw"
        wait_for(lambda: any(raw.rglob("*.zst")), "frames")
    set_clock(desk, secs)
    wait_for(lambda: "CLOCK-STEP" in desk.log.read_text(), f"the step; see {desk.log}")
    wait_for(lambda: gaps.exists() and "clock_step" in gaps.read_text(), "the row")
    ordered = len(desk.orders())  # what was on its way at the step has arrived
    until = time.monotonic() + 2  # books go on coming, and each asks for an order
    while time.monotonic() < until:
        assert len(desk.orders()) == ordered
    set_clock(desk, -secs)
    if verb == "live":
        wait_for(lambda: len(desk.orders()) > ordered, "orders once the clock is right again")
    assert desk.stop(process) == 0, desk.log.read_text()[-3000:]
    text = desk.log.read_text()
    told = json.loads(text[text.index("\n{\n") :])
    assert told["denials"]["CLOCK_OFFSET"] >= 1
    assert sum(note.startswith("CLOCK-STEP") for note in told["notes"]) == 2
    assert told["gaps"]["kinds"]["clock_step"] == 2
