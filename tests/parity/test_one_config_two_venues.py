"""The example configs run on another venue by changing the venue's name and instrument."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.configs import VENUE_KEYS, inline
from tests.support.processes import ROOT, Venue, run, venue

EXAMPLES = ("oceanex-maker", "oceanex-trend", "oceanex-breakout")


@pytest.fixture(scope="module", params=["oceanex", "poloniex"])
def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Venue]:
    key = str(request.param)
    with venue(key, tmp_path_factory.mktemp(key), "--seed", "3") as running:
        yield running


@pytest.mark.parametrize("example", EXAMPLES)
def test_example_trades_on_both_venues(served: Venue, example: str, tmp_path: Path) -> None:
    key = str(served.line["venue"])
    text = (ROOT / "configs" / f"{example}.toml").read_text()
    text = text.replace("oceanex", key).replace("OCEANEX", key.upper())
    options = {option: served.line[field] for option, field in VENUE_KEYS[key].items()}
    # Where the venue is and who we are; everything else is the file as it stands.
    text = re.sub(rf"\[venues\.{key}\.(credentials|options)\][^\[]*", "", text)
    where = f"options = {inline(options)}\ncredentials = {inline(served.line['credentials'])}\n"
    text, replaced = re.subn(r"(adapter = .*\n)", lambda found: found[1] + where, text)
    assert replaced == 1
    config = tmp_path / "configs" / f"{example}.toml"
    config.parent.mkdir()
    config.write_text(text)
    ended = run("live", config, "--for", "4", "--json")
    assert ended.returncode == 0, ended.stderr[-2000:]
    summary = json.loads(ended.stdout)
    assert summary["events"] > 10
    assert summary["faults"] == []
    if "maker" in example:
        assert summary["orders"] > 0, summary
