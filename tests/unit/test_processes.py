"""Processes of our own are ours, whatever lies in the folder that they are started from."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from fairlead.engine.processes import module_command


def test_modules_of_the_working_folder_are_not_ours(tmp_path: Path) -> None:
    for name in ("fairlead", "types", "msgspec"):
        (tmp_path / f"{name}.py").write_text('raise SystemExit("of the working folder")\n')
    command = module_command("fairlead.engine.cli.main", "--help")
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "Usage" in ended.stdout


def test_nobody_else_starts_a_python_of_ours() -> None:
    root = Path(__file__).resolve().parents[2]
    found = [
        str(path.relative_to(root))
        for folder in ("engine", "adapters")
        for path in (root / folder).rglob("*.py")
        if "sys.executable" in path.read_text()
    ]
    # what `fairlead new venue` writes is the test of a distribution of the user's
    assert found == ["engine/processes.py", "engine/scaffold/write.py"]


@pytest.mark.parametrize(("soft", "most", "code"), [(24, 24, 1), (24, 4096, 0), (24, 200, 0)])
def test_a_run_has_room_for_its_files_or_says_so(
    tmp_path: Path, soft: int, most: int, code: int
) -> None:
    """What a shell gives first is raised to what the process may have."""
    lines = f"""
import resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {most}))
from fairlead.engine.cli.main import main
sys.argv = ["fairlead", "venue", "--help"]
try:
    main()
finally:
    print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""
    done = subprocess.run(
        [sys.executable, "-c", lines], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == code, done.stderr
    if code:
        assert done.stderr.startswith("error FILES-LIMIT: expected room for 128 open files or more")
        assert "24" in done.stderr
    else:
        assert done.stdout.splitlines()[-1] == str(most)
