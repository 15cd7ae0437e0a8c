"""Of an account whose journal was taken away nothing is known, and no verb says that nothing is.

What the run that lost it leaves behind is told by its last words, and by `status` after it.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from fairlead.engine.brackets.strategy import TAKEN
from fairlead.engine.errors import Exit
from fairlead.engine.orders.journal import Journal, JournaledOrder, JournalError
from tests.live import hosted
from tests.live.holding import COMPARE_SECS
from tests.live.test_disk_full import disk as disk
from tests.live.test_disk_full import fill
from tests.live.test_venue_reset import OPTIONS
from tests.support import configs
from tests.support.patience import PATIENCE_SECS
from tests.support.processes import Venue, command, start, wait_for

HELD = "zerocap"  # the engine holds its stops
AT_VENUE = "oceanex"


class Holder:
    """A live run that holds a position beside a stop."""

    def __init__(self, folder: Path, line: dict[str, Any], state: Path) -> None:
        self.key = str(line["venue"])
        self.instrument = f"BTC_USDT.{self.key.upper()}"
        self.log = folder / "live.log"
        self.journal = state / f"{self.key}-main.journal.sqlite"
        params = {"instrument_id": self.instrument, "quantity": "0.008"}
        params["fault_file"] = str(folder / "fault")
        strategy = {"id": "Holding-1", "path": "tests.live.holding:Holding", "params": params}
        served = Venue(None, line)  # type: ignore[arg-type]  # no process
        more = f"{configs.ROOMY}{configs.PATIENT_STOP}state_dir = {json.dumps(str(state))}\n"
        self.config = configs.write(folder, served, strategies=[strategy], more=more)
        self.process: subprocess.Popen[str] = start(
            "live", self.config, log=self.log, env={COMPARE_SECS: "1"}
        )
        wait_for(lambda: bool(self.stops()), f"its stop; see {self.log}")

    def stops(self) -> list[JournaledOrder]:
        """That stand."""
        assert self.process.poll() is None, self.log.read_text()[-3000:]
        try:
            with closing(Journal.reading(self.journal)) as journal:
                found = [one for one in journal.open_orders() if one.intent.protects]
        except JournalError:  # it is being made
            return []
        return [one for one in found if one.state.value in ("HELD", "OPEN", "WAITING")]

    def lose(self) -> None:
        for one in self.journal.parent.glob(self.journal.name + "*"):
            one.unlink()

    def ended(self) -> str:
        """All that it has told."""
        assert self.process.wait(PATIENCE_SECS) == Exit.FAILED, self.log.read_text()[-3000:]
        return self.log.read_text()

    def status(self) -> dict[str, dict[str, str]]:
        """What is wrong, by its code."""
        asked = command("status", self.config, "--json")
        return {one["code"]: one for one in json.loads(asked.stdout)["wrong"]}


@contextmanager
def holding(folder: Path, key: str, state: Path | None = None) -> Iterator[Holder]:
    with hosted.simulated(folder / "keys", OPTIONS[key]) as line:
        made = Holder(folder, line, state or folder / "state")
        try:
            yield made
        finally:
            if made.process.poll() is None:
                made.process.kill()
                made.process.wait(PATIENCE_SECS)


VERBS = ("orders", "positions", "fills", "reconcile", "status", "journal ls", "doctor")


def _not_known(run: Holder, code: str, remedy: str) -> None:
    for verb in VERBS:
        asked = command(*verb.split(), run.config, env={"COLUMNS": "3000"})
        told = asked.stdout + asked.stderr
        assert asked.returncode, f"{verb}: {told}"
        if verb == "doctor" and code == "JOURNAL-SAVED":
            assert str(run.journal) + ".saved-" in told
            continue
        assert f"{code}: " in told or f" {code} " in told, f"{verb}: {told}"
        assert remedy in told, f"{verb}: {told}"
        for none in ("no order is open", "nothing was executed", "no difference", "0 open"):
            assert none not in told, verb


def _not_clean(run: Holder, code: str) -> None:
    """Whatever its scope and action."""
    for words in (["all"], ["strategy", "Holding-1"], ["all", "--action", "flatten"]):
        killed = command("kill", *words, "--config", str(run.config), "--json")
        assert killed.returncode == Exit.UNRESOLVED, killed.stdout + killed.stderr
        (venue,) = json.loads(killed.stdout)["venues"]
        assert f"{code}: NOT KNOWN are " in venue["problem"]
        assert venue["is_journal_gone"]
    killed = command("kill", "all", "--config", str(run.config))
    assert killed.returncode == Exit.UNRESOLVED
    assert "orders that the engine holds" in killed.stdout
    assert "NOT KNOWN what its journal named" in killed.stdout.splitlines()[-1]


@pytest.mark.parametrize("key", [HELD, AT_VENUE])
def test_without_its_journal_nothing_is_known(tmp_path: Path, key: str) -> None:
    with holding(tmp_path, key) as run:
        (stop,) = (one.intent.client_order_id for one in run.stops())
        run.lose()
        _is_told(run, stop)
        assert ("NO-STOP" in run.status()) is (key != HELD)
        (saved,) = run.journal.parent.glob("*.saved-*")
        _not_known(run, "JOURNAL-SAVED", f"mv {saved} {run.journal}")
        _not_clean(run, "JOURNAL-SAVED")
        beside = sorted(run.journal.parent.glob(f"{run.journal.name}*"))
        assert beside == [saved], "nobody makes one in its place"
        saved.unlink()
        _not_known(run, "JOURNAL-EMPTY", "docs/journal.md")
        _not_clean(run, "JOURNAL-EMPTY")
        assert not run.journal.exists()


def _is_told(run: Holder, stop: str) -> None:
    """By the last words of a run whose journal is dead: what it holds, and what became of its stop.

    One at the venue is cancelled; one that the engine holds stays in the journal.
    """
    text = run.ended()
    assert "TRADING-DEFECT" not in text
    assert "Traceback" not in text
    unprotected = f"{run.instrument} (Holding-1), unprotected: {TAKEN}"
    assert (unprotected in text) is (run.key != HELD), text[-3000:]
    words = f"the run ends with 1 order ({stop}) held by the engine: nothing fires it while no run"
    assert (words in text) is (run.key == HELD), text[-3000:]
    assert "open at the venue" not in text


@pytest.mark.parametrize("key", [HELD, AT_VENUE])
def test_a_full_disk_is_told_as_that_by_whatever_writes_first(
    tmp_path: Path, disk: Path, key: str
) -> None:
    """The comparison of balances, here: nothing else is written while the strategy waits."""
    with holding(tmp_path, key, disk / "state") as run:
        (stop,) = (one.intent.client_order_id for one in run.stops())
        fill(disk)
        _is_told(run, stop)
        assert run.log.read_text().splitlines()[-1].startswith("error JRN-WRITE: ")


@pytest.mark.parametrize("key", [HELD, AT_VENUE])
def test_a_fault_s_bare_position_is_named_by_the_status_after_it(tmp_path: Path, key: str) -> None:
    with holding(tmp_path, key) as run:
        run.config.with_name("fault").touch()
        assert run.process.wait(PATIENCE_SECS) == Exit.FAULTED, run.log.read_text()[-3000:]
        assert "held without its stop at the venue" in run.log.read_text()
        wrong = run.status()["NO-STOP"]
        assert wrong["level"] == "bad"
        assert f"{run.instrument} (Holding-1)" in wrong["text"]
        killed = command("kill", "all", "--action", "flatten", "--config", str(run.config))
        assert killed.returncode == Exit.OK, killed.stdout + killed.stderr
        assert "NO-STOP" not in run.status()
