"""`fairlead venue`: one line when ready, credentials in private files, an ordered stop."""

from __future__ import annotations

import json
import signal
import stat
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fairlead.adapters import registry
from fairlead.engine.cli.venue import _account, _simulator
from tests.simulation.test_market import write_catalog
from tests.support import configs
from tests.support.patience import PATIENCE_SECS
from tests.support.processes import Venue, run

NO_SECRETS = {"uid", "key_id"}
COMMAND = [sys.executable, "-c", "from fairlead.engine.cli.main import main; main()", "venue"]


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def fetch(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=PATIENCE_SECS) as response:
        return json.load(response)


@pytest.fixture
def running(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Starts venues, and leaves none behind."""
    processes: list[subprocess.Popen[str]] = []

    def run(*arguments: str) -> tuple[subprocess.Popen[str], dict[str, Any]]:
        process = start(*arguments)
        processes.append(process)
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, process.communicate(timeout=PATIENCE_SECS)[1]
        return process, json.loads(line)

    yield run
    for process in processes:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_serves_until_it_is_told_to_stop(running: Any, number: signal.Signals) -> None:
    process, told = running("oceanex", "--seed", "4", "--faults", "none")
    assert fetch(f"{told['rest']}/timestamp")["code"] == 0
    assert fetch(f"{told['control']}ledger")["next"] > 0
    key = Path(told["credentials"]["private_key"].removeprefix("file:"))
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert key.read_text().startswith("-----BEGIN PRIVATE KEY-----")
    assert "private_key" not in told
    assert Path(told["credentials"]["uid"].removeprefix("file:")).read_text() == told["uid"]

    process.send_signal(number)
    out, err = process.communicate(timeout=PATIENCE_SECS)
    assert (process.returncode, out, err) == (0, "", "")
    assert not key.exists()  # the temporary folder went with it


@pytest.mark.parametrize("name", registry.simulated())
def test_no_secret_is_in_what_is_told_but_where_it_is(name: str, tmp_path: Path) -> None:
    """Of the account only its number, and a key's: a client is configured with them."""
    made = _simulator(name)(now_ns=time.time_ns(), seed=1, ids_from=1)
    described = dict(made.describe("http://127.0.0.1:1", "ws://127.0.0.1:1"))
    given: Any = described["credentials"]
    secrets = {one: text for one, text in given.items() if one not in NO_SECRETS}
    assert secrets
    told = json.dumps(_account(made, lambda: described, tmp_path))
    for credential, text in secrets.items():
        assert json.dumps(text)[1:-1] not in told, credential
        file = tmp_path / credential
        assert (file.read_text(), stat.S_IMODE(file.stat().st_mode)) == (text, 0o600)
        assert f"file:{file}" in told


def test_replay_drives_the_named_market(running: Any, tmp_path: Path) -> None:
    name = write_catalog(tmp_path / "catalog")
    _, told = running(
        "oceanex",
        *("--replay", str(tmp_path / "catalog"), "--instrument", name, "--market", "ethusdt"),
        *("--account-dir", str(tmp_path / "account")),
    )
    book = fetch(f"{told['rest']}/order_book?market=ethusdt")["data"]
    assert [price for price, _ in book["bids"]] == ["99.5"]
    assert {p.name for p in (tmp_path / "account").iterdir()} == {"uid", "key_id", "private_key"}


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["nowhere"], 2, "no adapter 'nowhere'; known: binance, mudawyl, oceanex"),
        (["oceanex", "--faults", "worse"], 2, "none, mild, bad"),
        (["oceanex", "--replay", "x"], 2, "--replay and --instrument go together"),
        (["oceanex", "--port", "80000"], 2, "less than or equal to 65535"),
        (["poloniex", "--port", "-1"], 2, "greater than or equal to 0"),
        (["oceanex", "--market", "x"], 2, "--market needs --replay"),
        (["oceanex", "--replay", "x", "--instrument", "A.B"], 4, "catalog x: not a directory"),
    ],
)
def test_wrong_usage_is_one_clear_error(arguments: list[str], code: int, text: str) -> None:
    process = start(*arguments)
    out, err = process.communicate(timeout=PATIENCE_SECS)
    assert (process.returncode, out) == (code, "")
    assert text in err
    assert "Traceback" not in err


def test_a_taken_port_is_one_clear_error(running: Any) -> None:
    _, told = running("oceanex")
    port = told["rest"].rsplit(":", 1)[1].split("/")[0]
    process = start("oceanex", "--port", port)
    _, err = process.communicate(timeout=PATIENCE_SECS)
    assert process.returncode == 2  # no venue is unreachable, and no key refused
    assert f"can't listen on 127.0.0.1:{port}: Address already in use; choose another" in err
    assert "--port 0" in err


@pytest.mark.parametrize("key", ["oceanex", "poloniex"])
def test_a_second_start_keeps_the_key_of_the_first(running: Any, key: str, tmp_path: Path) -> None:
    """A config that runs, or will run, against the first is not locked out."""
    folder = tmp_path / "account"
    running(key, "--seed", "1", "--account-dir", str(folder))
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    process, told = running(key, "--seed", "2", "--account-dir", str(folder))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    strategy = {
        "id": "S-1",
        "path": "tests.live.scripted:Scripted",
        "params": {"instrument_id": f"BTC_USDT.{key.upper()}", "does": "nothing"},
    }
    config = configs.write(tmp_path, Venue(process, told), strategies=[strategy])
    ended = run("live", config, "--for", "4")
    assert ended.returncode == 0, ended.stderr[-2000:]


def test_an_account_folder_that_takes_no_file_is_one_clear_error() -> None:
    process = start("oceanex", "--account-dir", "/proc/none")
    _, err = process.communicate(timeout=PATIENCE_SECS)
    assert process.returncode == 2
    assert "E-VENUE-ACCOUNT" in err
    assert "E-UNEXPECTED" not in err


def test_a_key_that_is_none_is_one_clear_error(running: Any, tmp_path: Path) -> None:
    process, _ = running("oceanex", "--account-dir", str(tmp_path))
    process.terminate()
    process.communicate(timeout=PATIENCE_SECS)
    (tmp_path / "private_key").write_text("no key")
    second = start("oceanex", "--account-dir", str(tmp_path))
    _, err = second.communicate(timeout=PATIENCE_SECS)
    assert second.returncode == 2
    assert "E-VENUE-ACCOUNT" in err
    assert "Traceback" not in err
