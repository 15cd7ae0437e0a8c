"""`fairlead doctor` names each planted trouble, with its remedy: real files, locks and a venue."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from fairlead.adapters.oceanex.simulator_markets import OceanexSimOptions
from fairlead.engine.orders.journal import Journal
from fairlead.engine.orders.key_lock import FOLDER_VARIABLE, key_lock
from fairlead.engine.orders.model import Intent, Kind, Side
from fairlead.engine.risk.state import Halt, RiskState, RiskStateFile
from fairlead.engine.risk.states import encoded
from fairlead.engine.run.health.found import Trouble
from fairlead.engine.run.health.look import look
from fairlead.engine.secrets import Secret
from tests.live.hosted import simulated
from tests.support import configs
from tests.support.patience import PATIENCE_SECS
from tests.support.processes import FAIRLEAD, Venue, command, wait_for

PAGE = '[observe]\npage = "127.0.0.1:{port}"\n'


class Patient:
    """A config with nothing wrong, its folder, and what is planted there."""

    def __init__(self, folder: Path, served: Venue) -> None:
        self.folder = folder
        self.served = served
        self.keys = folder / "keys"
        self.keys.mkdir()
        for name, reference in served.line["credentials"].items():
            (self.keys / name).write_text(Path(reference.removeprefix("file:")).read_text())
            (self.keys / name).chmod(0o600)
        self.state = folder / "state"
        self.state.mkdir(mode=0o700)
        self.journal = self.state / "oceanex-main.journal.sqlite"
        self.risk = self.state / "oceanex-main.risk.json"
        self.lock = self.state / "oceanex-main.lock"
        self.runtime = folder / "runtime"
        self.runtime.mkdir(mode=0o700)
        self.env = {FOLDER_VARIABLE: str(self.runtime)}
        self.options: dict[str, Any] = {}
        self.stack = ExitStack()
        self.more = ""
        self.is_online = False

    def write(self) -> Path:
        path = configs.write(
            self.folder, self.served, strategies=[], more=self.more, options=self.options
        )
        text = path.read_text()
        for name, reference in self.served.line["credentials"].items():
            text = text.replace(reference, f"file:keys/{name}")
        path.write_text(text)
        return path

    def book(self, *, accepted: bool = True) -> None:
        """A journal with one order, whose outcome is proven or not."""
        intent = Intent(
            client_order_id="11111111-1111-4111-8111-111111111111",
            strategy="S-1",
            instrument="BTC_USDT.OCEANEX",
            side=Side.BUY,
            kind=Kind.LIMIT,
            quantity=Decimal("0.1"),
            price=Decimal(20_000),
        )
        with closing(Journal(self.journal, fsync=False, now_ns=time.time_ns)) as journal:
            journal.intend([intent])
            if accepted:
                journal.accepted(intent.client_order_id, "77", instrument=intent.instrument)


@pytest.fixture
def patient(served: Venue, tmp_path: Path) -> Iterator[Patient]:
    made = Patient(tmp_path, served)
    with made.stack:
        yield made
    for path in made.keys.iterdir():  # none is left as a test has made it, for others to read
        path.chmod(0o600)


# -- what is planted -----------------------------------------------------------------------------


def key_that_others_read(one: Patient) -> None:
    (one.keys / "private_key").chmod(0o644)


def key_file_gone(one: Patient) -> None:
    (one.keys / "private_key").unlink()


def key_of_an_empty_file(one: Patient) -> None:
    (one.keys / "uid").write_text("\n")


def key_cut_short(one: Patient) -> None:
    path = one.keys / "private_key"
    path.write_text(path.read_text()[:400])


def key_of_a_variable_that_is_not_set(one: Patient) -> None:
    path = one.write()
    path.write_text(path.read_text().replace("file:keys/uid", "env:NOBODY_HAS_SET_THIS"))


def key_that_the_venue_does_not_know(one: Patient) -> None:
    made = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
    pem = made.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    (one.keys / "private_key").write_bytes(pem)
    one.is_online = True


def venue_that_is_away(one: Patient) -> None:
    one.options["http_url"] = f"http://127.0.0.1:{free_port()}/v1"
    one.is_online = True


def stream_that_is_away(one: Patient) -> None:
    one.options["ws_url"] = f"ws://127.0.0.1:{free_port()}"
    one.is_online = True


def venue_with_another_clock(one: Patient) -> None:
    ahead = one.stack.enter_context(
        simulated(one.folder / "ahead", OceanexSimOptions(), clock_secs=3_600)
    )
    one.options["http_url"] = ahead["rest"]
    one.is_online = True


def journal_written_over(one: Patient) -> None:
    one.book()
    with one.journal.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 20_000)


def journal_cut_to_nothing(one: Patient) -> None:
    one.journal.write_bytes(b"")
    one.journal.chmod(0o600)


def journal_of_another_version(one: Patient) -> None:
    one.book()
    with closing(sqlite3.connect(one.journal)) as db, db:
        db.execute("UPDATE meta SET value = '99' WHERE key = 'schema'")


def journal_that_others_read(one: Patient) -> None:
    one.book()
    one.journal.chmod(0o644)


def journal_taken_away(one: Patient) -> None:
    """Under its writer, which saves it; another is in its place by then."""
    with closing(Journal(one.journal, fsync=False, now_ns=time.time_ns)) as journal:
        journal.note("X", "x", {})
        for path in one.state.glob("*.sqlite*"):
            path.unlink()
    assert list(one.state.glob("*.saved-*"))
    one.book()


def order_without_an_outcome(one: Patient) -> None:
    one.book(accepted=False)


def folder_that_others_write_to(one: Patient) -> None:
    one.state.chmod(0o777)


def folder_that_is_a_file(one: Patient) -> None:
    (one.folder / "plain").write_text("")
    one.more = '[run]\nstate_dir = "plain/state"\n'


def file_of_another_user(one: Patient) -> None:
    if os.geteuid():
        pytest.skip("giving a file away needs root")
    one.book()
    os.chown(one.journal, 12_345, -1)


def risk_state_that_is_no_json(one: Patient) -> None:
    one.risk.write_text("{")
    one.risk.chmod(0o600)


def halt_in_force(one: Patient) -> None:
    halt = Halt(reason="lost 500 USDT today", ts_ns=time.time_ns(), code="DAILY_LOSS")
    RiskStateFile(one.risk).write(encoded(RiskState(halt=halt)))


def kill_in_force(one: Patient) -> None:
    words = ("kill", "all", "--action", "halt", "--config", str(one.write()))
    assert command(*words).returncode == 0


def kill_file(one: Patient) -> None:
    (one.state / "KILL").touch()


def lock_of_a_run_that_is_stopped(one: Patient) -> None:
    code = (
        "import sys, time; from pathlib import Path; "
        "from fairlead.engine.orders.lock import AccountLock\n"
        "with AccountLock(Path(sys.argv[1])): print('held', flush=True); time.sleep(600)"
    )
    holder = started(one, [sys.executable, "-c", code, str(one.lock)], "held")
    holder.send_signal(signal.SIGSTOP)
    stat = Path(f"/proc/{holder.pid}/stat")
    wait_for(lambda: stat.read_text().rpartition(")")[2].split()[0] == "T", "it to be stopped")


def lock_of_something_else(one: Patient) -> None:
    if shutil.which("flock") is None:
        pytest.skip("flock is not installed")
    started(one, ["flock", str(one.lock), "sh", "-c", "echo held; exec sleep 600"], "held")


def lock_that_is_a_link(one: Patient) -> None:
    one.lock.symlink_to(one.folder / "elsewhere")


def account_traded_from_another_folder(one: Patient) -> None:
    line = one.served.line
    secrets = {name: Secret((one.keys / name).read_text(), "") for name in line["credentials"]}
    addresses = {"http_url": line["rest"], "ws_url": line["ws"]}
    one.stack.enter_context(pytest.MonkeyPatch.context()).setenv(FOLDER_VARIABLE, str(one.runtime))
    one.stack.enter_context(key_lock("oceanex", addresses, secrets, one.folder / "other"))


def folder_of_locks_that_others_write_to(one: Patient) -> None:
    one.runtime.chmod(0o777)


def page_s_port_taken(one: Patient) -> None:
    other = one.stack.enter_context(socket.socket())
    other.bind(("127.0.0.1", 0))
    other.listen()
    one.more = PAGE.format(port=other.getsockname()[1])


def page_s_token_that_others_read(one: Patient) -> None:
    one.more = PAGE.format(port=free_port())
    (one.state / "page.token").write_text("t" * 43 + "\n")
    (one.state / "page.token").chmod(0o644)


def config_with_a_key_that_is_none(one: Patient) -> None:
    one.more = "[risk]\nmax_open_order = 3\n"


def config_without_a_venue_s_key(one: Patient) -> None:
    path = one.write()
    text = path.read_text()
    begin = text.index("credentials =")
    path.write_text(text[:begin] + text[text.index("\n", begin) :])


def write_that_was_cut_short(one: Patient) -> None:
    (one.state / ".page.token.new").write_text("")


PLANTED: dict[Callable[[Patient], None], tuple[str, str]] = {
    key_that_others_read: ("E-SEC-006", "chmod 600"),
    key_file_gone: ("E-SEC-004", "mode 0600"),
    key_of_an_empty_file: ("E-SEC-003", "put the credential"),
    key_cut_short: ("E-SEC-008", "PEM"),
    key_of_a_variable_that_is_not_set: ("E-SEC-002", "export NOBODY_HAS_SET_THIS"),
    key_that_the_venue_does_not_know: ("OCEANEX", "make a new key"),
    venue_that_is_away: ("OCEANEX-", "look at the network"),
    stream_that_is_away: ("WS-CONNECT", "the addresses in [venues.oceanex.options]"),
    venue_with_another_clock: ("CLOCK", "NTP"),
    journal_written_over: ("JRN-", "docs/journal.md"),
    journal_cut_to_nothing: ("JRN-READ", "docs/journal.md"),
    journal_of_another_version: ("JRN-SCHEMA", "the fairlead that wrote it"),
    journal_that_others_read: ("FILE-MODE", "chmod 600"),
    journal_taken_away: ("JRN-SAVED", "put it back"),
    order_without_an_outcome: ("UNKNOWN", "start the run"),
    folder_that_others_write_to: ("STATE-MODE", "chmod 700"),
    folder_that_is_a_file: ("STATE-UNWRITABLE", "name another"),
    file_of_another_user: ("FILE-OWNER", "chown"),
    risk_state_that_is_no_json: ("RISK-STATE", "move the file away"),
    halt_in_force: ("HALTED", "fairlead kill venue oceanex --clear"),
    kill_in_force: ("KILLED", "fairlead kill all --clear"),
    kill_file: ("KILL-FILE", "fairlead kill all --clear"),
    lock_of_a_run_that_is_stopped: ("LOCK-HUNG", "kill -CONT"),
    lock_of_something_else: ("LOCK-FOREIGN", "end it: kill"),
    lock_that_is_a_link: ("LOCK-LINK", "rm "),
    account_traded_from_another_folder: ("LOCK-ELSEWHERE", "end one of the two"),
    folder_of_locks_that_others_write_to: ("LOCK-FOLDER", "chmod 700"),
    page_s_port_taken: ("PAGE-PORT", "name another port"),
    page_s_token_that_others_read: ("PAGE-TOKEN", "makes a new one"),
    config_with_a_key_that_is_none: ("E-CFG-014", "max_open_orders"),
    config_without_a_venue_s_key: ("E-CFG-042", "name it"),
    write_that_was_cut_short: ("UNFINISHED", "rm -r"),
}


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__)
def test_it_is_named_with_its_remedy(patient: Patient, plant: Callable[[Patient], None]) -> None:
    code, remedy = PLANTED[plant]
    plant(patient)
    config = patient.folder / "test.toml"
    if not config.exists():
        patient.write()
    before = listing(patient)
    told = examined(patient, config)
    mine = [one for one in told if one.code.startswith(code)]
    assert mine, told
    assert remedy in mine[0].remedy
    assert listing(patient) == before, "it writes nothing"


def test_where_nothing_is_wrong_it_says_so(patient: Patient) -> None:
    patient.book()
    patient.more = PAGE.format(port=free_port())
    done = command("doctor", str(patient.write()), "--json", env=patient.env)
    found = json.loads(done.stdout)
    told = [one["code"] for check in found["checks"] for one in check["troubles"]]
    assert told == ["LOCK-FOLDER"], "its variable is set here, and it says so"
    assert (done.returncode, found["is_well"]) == (0, True)


def test_a_person_and_a_program_are_told_the_same(patient: Patient) -> None:
    patient.book()
    patient.journal.chmod(0o644)
    kill_file(patient)
    config = str(patient.write())
    done = command("doctor", config, "--json", "--offline", env=patient.env)
    found = json.loads(done.stdout)
    told = [one for check in found["checks"] for one in check["troubles"]]
    bad = [one for one in told if one["level"] == "bad"]
    assert [one["code"] for one in bad] == ["FILE-MODE", "KILL-FILE"]
    assert done.returncode == bad[0]["exit_code"] == 1
    shown = command("doctor", config, "--offline", env=patient.env)
    assert shown.returncode == 1
    for one in told:
        word = "TROUBLE" if one["level"] == "bad" else "look"
        assert f"   {word} {one['code']}: {one['text']}\n" in shown.stdout
        assert f"   remedy: {one['remedy']}\n" in shown.stdout


def examined(patient: Patient, config: Path) -> list[Trouble]:
    """Without a process of its own, as there are many: what is looked at is as real."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in patient.env.items():
            patch.setenv(name, value)
        found = list(look(config, asks=patient.is_online, tell=lambda _: None))
    return [one for check in found for one in check.troubles]


