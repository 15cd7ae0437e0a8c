"""What prevents a start: one clear line, the right exit code, within seconds, nothing sent."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from fairlead.adapters.oceanex.simulator_auth import generated_key_pair
from fairlead.adapters.oceanex.simulator_markets import OceanexSimOptions
from tests.live import hosted
from tests.live.desk import Desk
from tests.support import configs
from tests.support.processes import Venue, run

CLOSED = "127.0.0.1:9"  # the discard port: nothing listens


def scripted(does: str = "rest") -> list[dict[str, Any]]:
    params = {"instrument_id": "BTC_USDT.OCEANEX", "does": does}
    return [{"id": "Scripted-1", "path": "tests.live.scripted:Scripted", "params": params}]


def write(folder: Path, served: Venue, changed: dict[str, Any], **more: Any) -> Path:
    told = Venue(served.process, {**served.line, **changed})
    return configs.write(folder, told, **{"strategies": scripted(), **more})


def fails(
    config: Path, code: int, *texts: str, verb: str = "live"
) -> subprocess.CompletedProcess[str]:
    ended = run(verb, config, "--for", "60")
    assert ended.returncode == code, ended.stdout + ended.stderr[-3000:]
    for text in texts:
        assert text in ended.stderr.splitlines()[-1] or text in ended.stderr, ended.stderr[-2000:]
    assert "Traceback" not in ended.stderr
    return ended


def one_line(ended: subprocess.CompletedProcess[str]) -> None:
    (line,) = ended.stderr.splitlines()
    assert line.startswith("error "), line


def credential(served: Venue, folder: Path, text: str, mode: int = 0o600) -> dict[str, Any]:
    path = folder / "key"
    path.write_text(text)
    path.chmod(mode)
    return {"credentials": {**served.line["credentials"], "private_key": f"file:{path}"}}


# -- credentials -----------------------------------------------------------------------------------


def test_text_that_is_no_key(served: Venue, tmp_path: Path) -> None:
    changed = credential(served, tmp_path, "-----BEGIN PRIVATE KEY-----\nno\n")
    ended = fails(write(tmp_path, served, changed), 3, "E-SEC-008")
    assert not (tmp_path / "state").exists(), ended.stderr


def test_a_key_file_that_others_can_read(served: Venue, tmp_path: Path) -> None:
    changed = credential(served, tmp_path, served.credential("private_key"), 0o644)
    fails(write(tmp_path, served, changed), 3, "E-SEC-006", "chmod 600")


def test_another_key(served: Venue, tmp_path: Path) -> None:
    private, _ = generated_key_pair()
    ended = fails(write(tmp_path, served, credential(served, tmp_path, private)), 5, "OCEANEX-1010")
    one_line(ended)


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (OceanexSimOptions(key_enabled=False), "OCEANEX-1008"),
        (OceanexSimOptions(allowed_ips=("192.0.2.1",)), "OCEANEX-1011"),
        (OceanexSimOptions(scopes=("query",)), "OCEANEX-SCOPE"),
    ],
)
def test_a_key_that_may_not_trade(
    served: Venue, tmp_path: Path, options: OceanexSimOptions, code: str
) -> None:
    with hosted.simulated(tmp_path / "keys", options) as line:
        one_line(fails(write(tmp_path, served, line), 5, code))


# -- the venue -------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["live", "paper", "record"])
def test_an_unknown_market(served: Venue, tmp_path: Path, verb: str) -> None:
    named = scripted()
    named[0]["params"]["instrument_id"] = "BTC_USDC.OCEANEX"
    config = write(tmp_path, served, {}, instruments=("BTC_USDC",), strategies=named)
    one_line(fails(config, 3, "did you mean BTC_USDT.OCEANEX?", verb=verb))


@pytest.mark.parametrize("verb", ["live", "paper", "record"])
def test_a_host_that_nobody_serves(served: Venue, tmp_path: Path, verb: str) -> None:
    config = write(tmp_path, served, {"rest": f"http://{CLOSED}/v1"})
    one_line(fails(config, 5, "HTTP-CONNECT", verb=verb))


def test_a_host_of_web_pages(served: Venue, tmp_path: Path) -> None:
    with hosted.web_pages() as base:
        one_line(fails(write(tmp_path, served, {"rest": base}), 5, "OCEANEX-NOT-JSON"))


@pytest.mark.parametrize("verb", ["live", "paper", "record"])
def test_a_stream_that_refuses(served: Venue, tmp_path: Path, verb: str) -> None:
    ended = fails(write(tmp_path, served, {"app_key": "0" * 28}), 5, verb=verb)
    assert ended.stderr.splitlines()[-1].startswith("error OCEANEX-"), ended.stderr


@pytest.mark.parametrize("verb", ["live", "record"])
def test_a_stream_that_nobody_serves(served: Venue, tmp_path: Path, verb: str) -> None:
    ended = fails(write(tmp_path, served, {"ws": f"ws://{CLOSED}"}), 5, verb=verb)
    line = ended.stderr.splitlines()[-1]
    assert line.startswith("error STREAM-UNREACHABLE: "), ended.stderr
    assert "look at the stream's address in [venues.oceanex.options]" in line
    assert "ssl:" not in line


# -- this machine ----------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["live", "paper", "record"])
def test_a_state_folder_that_takes_no_file(served: Venue, tmp_path: Path, verb: str) -> None:
    (tmp_path / "file").write_text("")
    config = write(tmp_path, served, {}, more='[run]\nstate_dir = "file/state"')
    one_line(fails(config, 1, "STATE-UNWRITABLE", verb=verb))


def test_a_damaged_journal(served: Venue, tmp_path: Path) -> None:
    journal = tmp_path / "state" / "oceanex-main.journal.sqlite"
    journal.parent.mkdir()
    journal.write_bytes(b"no database at all, " * 1000)
    ended = fails(write(tmp_path, served, {}), 1, "JRN-OPEN")
    one_line(ended)
    assert journal.read_bytes() == b"no database at all, " * 1000


@pytest.mark.parametrize("name", ["oceanex-main.risk.json", "risk-live.json"])
def test_a_risk_state_that_is_damaged(name: str, served: Venue, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / name).write_text("{")
    one_line(fails(write(tmp_path, served, {}), 1, "RISK-STATE"))


def test_a_second_process_on_the_account(desk: Desk) -> None:
    config = desk.config()
    process = desk.start("live", config)
    desk.wait_resting(process)
    one_line(fails(config, 12, "STATE-LOCKED", str(process.pid)))
    assert desk.stop(process) == 0


def test_a_strategy_that_is_not_there(served: Venue, tmp_path: Path) -> None:
    strategy = {"id": "Scripted-1", "path": "tests.live.nowhere:Scripted"}
    fails(write(tmp_path, served, {}, strategies=[strategy]), 3, "E-CFG-050")


@pytest.mark.parametrize("verb", ["live", "paper"])
def test_a_strategy_that_raises_in_its_init(served: Venue, tmp_path: Path, verb: str) -> None:
    strategy = {"id": "Scripted-1", "path": "tests.data.raising:InInit"}
    config = write(tmp_path, served, {}, strategies=[strategy])
    ended = run(verb, config, "--for", "60")
    assert ended.returncode == 10, ended.stderr[-2000:]
    assert "E-CFG-058" in ended.stderr
    assert "Scripted-1: KeyError: 'in __init__'" in ended.stderr
    assert 'tests/data/raising.py", line ' in ended.stderr


def test_a_recorder_needs_no_strategy(served: Venue, tmp_path: Path) -> None:
    strategy = {"id": "Scripted-1", "path": "tests.live.nowhere:Scripted"}
    config = write(tmp_path, served, {}, strategies=[strategy])
    ended = run("record", config, "--for", "4")
    assert ended.returncode == 0, ended.stderr[-2000:]


@pytest.mark.parametrize("kind", ["unavailable", "lose_answer"])
def test_a_start_survives_reads_that_fail(desk: Desk, kind: str) -> None:
    before = desk.faults_applied(kind)
    for path in ("markets", "fees", "timestamp", "key", "orders/filter", "members/me"):
        desk.fault("POST", f"/v1/{path}", kind, times=2)
    process = desk.start("live", desk.config())
    desk.wait_resting(process)
    assert desk.faults_applied(kind) >= before + 12
    assert desk.stop(process) == 0, desk.log.read_text()[-3000:]


@pytest.mark.parametrize("verb", ["live", "paper", "record"])
def test_the_time_of_a_run_counts_from_when_it_is_up(
    served: Venue, tmp_path: Path, verb: str
) -> None:
    """However long the start takes, no run is shorter than it."""
    ended = run(verb, write(tmp_path, served, {}), "--for", "0.001")
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert "ran for 0.001 s" in ended.stdout
    assert "connected" in ended.stderr
