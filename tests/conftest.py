"""The suite ends with a search for its own credentials and signatures in all that it has written.

Everything goes below pytest's base folder: temporary files of the tests and of their processes,
what the processes print, and what is logged. Nothing but the files that are made to hold a
credential may hold one (`ALLOWED`).
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from fairlead.engine.orders.key_lock import FOLDER_VARIABLE
from tests.support import canaries, tiers
from tests.support.order import dealt
from tests.support.spy import sitecustomize as spy

ROOT = Path(__file__).resolve().parents[1]
TOLD = "canaries"  # folder of what the processes tell: it holds every credential
IS_SHORT = (
    "FAIRLEAD_SUITE_IS_SHORT"  # which only the controller of xdist knows: workers are given paths
)
OPEN_KEY_TESTS = ("test_a_key_file_that_others_ca", "test_a_file_that_others_can_re")
# Compiled code and other tools' folders; pytest's cache keeps the names of tests, older ones too,
# hypothesis literals of the sources.
NOT_OURS = frozenset(
    [".git", ".venv", "__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis"]
)
settings.register_profile("untimed", deadline=None)  # a busy machine is no fault
settings.load_profile("untimed")
BASE = pytest.StashKey[Path]()
BEGAN = pytest.StashKey[float]()
FOUND = pytest.StashKey[list[str]]()

# What may hold a credential, and why. Each takes the file and the folder of the whole session.
Allowed = Callable[[Path, Path, canaries.Canaries], bool]
ALLOWED: dict[str, Allowed] = {
    "what the processes tell for this search": lambda path, base, _: base / TOLD in path.parents,
    "a key file, which its mode protects": lambda path, _, known: (
        canaries.is_credential_file(path) or canaries.is_one_credential(path, known)
    ),
    "a key file that a test lets others read, to see it refused": lambda path, _, known: (
        path.parent.name.startswith(OPEN_KEY_TESTS) and canaries.is_one_credential(path, known, 0)
    ),
}


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    if config.getini("tmp_path_retention_policy") != "all":
        raise pytest.UsageError("tmp_path_retention_policy must be all: what is gone is not read")
    base: Path = config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]
    config.stash[BASE], config.stash[BEGAN] = base, time.time()
    if not hasattr(config, "workerinput"):  # of xdist, whose controller sets the environment
        (base / TOLD).mkdir()
        is_short = config.args_source is not pytest.Config.ArgsSource.ARGS
        os.environ[IS_SHORT] = str(int(is_short))
        os.environ[spy.FOLDER] = str(base / TOLD)
        paths = [str(Path(spy.__file__).parent), os.environ.get("PYTHONPATH", "")]
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    spy.watch()
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # so a shell starts a background job
        signal.signal(signal.SIGINT, signal.default_int_handler)  # processes of tests would inherit
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:  # and so does nohup
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    temporary = base / "tmp"
    temporary.mkdir()
    os.environ["TMPDIR"] = str(temporary)
    os.environ[FOLDER_VARIABLE] = str(base / "runtime")  # of what takes it over at its import
    tempfile.tempdir = None  # it is read again
    logging.getLogger().addHandler(logging.FileHandler(base / "session.log"))
    _keep_outputs(base / "outputs")


def _keep_outputs(folder: Path) -> None:
    """What a child process has printed is written down, too."""
    folder.mkdir()
    numbers = count()
    communicate = subprocess.Popen.communicate

    def kept(self: subprocess.Popen[Any], *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        outputs = communicate(self, *args, **kwargs)
        for output in filter(None, outputs):
            text = output if isinstance(output, bytes) else output.encode(errors="replace")
            (folder / f"{next(numbers)}.out").write_bytes(_without_venue_line(text))
        return outputs

    subprocess.Popen.communicate = kept  # type: ignore[method-assign]


def _without_venue_line(text: bytes) -> bytes:
    """The line of `fairlead venue` is there to hand out the test credentials."""
    lines = text.splitlines(keepends=True)
    return b"".join(line for line in lines if not (line[:1] == b"{" and b'"control": ' in line))


def artefacts(base: Path, since: float, known: canaries.Canaries) -> Iterator[Path]:
    """Files below the base folder, and those of the project that were written since."""
    for folder, names, files in ROOT.walk():
        names[:] = [name for name in names if name not in NOT_OURS]
        for name in files:
            path = folder / name
            if path.is_file() and path.stat().st_mtime >= since:
                yield path
    for path in written(base):
        is_allowed = (allowed(path, base, known) for allowed in ALLOWED.values())
        if not any(is_allowed):
            yield path


def written(base: Path) -> Iterator[Path]:
    """Every file below the folder. By os.walk: tens of thousands of paths take pathlib seconds."""
    for folder, _, names in os.walk(base):
        for name in names:
            path = os.path.join(folder, name)
            if os.path.isfile(path) and not os.path.islink(path):
                yield Path(path)


def collected(base: Path) -> canaries.Canaries:
    found = canaries.Canaries()
    for text, source in canaries.told(base / TOLD):
        found.add(text, source)
    for path in written(base):
        if canaries.is_credential_file(path):
            found.add(path.read_text(errors="replace"), f"the credential {path.name}")
    return found


def pytest_itemcollected(item: pytest.Item) -> None:
    if os.environ[IS_SHORT] == "1" and tiers.is_long(item.nodeid):
        item.add_marker(pytest.mark.long)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):  # of xdist, which gives each worker an equal part at first
        items[:] = dealt(items, config.workerinput["workercount"], _folder_file)


def _folder_file(item: pytest.Item) -> tuple[str, str]:
    return item.path.relative_to(ROOT / "tests").parts[0], item.path.name


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    config = session.config
    if hasattr(config, "workerinput") or BASE not in config.stash:
        return
    began = time.monotonic()
    base = config.stash[BASE]
    known = collected(base)
    paths = list(artefacts(base, config.stash[BEGAN], known))
    found = sorted(str(one) for one in canaries.scan_all(paths, known))[: canaries.FOUND_MAX]
    for path in (base / TOLD).glob("*.jsonl"):
        if path.read_bytes().count(b"\n") >= spy.TEXTS_MAX:
            found.append(f"process {path.stem} had more than {spy.TEXTS_MAX}: raise the limit")
    secs = time.monotonic() - began
    config.stash[FOUND] = [
        *found,
        f"{len(known)} credentials and signatures looked for in {len(paths)} files: "
        f"found in {len(found)} places ({secs:.1f} s)",
    ]
    if found:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if lines := config.stash.get(FOUND, []):
        terminalreporter.section("credentials in what the suite has written")
        for line in lines:
            terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def _runtime_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One for each test. Numbered here: pytest's factory looks at every folder there is for each"""
    base = tmp_path_factory.mktemp("runtimes")
    return (base / str(number) for number in count())


@pytest.fixture(autouse=True)
def _own_runtime_folder(_runtime_folders: Iterator[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test has accounts of its own, though the keys of a served venue are the same."""
    monkeypatch.setenv(FOLDER_VARIABLE, str(next(_runtime_folders)))
