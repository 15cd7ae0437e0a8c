"""A live run's figures are what was executed in it; a position of an earlier run is its opening."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fairlead.engine.research.runs import Run, newest
from tests.live import hosted
from tests.live.test_exits import OPTIONS, QUICK
from tests.support import configs
from tests.support.processes import Venue, command, run, run_until

MARKET = {"oceanex": "btcusdt", "poloniex": "BTC_USDT"}
QUANTITY = "0.0123"
HALF = Decimal("0.006")
KERNEL = re.compile(r"\[(WARN|ERROR)\] FAIRLEAD-001\.nautilus_live.*")
ROUNDING = Decimal("0.000001")  # USDT; of an average price
CHECKS = 4  # of positions; a difference would be told in the second


class Runs:
    """Runs on one account, one after another, each judged by the venue's ledger and the journal."""

    def __init__(self, folder: Path, key: str, served: Venue) -> None:
        self.folder, self.key, self.served = folder, key, served
        self.seen = folder / "seen.json"
        self.checks = folder / "checks"

    def config(self, does: str) -> Path:
        params = {
            "instrument_id": f"BTC_USDT.{self.key.upper()}",
            "does": does,
            "seen": str(self.seen),
            "quantity": QUANTITY,
        }
        strategy = {"id": "Scripted-1", "path": "tests.live.scripted:Scripted", "params": params}
        return configs.write(self.folder, self.served, strategies=[strategy], more=QUICK)

    def run(
        self, does: str, done: Callable[[], bool] = lambda: True
    ) -> subprocess.CompletedProcess[str]:
        """A run until `done` and until its positions were compared some times."""
        self.checks.write_text("")

        def all_done() -> bool:
            return done() and len(self.checks.read_text()) >= CHECKS

        program = "tests.live.checking:main"
        ended = run_until(
            "live", self.config(does), all_done, does, folder=self.folder, program=program
        )
        assert ended.returncode == 0, ended.stderr[-3000:]
        assert KERNEL.findall(ended.stderr + ended.stdout) == []
        log = (self.folder / "state" / "logs" / "test-live.log").read_text()
        assert "discrepancy" not in log
        return ended

    def rows(self, query: str) -> list[Any]:
        path = self.folder / "state" / f"{self.key}-main.journal.sqlite"
        if not path.exists():
            return []
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
            try:
                return db.execute(query).fetchall()
            except sqlite3.OperationalError:
                return []  # its tables are not there yet

    def position(self) -> tuple[Decimal, Decimal]:
        rows = self.rows("SELECT quantity, cost FROM positions")
        return (Decimal(rows[0][0]), Decimal(rows[0][1])) if rows else (Decimal(0), Decimal(0))

    def fills(self) -> list[dict[str, Any]]:
        """The venue's executions of the account, oldest first."""
        (account,) = self.served.balances()
        entries = self.served.ledger()["entries"]
        return [one for one in entries if one["type"] == "fill" and one["account"] == account]

    def sell_to_the_resting(self) -> None:
        """Someone sells `HALF` down to the price of the order that rests."""
        (row,) = self.rows("SELECT intent FROM orders WHERE state = 'OPEN'")
        market, price, half = MARKET[self.key], json.loads(row[0])["price"], str(HALF)
        self.served.post("market", action="pause")
        try:
            self.served.post("market", market=market, price=price, quantity=half, aggressor="SELL")
            self.served.post("market", market=market, side="SELL", price=price, size=half)
        finally:
            self.served.post("market", market=market, side="SELL", price=price, size="0")
            self.served.post("market", action="resume")


@pytest.fixture(params=sorted(OPTIONS))
def runs(
    tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Runs]:
    with hosted.simulated(tmp_path / "keys", OPTIONS[str(request.param)]) as line:
        made = Runs(tmp_path, str(request.param), Venue(None, line))  # type: ignore[arg-type]
        monkeypatch.setenv("CHECKS_FILE", str(made.checks))
        yield made


def is_told(told: dict[str, Any], fills: list[dict[str, Any]], kinds: dict[str, int]) -> None:
    """The figures are those of these executions of the venue, exact."""
    (one,) = told["instruments"]
    bought = sum((Decimal(fill["quantity"]) for fill in fills), Decimal(0))
    turnover = sum((Decimal(f["quantity"]) * Decimal(f["price"]) for f in fills), Decimal(0))
    fees = sum((Decimal(fill["fee"]) for fill in fills), Decimal(0))
    tells_sums = one["instrument"].endswith("OCEANEX")  # an order's executions at once
    assert told["fills"] == one["fills"] == (min(1, len(fills)) if tells_sums else len(fills))
    assert (Decimal(one["bought"]), Decimal(one["sold"])) == (bought, 0)
    assert abs(Decimal(one["turnover"]) - turnover) < ROUNDING
    assert {name: Decimal(fee) for name, fee in told["fees"].items()} == (
        {"BTC": fees} if fees else {}
    )
    assert told["orders_by_kind"] == kinds
    assert told["orders"] == told["accepted"] == sum(kinds.values())
    assert told["maker_fills"] in (None, told["fills"] - kinds.get("MARKET", 0))
    change = Decimal(one["position"]) - Decimal(one["opening_position"])
    assert change == bought - fees


