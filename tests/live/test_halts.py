"""A halt of a live or paper run: loud, exit 8, shown, kept in the journal, ended by a person."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fairlead.adapters.oceanex.simulator_markets import OceanexSimOptions
from fairlead.adapters.poloniex.simulator_markets import PoloniexSimOptions
from fairlead.engine.errors import Exit
from fairlead.engine.risk.state import Halt, RiskState
from tests.live import hosted
from tests.live.blocked_run import Run
from tests.support import configs
from tests.support.patience import PATIENCE_SECS
from tests.support.processes import Venue, command, run, wait_for

BALANCES = {"USDT": Decimal(100_000), "BTC": Decimal(1)}
OPTIONS = {
    "oceanex": OceanexSimOptions(balances=BALANCES),
    "poloniex": PoloniexSimOptions(balances=BALANCES),
}
ONE_FEE = configs.ROOMY.replace("[risk]", '[risk]\nmax_daily_loss = ["0.1 USDT"]')
WORD = ("--reason", "looked at it")
OLD = Halt(reason="DAILY_LOSS: lost 25.3 USDT today", ts_ns=1, code="DAILY_LOSS")


@pytest.fixture
def live(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Run]:
    key = str(getattr(request, "param", "oceanex"))
    with hosted.simulated(tmp_path / "keys", OPTIONS[key]) as line:
        made = Run(tmp_path, Venue(None, line), key)  # type: ignore[arg-type]  # no process
        made.more = ONE_FEE
        yield made
        if made.process is not None and made.process.poll() is None:
            made.process.kill()
            made.process.wait(PATIENCE_SECS)


def told(live: Run, text: str) -> None:
    def there() -> bool:
        assert live.process is not None
        assert live.process.poll() is None, live.log.read_text()
        return text in live.log.read_text()

    wait_for(there, f"{text!r}; see {live.log}")


def notes(live: Run, subject: str) -> list[tuple[str, Any]]:
    """Kind and body of the journal's records of halts or kills."""
    path = live.folder / "state" / f"{live.key}-main.journal.sqlite"
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
        rows = db.execute(
            "SELECT kind, body FROM records WHERE client_order_id = ? ORDER BY seq", (subject,)
        ).fetchall()
    return [(kind, json.loads(body)) for kind, body in rows]


@pytest.mark.parametrize("live", sorted(OPTIONS), indirect=True)
def test_a_reached_loss_limit_is_loud_and_lasts_until_a_person_clears_it(live: Run) -> None:
    live.start({"buys": 1, "every_ms": 20})
    told(live, f"CRITICAL fairlead.engine.kill.halts: HALTED {live.key} main: DAILY_LOSS: lost ")
    line = next(one for one in live.log.read_text().splitlines() if "HALTED" in one)
    assert "the limit is 0.1. Nothing new is sent, open orders stay; " in line
    clear = f"fairlead kill venue {live.key} --clear --reason TEXT --config {live.config}"
    assert line.endswith(clear)
    (halt,) = live.kill("--status", code=Exit.KILLED)["halts"]
    assert (halt["venue"], halt["account"], halt["code"]) == (live.key, "main", "DAILY_LOSS")
    assert live.end() == Exit.KILLED
    last = live.log.read_text().splitlines()[-1]
    assert last.startswith(f"error HALTED {live.key} main: DAILY_LOSS: lost")
    count = len(live.orders())

    (live.folder / "state" / f"{live.key}-main.risk.json").unlink()  # not a person's word
    live.log.write_text("")
    live.start({"buys": 1, "every_ms": 20})
    told(live, f"CRITICAL fairlead.engine.kill.halts: HALTED {live.key} main: DAILY_LOSS")
    done = live.kill("venue", live.key, "--clear", *WORD)
    ((outcome,), left) = (done["halts_cleared"], done["halts"])
    assert outcome["is_cleared"]
    assert outcome["detail"] == "the run goes on trading"
    assert left == []
    live.at_least(count + 1)
    live.end()
    assert [kind for kind, _ in notes(live, "halt")][:2] == ["HALT", "HALT-CLEARED"]
    word = notes(live, "halt")[1][1]["cleared"]
    assert word["reason"] == "looked at it"
    assert "user " in word["by"]


