"""Which run is a config's, by who holds its accounts."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from fairlead.adapters import registry
from fairlead.engine.config.loaded import LoadedConfig, account_files
from fairlead.engine.config.loader import load
from fairlead.engine.errors import Exit
from fairlead.engine.observe.page.sign import Sign, Signing, sign_file
from fairlead.engine.orders.journal import Journal
from fairlead.engine.orders.lock import AccountLock
from fairlead.engine.run.answers import Answers, exit_of
from fairlead.engine.run.at_rest import AtRest
from fairlead.engine.run.up import up_of
from tests.unit.kill.test_command import CONFIG
from tests.unit.orders.conftest import intent

SECOND = (
    CONFIG[CONFIG.index("[venues.oceanex]") :]
    .replace("[venues.oceanex", "[venues.other")
    .replace("BTC_USDT.OCEANEX", "BTC_USDT.OTHER")
)


def loaded_in(folder: Path, text: str = CONFIG) -> LoadedConfig:
    (folder / "run.toml").write_text(text)
    return load(folder / "run.toml", registry)


@pytest.mark.parametrize("does", ["closes positions", "compacts", "upgrades", "resolves"])
def test_a_command_that_holds_the_account_is_no_run(tmp_path: Path, does: str) -> None:
    loaded = loaded_in(tmp_path)
    with AccountLock(account_files(loaded, "oceanex").lock, f" ({does})"):
        answers = Answers(loaded)
        status = answers.status()
    (wrong,) = status.wrong
    assert (status.state, wrong.code, exit_of(status)) == ("stopped", "NOT-RUNNING", Exit.NO_DATA)
    assert f"process {os.getpid()} ({does}) has its account oceanex-main" in wrong.text
    assert f"beside process {os.getpid()} ({does})" in answers.told_by


def test_a_run_that_could_not_announce_itself_is_the_configs(tmp_path: Path) -> None:
    loaded = loaded_in(tmp_path)
    with AccountLock(account_files(loaded, "oceanex").lock):
        assert up_of(loaded).pid == os.getpid()


def test_what_is_open_in_an_account_that_nobody_has_is_told_beside_one_that_somebody_has(
    tmp_path: Path,
) -> None:
    loaded = loaded_in(tmp_path, CONFIG + SECOND)
    for key in loaded.traded:
        path = account_files(loaded, key).journal
        path.parent.mkdir(exist_ok=True)
        with closing(Journal(path, fsync=False, now_ns=lambda: 1)) as journal:
            name = f"BTC_USDT.{key.upper()}"
            for number in range(2):
                one = intent(f"{key}{number}", instrument=name)
                journal.intend([one])
                journal.accepted(one.client_order_id, f"V{number}", instrument=name)
    with AccountLock(account_files(loaded, "oceanex").lock, " (closes positions)"):
        told = {one.code: one.text for one in AtRest(loaded, up_of(loaded)).status().wrong}
    assert told["OPEN"].startswith("2 orders are open by the journal")
    assert "has its account oceanex-main" in told["NOT-RUNNING"]


def test_the_sign_of_a_dead_run_of_the_same_number_is_not_that_of_the_start(tmp_path: Path) -> None:
    """As in a container, whose first process is the run each time; it was up, and is long dead."""
    loaded = loaded_in(tmp_path)
    sources: Any = SimpleNamespace(loaded=loaded, mode="live")
    lock = account_files(loaded, "oceanex").lock
    with AccountLock(lock):
        left = sign_file(loaded, "live", os.getpid())
        left.write_bytes(
            msgspec.json.encode(Sign(pid=os.getpid(), state="running", is_up=True, wrong=[]))
        )
        os.utime(left, (1, 1))
        assert codes_of(loaded) == ["NO-ANSWER"]
    Signing(sources)
    with AccountLock(lock):
        assert codes_of(loaded) == ["NO-SIGN"], "a start takes long, and is nothing to be woken for"


def codes_of(loaded: LoadedConfig) -> list[str]:
    return [one.code for one in AtRest(loaded, up_of(loaded)).status().wrong]
