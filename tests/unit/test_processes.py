"""Processes of our own are ours, whatever lies in the folder that they are started from."""

from __future__ import annotations

import subprocess
from pathlib import Path

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