def listing(patient: Patient) -> dict[str, bytes | None]:
    return {
        str(path): path.read_bytes() if path.is_file() else None
        for path in sorted(patient.folder.rglob("*"))
        if not path.name.endswith(("-shm", "-wal"))
    }


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def started(patient: Patient, command_line: list[str], sign: str) -> subprocess.Popen[str]:
    holder = subprocess.Popen(
        command_line, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert holder.stdout is not None
    patient.stack.callback(ended, holder)
    assert holder.stdout.readline().strip() == sign
    return holder


def ended(holder: subprocess.Popen[str]) -> None:
    os.killpg(holder.pid, signal.SIGKILL)
    holder.wait(PATIENCE_SECS)


# -- of the machine ------------------------------------------------------------------------------


def alone(*more: str, **env: str) -> list[dict[str, Any]]:
    """In a process begun anew: what is on its path, and what its shell allows, count."""
    done = subprocess.run(
        [*more, FAIRLEAD, "doctor", "--json"],
        capture_output=True,
        text=True,
        env={**os.environ, **env},
        timeout=PATIENCE_SECS,
        check=False,
    )
    assert "Traceback" not in done.stderr
    return [one for check in json.loads(done.stdout)["checks"] for one in check["troubles"]]


def metadata(folder: Path, name: str, version: str, *lines: str) -> None:
    made = folder / f"{name}-{version}.dist-info"
    made.mkdir()
    text = ("Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *lines, "")
    (made / "METADATA").write_text("\n".join(text))


def test_a_package_of_another_version(tmp_path: Path) -> None:
    metadata(tmp_path, "nautilus_trader", "2.0.0rc1")
    (one,) = alone(PYTHONPATH=str(tmp_path))
    assert one["code"] == "PACKAGE"
    assert "nautilus-trader is 2.0.0rc1, ==2.0.0rc7 is needed" in one["text"]
    assert one["remedy"].startswith("pip install 'nautilus-trader==2.0.0rc7'")


def test_another_python_and_a_package_that_is_missing(tmp_path: Path) -> None:
    needs = ("Requires-Python: >=3.99", "Requires-Dist: nobody-has-this>=1.2")
    metadata(tmp_path, "fairlead", "0.1.0", *needs)
    first, second = alone(PYTHONPATH=str(tmp_path))
    assert (first["code"], second["code"]) == ("PYTHON", "PACKAGE")
    assert ">=3.99 is needed" in first["text"]
    assert "nobody-has-this is not installed" in second["text"]


def test_too_few_files() -> None:
    (one,) = alone("sh", "-c", 'ulimit -n 100 && exec "$@"', "sh")
    assert one["code"] == "FILES-LIMIT"
    assert one["remedy"].startswith("ulimit -n")


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("mounting a small disk needs root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_disk_that_is_nearly_full(patient: Patient) -> None:
    with small_disk(patient.folder / "disk"):
        patient.more = '[run]\nstate_dir = "disk/state"\n'
        told = examined(patient, patient.write())
    (one,) = [one for one in told if one.code == "DISK"]
    assert "free the disk" in one.remedy
