"""An instrument that the config names no more, while the journal holds something in it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fairlead.engine.orders.journal import Journal
from fairlead.engine.orders.model import Side, VenueFill
from tests.live.desk import QUICK
from tests.support import configs
from tests.support.patience import PATIENCE_SECS
from tests.support.processes import Venue, run, start, venue, wait_for
from tests.unit.orders.conftest import intent

KEEP = '[run]\non_stop = "keep"\n'
LIMITS = """
[risk]
max_venue_exposure = ["100000 USDT"]
max_daily_loss = ["5000 USDT"]
"""


@pytest.fixture(scope="module", params=["oceanex", "poloniex"])
def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Venue]:
    key = str(request.param)
    with venue(key, tmp_path_factory.mktemp(key), "--seed", "4") as running:
        yield running


class Account:
    """One test's folder at the venue: a config of one market at a time, and the journal."""

    def __init__(self, served: Venue, folder: Path) -> None:
        self.served, self.folder = served, folder
        self.key = str(served.line["venue"])
        self.journal = folder / "state" / f"{self.key}-main.journal.sqlite"

    def config(self, market: str, does: str, more: str) -> Path:
        params = {
            "instrument_id": f"{market}.{self.key.upper()}",
            "does": does,
            "seen": str(self.folder / "seen"),
            "quantity": "0.02",
        }
        return configs.write(
            self.folder,
            self.served,
            strategies=[
                {"id": f"{market[:3]}-1", "path": "tests.live.scripted:Scripted", "params": params}
            ],
            instruments=(market,),
            more=more + QUICK,
        )

    def rows(self, sql: str) -> list[Any]:
        if not self.journal.exists():
            return []
        with sqlite3.connect(f"file:{self.journal}?mode=ro", uri=True) as db:
            try:
                return db.execute(sql).fetchall()
            except sqlite3.OperationalError:
                return []  # its tables are not there yet

    def states(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for text, state in self.rows("SELECT intent, state FROM orders"):
            found.setdefault(json.loads(text)["instrument"], []).append(state)
        return {name: sorted(states) for name, states in found.items()}

    def positions(self) -> dict[str, Decimal]:
        return {
            name: Decimal(quantity)
            for name, quantity in self.rows("SELECT instrument, quantity FROM positions")
        }


@pytest.fixture
def account(served: Venue, tmp_path: Path) -> Account:
    """An account that holds ETH and has an open order in it."""
    made = Account(served, tmp_path)
    config, log = made.config("ETH_USDT", "buy", KEEP), tmp_path / "run.log"
    process = start("live", config, log=log)
    name = f"ETH_USDT.{made.key.upper()}"
    wait_for(
        lambda: made.states().get(name) == ["FILLED", "OPEN"] or process.poll() is not None,
        f"a filled and an open order; see {log}",
    )
    process.terminate()
    assert process.wait(PATIENCE_SECS) == 0, log.read_text()[-3000:]
    assert made.positions()[name] > 0
    return made


def test_its_position_and_its_order_are_kept_and_counted(account: Account) -> None:
    name = f"ETH_USDT.{account.key.upper()}"
    held = account.positions()[name]
    config = account.config("BTC_USDT", "rest", KEEP + LIMITS)

    checked = run("check", config)
    assert checked.returncode == 0, checked.stdout
    (note,) = [line for line in checked.stdout.splitlines() if line.startswith("note: ")]
    for part in (str(account.journal), name, f"{held.normalize():f}", "1 open order", "ETH-1"):
        assert part in note
    assert json.loads(run("check", config, "--json").stdout)["notes"] == [note[6:]]

    ended = run("live", config, "--for", "3", "--json")
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert f"position of {held.normalize():f} and 1 open order in {name}" in ended.stderr
    assert account.positions()[name] == held
    assert account.states()[name] == ["FILLED", "OPEN"]
    assert account.states()[f"BTC_USDT.{account.key.upper()}"] == ["OPEN"], "others trade on"
    told = {one["instrument"]: one for one in json.loads(ended.stdout)["instruments"]}
    assert told[name]["mark"] is not None, "it has a price, so that losses in it count"

    # The default at a stop is to cancel what is open, and that is open too.
    ended = run("live", account.config("BTC_USDT", "nothing", LIMITS), "--for", "4")
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert account.states()[name] == ["CANCELED", "FILLED"]
    assert account.positions()[name] == held


def test_one_that_the_venue_lists_no_more_is_named_at_the_start(
    served: Venue, tmp_path: Path
) -> None:
    made = Account(served, tmp_path)
    made.journal.parent.mkdir()
    gone = f"GONE_USDT.{made.key.upper()}"
    journal = Journal(made.journal, fsync=False, now_ns=lambda: 1)
    order = intent("A", instrument=gone)
    journal.intend([order])
    one = VenueFill(
        venue_order_id="1",
        trade_id="1",
        instrument=gone,
        side=Side.BUY,
        quantity=Decimal("0.5"),
        price=Decimal(100),
        fee=Decimal(0),
        fee_currency="USDT",
    )
    assert journal.fill(order, one, Decimal(0))
    journal.close()
    ended = run("live", made.config("BTC_USDT", "nothing", ""), "--for", "30")
    assert ended.returncode == 6, ended.stderr[-3000:]
    for part in ("JRN-INSTRUMENT", gone, "position of 0.5", str(made.journal), "move the journal"):
        assert part in ended.stderr.splitlines()[-1]
