"""A journal is read where the disk takes no byte: `fairlead kill` needs its orders there, too."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from fairlead.engine.kill.records import HaltRecord, note
from fairlead.engine.orders.journal import Journal
from fairlead.engine.risk.state import Halt
from tests.support.processes import ROOT

HALT = HaltRecord(halt=Halt(reason="a limit", ts_ns=1))
WRITE = (
    "import os, sys, time; from pathlib import Path\n"
    "from fairlead.engine.orders.journal import Journal\n"
    "from fairlead.engine.kill.records import *; from fairlead.engine.risk.state import Halt\n"
    "one = Journal(Path(sys.argv[1]), fsync=True, now_ns=time.time_ns)\n"
    "note(one, HaltRecord(halt=Halt(reason='a limit', ts_ns=1)))\n"
    "os._exit(0)\n"
)
READ = (
    "import sys; from pathlib import Path; from fairlead.engine.orders.journal import Journal\n"
    "from fairlead.engine.kill.records import halt_of\n"
    "print(halt_of(Journal.reading(Path(sys.argv[1]))))\n"
)


@pytest.mark.parametrize("end", ["closed", "died", "died, and its index is lost"])
def test_a_full_disk_keeps_nobody_from_reading(tmp_path: Path, end: str) -> None:
    path = tmp_path / "main.journal.sqlite"
    if end == "closed":
        with closing(Journal(path, fsync=True, now_ns=time.time_ns)) as journal:
            note(journal, HALT)
    else:
        subprocess.run([sys.executable, "-c", WRITE, str(path)], cwd=ROOT, check=True)
        assert path.with_name(f"{path.name}-wal").stat().st_size
    if end.endswith("lost"):
        path.with_name(f"{path.name}-shm").unlink()
    full = ("sh", "-c", 'ulimit -f 0; exec "$@"', "sh")
    for _ in range(2):  # the first leaves nothing that keeps the second from it
        done = subprocess.run(
            [*full, sys.executable, "-c", READ, str(path)],
            capture_output=True,
            text=True,
            cwd=ROOT,
            check=False,
        )
        assert done.stdout == f"{HALT.halt}\n", done.stderr
    with closing(Journal(path, fsync=True, now_ns=time.time_ns)) as journal:
        assert journal.last_note("halt", HaltRecord) is not None
        assert journal.problems() == []
