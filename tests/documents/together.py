"""Several command lines in one process, so that what they import is imported once.

    python -m tests.documents.together BASE '["pytest tests/parity", "python -m benchmarks.gate"]'

Of pytest the tests are collected, of a script its imports and definitions are run; printed is a
JSON object, by command line: what came of it (0: well), and what it printed.
"""

from __future__ import annotations

import contextlib
import io
import json
import runpy
import shlex
import sys
import traceback
from pathlib import Path

import pytest


def looked(command: str, base: Path) -> int:
    words = shlex.split(command)
    words = words[1:] if words[0] == "python" else ["-m", *words]
    if words[:2] == ["-m", "pytest"]:
        options = ["--collect-only", "-qq", "-p", "no:cacheprovider", "--basetemp", str(base)]
        return int(pytest.main([*_shorter(words[2:]), *options]))
    is_module = words[0] == "-m"
    sys.argv = words[1:] if is_module else words
    run = runpy.run_module if is_module else runpy.run_path
    run(sys.argv[0], run_name="loaded")
    return 0


def _shorter(words: list[str]) -> list[str]:
    """Of a folder one file, where none of its tests are chosen by name: the suite collects it all.

    A path that is not there stays, and is told.
    """
    if "-k" in words:
        return words
    found = {word: min(Path(word).rglob("test_*.py"), default=word) for word in words}
    return [str(found[word]) if Path(word).is_dir() else word for word in words]


def main() -> None:
    base, commands = Path(sys.argv[1]), json.loads(sys.argv[2])
    told: dict[str, tuple[int, str]] = {}
    for number, command in enumerate(commands):
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            try:
                code = looked(command, base / str(number))
            except BaseException:
                code = 1
                traceback.print_exc(file=out)
        told[command] = (code, out.getvalue())
    print(json.dumps(told))


if __name__ == "__main__":
    main()
