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

from fairlead.engine.errors import Exit
from fairlead.engine.orders.journal import Journal, JournaledOrder, JournalError
from tests.live import hosted
from tests.live.test_venue_reset import OPTIONS
from tests.support import configs
from tests.support.patience import PATIENCE_SECS
from tests.support.processes import Venue, command, start, wait_for

HELD = "zerocap"  # the engine holds its stops
AT_VENUE = "oceanex"


class Holder:
    """A live run that holds a position beside a stop."""

    def __init__(self, folder: Path, line: dict[str, Any]) -> None:
        self.key = str(line["venue"])
        self.instrument = f"BTC_USDT.{self.key.upper()}"
        self.log = folder / "live.log"
        self.journal = folder / "state" / f"{self.key}-main.journal.sqlite"
        params = {"instrument_id": self.instrument, "quantity": "0.008"}
        strategy = {"id": "Holding-1", "path": "tests.live.holding:Holding", "params": params}
        served = Venue(None, line)  # type: ignore[arg-type]  # no process
        self.config = configs.write(folder, served, strategies=[strategy], more=configs.ROOMY)
        self.process: subprocess.Popen[str] = start("live", self.config, log=self.log)
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


@contextmanager
def holding(folder: Path, key: str) -> Iterator[Holder]:
    with hosted.simulated(folder / "keys", OPTIONS[key]) as line:
        made = Holder(folder, line)
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
        run.lose()
        run.ended()
        (saved,) = run.journal.parent.glob("*.saved-*")
        _not_known(run, "JOURNAL-SAVED", f"mv {saved} {run.journal}")
        _not_clean(run, "JOURNAL-SAVED")
        beside = sorted(run.journal.parent.glob(f"{run.journal.name}*"))
        assert beside == [saved], "nobody makes one in its place"
        saved.unlink()
        _not_known(run, "JOURNAL-EMPTY", "docs/journal.md")
        _not_clean(run, "JOURNAL-EMPTY")
        assert not run.journal.exists()
