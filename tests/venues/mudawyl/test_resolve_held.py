"""A position that was closed by hand at the gateway is taken out of the journal."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest

from fairlead.engine.errors import Exit
from fairlead.engine.orders.journal import Journal
from tests.support.processes import command, run
from tests.venues.mudawyl.live_kit import Gateway
from tests.venues.mudawyl.test_live import protected

NAME = "BTC_USDT.MUDAWYL"


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    made = Gateway(tmp_path)
    yield made
    made.close()


def test_what_was_closed_by_hand_is_out_of_the_journal_and_the_strategy_trades_again(
    gateway: Gateway,
) -> None:
    gateway.kill(protected(gateway))
    config = ("--config", str(gateway.toml))
    flat = command("gateway", "flatten", "BTC/USDT", *config)
    assert flat.returncode == Exit.OK, flat.stdout + flat.stderr
    assert (gateway.held(), gateway.open()) == (0, [])
    word = ("--price", "60000", "--reason", "closed by hand", *config, "--json")
    early = command("resolve", NAME, "--held", "0", *word)
    assert early.returncode == Exit.DRIFT, early.stderr
    assert "RESOLVE-OPEN" in early.stderr
    refused = run("live", gateway.toml, "--for", "2", "--json")
    assert refused.returncode == Exit.DRIFT, refused.stderr
    assert "fairlead resolve INSTRUMENT --held" in refused.stderr
    wrong = command("resolve", NAME, "--held", "0.025", *word)
    assert wrong.returncode == Exit.DRIFT, wrong.stderr
    assert "RESOLVE-HELD" in wrong.stderr
    far = command("resolve", NAME, "--held", "0", "--price", "6000", *word[2:])
    assert far.returncode == Exit.USAGE, far.stderr
    settled = command("resolve", NAME, "--held", "0", *word)
    assert settled.returncode == Exit.OK, settled.stderr
    done = json.loads(settled.stdout)
    assert (done["before"], done["held"]) == ("0.05", "0")
    path = gateway.folder / "state" / "mudawyl-main.journal.sqlite"
    with closing(Journal.reading(path)) as journal:
        assert [one.quantity for one in journal.positions()] == [Decimal(0)]
        assert journal.problems() == []
    story = run("explain", Path(done["orders"][0]), *config).stdout
    assert "RESOLVED" in story
    assert "closed by hand" in story
    again = run("live", gateway.toml, "--for", "4", "--json")
    assert again.returncode == Exit.OK, again.stderr
    assert "DRIFT" not in again.stderr
    running = gateway.start()  # the run before ended the bracket that was open
    gateway.wait(lambda: gateway.held() == Decimal("0.05"), "the next bracket")
    assert gateway.stop(running) == Exit.OK
