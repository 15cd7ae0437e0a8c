"""What `make setup` says: that it is done, or that it failed, after whatever pip had to say."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PYTHON = """#!/bin/bash
case "$*" in
  *"-m venv"*) mkdir -p .venv/bin; cp "$0" .venv/bin/python; cp "$0" .venv/bin/fairlead ;;
  *"-m pip"*) echo "WARNING: pip has a word to say" >&2; exit "$PIP_CODE" ;;
  *print*) echo "$0" ;;
  --version) echo "Python 3.13.0" ;;
esac
"""


@pytest.mark.parametrize("pip_code", [0, 1])
def test_the_last_line_says_what_became_of_it(tmp_path: Path, pip_code: int) -> None:
    (tmp_path / ".ci").mkdir()
    for name in ("pyproject.toml", ".ci/requirements-dev.txt", ".ci/setup"):
        shutil.copy(ROOT / name, tmp_path / name)
    python = tmp_path / "python3.13"
    python.write_text(PYTHON)
    python.chmod(0o755)
    path = "/usr/bin:/bin"

    def setup() -> subprocess.CompletedProcess[str]:
        env = {"FAIRLEAD_PYTHON": str(python), "PIP_CODE": str(pip_code), "PATH": path}
        return subprocess.run(
            [tmp_path / ".ci" / "setup"],
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    made = setup()
    last = made.stdout.splitlines()[-1]
    assert "WARNING: pip has a word to say" in made.stdout
    assert made.returncode == pip_code
    assert last.startswith("setup: FAILED" if pip_code else "setup: done")
    again = setup()
    assert bool(again.stdout) == bool(pip_code), "what is done is not told twice"