@pytest.mark.parametrize("verb", ["live", "paper"])
def test_a_halt_of_the_file_that_accounts_shared_is_cleared_while_no_run_is_up(
    live: Run, verb: str
) -> None:
    live.verb = verb
    live.more = configs.ROOMY + '[simulated]\nbalances = ["10000 USDT", "1 BTC"]\n'
    state = live.folder / "state"
    state.mkdir()
    (state / f"risk-{verb}.json").write_bytes(msgspec.json.encode(RiskState(halt=OLD)))
    live.start({})
    told(live, f"HALTED oceanex {'main' if verb == 'live' else 'paper'}: DAILY_LOSS: lost 25.3")
    assert live.end() == Exit.KILLED
    assert not live.orders()
    (halt,) = live.kill("--status", code=Exit.KILLED)["halts"]
    assert halt["reason"] == OLD.reason
    scope = halt["scope"].split()
    assert "HALTED" in live.log.read_text().splitlines()[-1]
    refused = command("kill", *scope, "--clear", "--config", str(live.config))
    assert refused.returncode == Exit.USAGE
    assert "--clear needs --reason TEXT" in refused.stderr
    (outcome,) = live.kill(*scope, "--clear", *WORD)["halts_cleared"]
    assert outcome["detail"] == "no run held the account"
    assert live.kill("--status")["halts"] == []
    again = run(verb, live.config, "--for", "4", "--json")
    assert again.returncode == Exit.OK, again.stderr
    assert not re.search(r"(?<!DESK-)HALTED", again.stdout + again.stderr)
    if verb == "live":
        assert [kind for kind, _ in notes(live, "halt")] == ["HALT", "HALT-CLEARED"]


def test_kills_and_their_ends_are_in_the_journal_with_a_run_and_without(live: Run) -> None:
    live.more = configs.ROOMY
    live.start({"rests": 1, "goes_on": False})
    live.at_least(1)
    live.kill("all", "--reason", "with a run")
    told(live, "with a run; nothing is created")
    (live.state / "all.json").write_text('{"a')
    (live.state / "all.json").unlink()  # by hand, and damaged before: the run stays killed
    told(live, "it stays in force in this run")
    live.kill("all", "--clear", "--reason", "seen")
    told(live, ": seen: kill switch")
    assert live.end() == Exit.OK
    live.kill("venue", "oceanex", "--action", "halt", "--reason", "without a run")
    live.kill("venue", "oceanex", "--clear", "--reason", "gone")
    found = [
        (kind, body["kill"]["reason"], (body["cleared"] or {}).get("reason"))
        for kind, body in notes(live, "kill")
    ]
    assert found == [
        ("KILL", "with a run", None),
        ("KILL-CLEARED", "with a run", "seen"),
        ("KILL", "without a run", None),
        ("KILL-CLEARED", "without a run", "gone"),
    ]
    assert " ERROR fairlead.engine.kill.watch: cleared" not in live.log.read_text()


@pytest.mark.parametrize("verb", ["live", "paper"])
def test_a_kill_that_is_taken_away_is_written_again_shown_and_ended_by_a_clear(
    live: Run, verb: str
) -> None:
    live.verb = verb
    live.more = configs.ROOMY + '[simulated]\nbalances = ["10000 USDT", "1 BTC"]\n'
    live.start({"rests": 1, "goes_on": False})
    told(live, "; Ctrl-C stops it in order")
    live.kill("all", "--action", "halt", "--reason", "with a run")
    told(live, "with a run; nothing is created")
    shutil.rmtree(live.state)
    live.state.touch()
    told(live, f"{live.state} can't be read")
    live.state.unlink()
    told(live, "its file is written again: kill switch (all, halt)")
    assert "another kill took the place" not in live.log.read_text()
    shown = live.kill("--status", code=Exit.KILLED)["in_force"]
    assert "with a run" in [kill["reason"] for kill in shown]
    assert live.kill("all", "--clear", *WORD)["removed"] == ["all.json"]
    told(live, "cleared by ")
    assert live.kill("--status")["in_force"] == []
    assert live.end() == Exit.OK


