"""A venue that is started again empty: in the middle of a run, and between two runs."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from fairlead.adapters import registry
from fairlead.adapters.oceanex.simulator_markets import OceanexSimOptions
from fairlead.adapters.piexgo.simulator_markets import PiexgoSimOptions
from fairlead.adapters.poloniex.simulator_markets import PoloniexSimOptions
from fairlead.adapters.zerocap.simulator_markets import ZerocapSimOptions
from fairlead.engine.cli.venue import _build
from fairlead.engine.errors import Exit
from fairlead.engine.orders.journal import Journal
from fairlead.engine.orders.model import OrderState, Tif
from tests.live import hosted
from tests.live.blocked_run import Run
from tests.support import configs
from tests.support.patience import PATIENCE_SECS
from tests.support.processes import Venue, venue, wait_for

OPTIONS = {
    "oceanex": OceanexSimOptions(),
    "piexgo": PiexgoSimOptions(),
    "poloniex": PoloniexSimOptions(),
    "zerocap": ZerocapSimOptions(),
}
VENUES = sorted(OPTIONS)
RESTING = [
    pytest.param(key, marks=[pytest.mark.long] * (key == "piexgo"))  # it looks for half a minute
    for key in VENUES
    if Tif.GTC in registry.spec(key).capabilities.time_in_force
]


def journal_of(folder: Path, key: str) -> Path:
    return folder / "state" / f"{key}-main.journal.sqlite"


@pytest.mark.parametrize("key", RESTING)
def test_orders_that_the_venue_lost_in_a_run_end_it_unresolved(tmp_path: Path, key: str) -> None:
    keys = tmp_path / "keys"
    with venue(key, keys) as first:
        live = Run(tmp_path, first, key)
        live.more = '[run]\non_stop = "keep"\n' + configs.ROOMY + "settle_timeout_secs = 2\n"
        live.start({"rests": 2, "goes_on": False})
        live.at_least(2)
        first.process.kill()
        first.process.wait(PATIENCE_SECS)
        port = urlsplit(str(first.line["rest"])).port
    with venue(key, keys, "--port", str(port)):
        wait_for(lambda: live.log.read_text().count("ORDER-FORGOTTEN") >= 2, "the loud word")
        assert live.end() == Exit.UNRESOLVED, live.log.read_text()
    text = live.log.read_text()
    with closing(Journal.reading(journal_of(tmp_path, key))) as journal:
        left = journal.open_orders()
        assert [one.state for one in left] == [OrderState.OPEN] * 2
        for one in left:
            cid = one.intent.client_order_id
            assert f"fairlead resolve {cid} --gone" in text
        assert journal.problems() == []


@pytest.mark.parametrize("key", VENUES)
def test_what_is_executed_under_ids_given_again_is_booked(tmp_path: Path, key: str) -> None:
    """The same numbers in both lives, as of a venue that counts from the beginning."""
    live = None
    for life in range(2):
        with hosted.simulated(tmp_path / f"keys {life}", OPTIONS[key]) as line:
            served = Venue(None, line)  # type: ignore[arg-type]  # no process
            live = live or Run(tmp_path, served, key)
            live.served = served
            live.start({"buys": 1, "rests": 0, "goes_on": False})
            live.at_least(1)
            wait_for(lambda done=life + 1: filled(tmp_path, key) == done, f"see {live.log}")
            assert live.end() == Exit.OK, live.log.read_text()
    assert live is not None
    assert "VENUE-ID-REUSED" in live.log.read_text()
    with closing(Journal.reading(journal_of(tmp_path, key))) as journal:
        assert journal.open_orders() == []
        assert journal.problems() == []


def filled(folder: Path, key: str) -> int:
    path = journal_of(folder, key)
    if not path.exists():
        return 0
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        try:
            found = db.execute(
                "SELECT count(*) FROM orders WHERE state = 'FILLED' AND client_order_id IN "
                "(SELECT client_order_id FROM fills)"
            ).fetchone()
        except sqlite3.OperationalError:
            return 0  # it is being made
    return int(found[0])


@pytest.mark.parametrize("key", VENUES)
def test_two_lives_of_a_served_venue_share_no_numbers(key: str) -> None:
    def first_numbers() -> tuple[int, int]:
        exchange = _build(key, 1, None, None, None).exchange
        return exchange._next_order_id, exchange._next_trade_id

    before = first_numbers()
    after = first_numbers()
    assert all(new > old + 1_000 for new, old in zip(after, before, strict=True))
