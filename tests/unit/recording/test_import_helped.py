"""A big file is imported with two processes beside: the catalog and the report are the same."""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from fairlead.engine.recording.importers import binance_reading, converting, whole
from fairlead.engine.recording.importers.binance import import_binance
from fairlead.engine.recording.importers.report import ImportReport
from fairlead.engine.recording.importers.staging import ImportFailed
from tests.support.patience import PATIENCE_SECS
from tests.unit.recording.test_import_binance import DATA, ROOT
from tests.unit.recording.test_import_faults import WHOLE, depth, snapshot, steady, trade

HEAD = "fairlead.engine.recording.importers.binance.HEAD_LINES"


class Helpers(list[subprocess.Popen[bytes]]):
    """The processes that an import has started beside itself."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()
        monkeypatch.setattr(whole, "is_worth_helpers", lambda _: True)
        monkeypatch.setattr(HEAD, 5)
        start = subprocess.Popen

        def started(*args, **options):
            self.append(start(*args, **options))
            return self[-1]

        monkeypatch.setattr(subprocess, "Popen", started)

    def require_over(self) -> None:
        assert all(process.returncode is not None for process in self)


@pytest.fixture
def helpers(monkeypatch) -> Helpers:
    return Helpers(monkeypatch)


def told(report: ImportReport) -> dict:
    found = msgspec.to_builtins(report)
    return {name: found[name] for name in found if name not in ("seconds", "catalog")}


def files_of(catalog: Path) -> dict[str, bytes]:
    paths = [path for path in sorted(catalog.rglob("*")) if path.is_file()]
    return {str(path.relative_to(catalog)): path.read_bytes() for path in paths}


def require_same(file: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> ImportReport:
    """With helpers, and without: one result."""
    helped = import_binance(file, folder / "helped")
    monkeypatch.setattr(whole, "is_worth_helpers", lambda _: False)
    alone = import_binance(file, folder / "alone")
    assert told(helped) == told(alone)
    assert files_of(folder / "helped") == files_of(folder / "alone")
    return helped


def odd_lines() -> list[bytes]:
    """Among them one finer than all before, which begins the import again."""
    lines = [snapshot(0, 1000, *WHOLE), *steady(1001, 20)]
    lines += [
        b"",
        b"not a line",
        trade(2200, 1, "100.00", "1.0"),
        trade(2201, 2, "-100.00", "1.0"),
        trade(2202, 3, "99999999999999999", "1.0"),
        trade(2203, 1, "100.00", "1.0"),
        trade(9_000_000, 4, "100.00", "1.0"),
        b'1800000002300500000 {"result":null,"id":1}',
        b'1800000002300500000 {"stream":"aaausdt@depth5","data":{"e":"depthUpdate"}}',
        depth(2400, 1021, 1021, {"97.00": "1.0"}, {}),
        depth(2500, 1030, 1031, {"97.00": "1.0"}, {}),
        trade(2600, 5, "100.123", "1.0"),
        trade(2700, 6, "20.5", "1.0", "BBBUSDT"),
        snapshot(2800, 1031, *WHOLE),
        depth(2900, 1032, 1032, {"97.00": "2.0"}, {}),
    ]
    return lines


@pytest.mark.parametrize("market", ["usdm", "spot"])
def test_a_recording_is_imported_alike_with_helpers(market, helpers, monkeypatch, tmp_path):
    report = require_same(DATA / f"binance_{market}_400.gz", tmp_path, monkeypatch)
    assert (report.lines, len(helpers)) == (400, 2)
    helpers.require_over()


def test_odd_lines_beyond_the_head_are_told_alike(helpers, monkeypatch, tmp_path):
    file = tmp_path / "odd.txt"
    file.write_bytes(b"\xef\xbb\xbf" + b"\n".join(odd_lines()))
    report = require_same(file, tmp_path, monkeypatch)
    assert (report.malformed, report.gaps > 0, len(report.instruments)) == (6, True, 2)
    helpers.require_over()


def test_the_end_of_a_damaged_file_is_told_alike(helpers, monkeypatch, tmp_path):
    file = tmp_path / "cut.gz"
    file.write_bytes(gzip.compress(b"\n".join(odd_lines()))[:-30])
    report = require_same(file, tmp_path, monkeypatch)
    assert "truncated" in report.damage


@pytest.mark.parametrize("count", [2, 7, 8, 9])
def test_a_file_that_ends_where_the_helper_begins(count, helpers, monkeypatch, tmp_path):
    file = tmp_path / "short.txt"
    file.write_bytes(b"\n".join(odd_lines()[:count]) + b"\n")
    assert require_same(file, tmp_path, monkeypatch).lines == count


PART = "import os, sys; os.write(int(sys.argv[1]), (64).to_bytes(8, 'little') + b'ab')"
DEAD = {
    "that cannot be started": lambda *_: ["/nowhere/python"],
    "that ends at once": lambda *_: [sys.executable, "-c", ""],
    "that stops amid a block": lambda *given: [sys.executable, "-c", PART, given[-1]],
}


@pytest.mark.parametrize("module", [binance_reading, converting])
@pytest.mark.parametrize("command", DEAD.values(), ids=DEAD)
def test_a_helper(
    command: Callable[..., list[str]], module, helpers, monkeypatch, tmp_path
) -> None:
    """Costs time alone: the import begins again without one."""
    monkeypatch.setattr(module, "module_command", command)
    require_same(DATA / "binance_usdm_400.gz", tmp_path, monkeypatch)
    helpers.require_over()


def test_a_helper_that_is_killed(helpers, monkeypatch, tmp_path):
    def kill(*_: object) -> None:
        helpers[-1].kill()

    file = DATA / "binance_usdm_400.gz"
    report = import_binance(file, tmp_path / "helped", progress=kill)
    monkeypatch.setattr(whole, "is_worth_helpers", lambda _: False)
    assert told(report) == told(import_binance(file, tmp_path / "alone"))
    assert files_of(tmp_path / "helped") == files_of(tmp_path / "alone")


def test_an_interrupt_ends_the_helpers_and_leaves_nothing(helpers, tmp_path):
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_binance(DATA / "binance_usdm_400.gz", tmp_path / "cat", progress=interrupt)
    helpers.require_over()
    assert len(helpers) == 2
    assert list(tmp_path.iterdir()) == []


def test_a_refused_file_ends_the_helpers_and_leaves_nothing(helpers, tmp_path):
    with pytest.raises(ImportFailed):
        import_binance(
            DATA / "binance_usdm_400.gz", tmp_path / "cat", instruments=["ETHUSDT.BINANCE"]
        )
    helpers.require_over()
    assert list(tmp_path.iterdir()) == []


def test_helpers_of_an_import_that_is_killed_end_by_themselves(tmp_path):
    text = f"""
    import os, signal, subprocess
    from pathlib import Path
    from fairlead.engine.recording.importers import binance, whole
    whole.is_worth_helpers = lambda _: True
    binance.HEAD_LINES = 5
    start, started = subprocess.Popen, []
    subprocess.Popen = lambda *a, **k: started.append(start(*a, **k)) or started[-1]
    calls = []
    def progress(*_):
        calls.append(1)
        if len(calls) == 2:
            print(*(each.pid for each in started), flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
    file = Path({str(DATA / "binance_usdm_400.gz")!r})
    binance.import_binance(file, Path({str(tmp_path / "cat")!r}), progress=progress)
    """
    command = [sys.executable, "-c", textwrap.dedent(text)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    pids = [int(pid) for pid in done.stdout.split()]
    assert (done.returncode, len(pids)) == (-signal.SIGKILL, 2)
    until = time.monotonic() + PATIENCE_SECS
    while any(is_running(pid) for pid in pids):
        assert time.monotonic() < until, "a helper outlives its import"
        time.sleep(0.02)


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"


def test_small_files_and_single_cores_have_no_helpers(monkeypatch):
    monkeypatch.setattr(os, "process_cpu_count", lambda: 2)
    assert whole.is_worth_helpers(whole.HELPED_BYTES_MIN)
    assert not whole.is_worth_helpers(whole.HELPED_BYTES_MIN - 1)
    monkeypatch.setattr(os, "process_cpu_count", lambda: 1)
    assert not whole.is_worth_helpers(whole.HELPED_BYTES_MIN)