@pytest.mark.parametrize("live", sorted(OPTIONS), indirect=True)
def test_a_halt_is_seen_from_another_state_folder(live: Run, tmp_path: Path) -> None:
    live.start({"buys": 1, "every_ms": 20})
    told(live, "HALTED")
    assert live.end() == Exit.KILLED
    state = tmp_path / "state"
    other = tmp_path / "other.toml"
    roomy = live.config.read_text().replace("0.1 USDT", "1000 USDT")
    other.write_text(roomy.replace("[run]", '[run]\nstate_dir = "elsewhere"'))
    for lost in ("nothing", "the file"):
        refused = run("live", other, "--for", "3", "--json")
        assert refused.returncode == Exit.KILLED, (lost, refused.stderr)
        last = refused.stderr.splitlines()[-1]
        assert last.startswith("error HALT-ELSEWHERE: halt of ")
        assert "DAILY_LOSS: lost " in last
        assert f"(in {state}, where this account's state was last kept)" in last
        assert last.endswith(
            f"fairlead kill venue {live.key} --clear --reason TEXT --config {live.config}"
        )
        if lost == "nothing":
            kept = (state / f"{live.key}-main.risk.json").rename(tmp_path / "risk.json")
    kept.rename(state / f"{live.key}-main.risk.json")
    live.kill("venue", live.key, "--clear", *WORD)
    again = run("live", other, "--for", "2", "--json")
    assert again.returncode == Exit.OK, again.stderr
    (tmp_path / "elsewhere").rename(tmp_path / "gone")
    back = run("live", live.config, "--for", "2", "--json")
    assert f"HALT-UNKNOWN: this account's state was last kept in {tmp_path / 'elsewhere'}" in (
        back.stderr
    )


@pytest.mark.parametrize("live", sorted(OPTIONS), indirect=True)
def test_the_folder_of_a_start_that_was_refused_is_no_place_of_a_state(
    live: Run, tmp_path: Path
) -> None:
    live.more = configs.ROOMY
    live.start({"rests": 1, "goes_on": False})
    live.at_least(1)
    assert live.end() == Exit.OK
    text = live.config.read_text()
    other = tmp_path / "other.toml"
    missing = text.replace(live.instrument, live.instrument.replace("BTC_", "XYZ_"))
    other.write_text(missing.replace("[run]", '[run]\nstate_dir = "elsewhere"'))
    refused = run("live", other, "--for", "2", "--json")
    assert refused.returncode == Exit.CONFIG, refused.stderr
    back = run("live", live.config, "--for", "2", "--json")
    assert back.returncode == Exit.OK, back.stderr
    assert "HALT-UNKNOWN" not in back.stderr


@pytest.mark.parametrize("verb", ["live", "paper"])
def test_one_command_is_named_wherever_a_halt_is_told(live: Run, verb: str) -> None:
    live.verb = verb
    live.more = ONE_FEE + '[simulated]\nbalances = ["10000 USDT", "1 BTC"]\nlatency_ms = 1\n'
    live.start({"buys": 1, "every_ms": 20})
    told(live, "HALTED: halted: DAILY_LOSS")  # the gate's refusal of an order
    assert live.end() == Exit.KILLED
    scope = f"venue {live.key}" if verb == "live" else "account paper"
    command = f"fairlead kill {scope} --clear --reason TEXT --config {live.config}"
    lines = live.log.read_text().splitlines()
    told_of = [line for line in lines if "fairlead kill" in line and line[0] != "│"]
    assert len(told_of) >= 3  # when it came, at the refusal, at the end
    for line in told_of:
        assert command in line
        assert line.count("fairlead kill") == 1