def positions_are_the_journals(runs: Runs, told: dict[str, Any], held: Decimal) -> None:
    """The kept run's table begins with what was held, and ends with journal and summary."""
    rows = Run.at(next(newest(runs.folder / "state"))).rows("positions")
    (one,) = told["instruments"]
    assert [row["ts"] for row in rows].count(None) == (1 if held else 0)
    if held:
        at = Decimal(one["opening_cost"]) / held
        assert (rows[0]["ts"], Decimal(rows[0]["position"])) == (None, held)
        assert abs(Decimal(rows[0]["average"]) - at) < ROUNDING
        assert abs(Decimal(rows[0]["realized"])) < ROUNDING
        assert Decimal(rows[0]["fees"]) == 0
    end, cost = runs.position()
    assert Decimal(rows[-1]["position"]) == Decimal(one["position"]) == end
    asked = command("positions", str(runs.folder / "test.toml"), "--json")
    (shown,) = json.loads(asked.stdout)
    assert (Decimal(shown["mark"]), Decimal(shown["journal"])) == (Decimal(one["mark"]), end)
    assert abs(Decimal(rows[-1]["average"]) - cost / end) < ROUNDING
    for name, value in (("realized", one["realized"]), ("fees", one["fees_value"])):
        assert abs(Decimal(rows[-1][name]) - Decimal(value)) < ROUNDING


def test_each_run_tells_what_was_executed_in_it(runs: Runs) -> None:
    bought = runs.run("buy", lambda: len(runs.rows("SELECT 1 FROM fills")) == 1)
    first = json.loads(bought.stdout)
    is_told(first, runs.fills(), {"LIMIT": 1, "MARKET": 1})
    assert first["fill_ratio"] == 0.5
    assert first["instruments"][0]["opening_position"] == "0"
    positions_are_the_journals(runs, first, Decimal(0))
    start, cost = runs.position()
    assert start % Decimal("0.000001"), "the fee left no part of an increment"

    runs.sell_to_the_resting()
    ended = runs.run("nothing")
    second, (one,) = json.loads(ended.stdout), json.loads(ended.stdout)["instruments"]
    is_told(second, runs.fills()[1:], {"LIMIT": 1})
    assert len(runs.fills()) > 1, "nothing filled while the process was away"
    assert second["orders_by_status"] == {"PARTIALLY_FILLED": 1}
    assert second["fill_ratio"] == 1
    assert (Decimal(one["opening_position"]), Decimal(one["opening_cost"])) == (start, cost)
    positions_are_the_journals(runs, second, start)
    end, cost = runs.position()
    assert Decimal(one["position"]) == end
    spent = Decimal(one["opening_cost"]) + Decimal(one["turnover"])
    assert abs(Decimal(one["net"]) - (end * Decimal(one["mark"]) - spent)) < ROUNDING

    third = json.loads(runs.run("nothing").stdout)
    (one,) = third["instruments"]
    is_told(third, [], {"LIMIT": 1})
    positions_are_the_journals(runs, third, end)
    assert third["fill_ratio"] == 0
    assert third["orders_by_status"] == {"PARTIALLY_FILLED": 1}
    assert Decimal(one["opening_position"]) == Decimal(one["position"]) == end
    assert abs(Decimal(one["net"]) - (end * Decimal(one["mark"]) - cost)) < ROUNDING

    (worths,) = third["equity"].values()
    assert Decimal(worths["USDT"]["change"]) == 0, "nothing was executed"
    assert Decimal(worths["USDT"]["taken_over"]) == Decimal(one["net"])
    assert Decimal(worths["USDT"]["start"]) == Decimal(worths["USDT"]["end"])

    shown = run("live", runs.config("nothing"), "--for", "2")
    text = re.sub(r"[│\s]+", " ", shown.stdout)
    assert f"{end.normalize():f} at the start, {end.normalize():f} BTC at the end" in text
    assert "orders 1 (PARTIALLY_FILLED 1)" in text
    assert re.search(r"USDT \(0, all at the last marks; net PnL has [+-]\S+ more", text)
