"""Shell completion: the script of each shell comes out, and what it calls completes verbs."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.support.processes import FAIRLEAD, PATIENCE_SECS

# Typer asks which shell it runs in; a test runs in none.
NAMED = {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
BIN = str(Path(FAIRLEAD).parent)


def told(*words: str, **env: str) -> str:
    return subprocess.run(
        list(words),
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE_SECS,
        env={**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", **env},
    ).stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_each_shell(shell: str) -> None:
    script = told(FAIRLEAD, "--show-completion", shell, **NAMED)
    assert f"complete_{shell}" in script
    assert "_FAIRLEAD_COMPLETE" in script


@pytest.mark.parametrize(
    ("line", "expected"), [("fairlead ba", "backtest"), ("fairlead live --f", "--for")]
)
def test_verbs_and_options_are_completed(line: str, expected: str) -> None:
    words = {"COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
    assert told(FAIRLEAD, _FAIRLEAD_COMPLETE="complete_bash", **words).split() == [expected]
    args = {"_TYPER_COMPLETE_ARGS": line}
    assert f'"{expected}":' in told(FAIRLEAD, _FAIRLEAD_COMPLETE="complete_zsh", **args)
    fish = {**args, "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    found = told(FAIRLEAD, _FAIRLEAD_COMPLETE="complete_fish", **fish)
    assert found.startswith(f"{expected}\t")


def test_bash_completes_a_verb() -> None:
    asked = (
        "source <(fairlead --show-completion bash); COMP_WORDS=(fairlead ki); COMP_CWORD=1; "
        '_fairlead_completion fairlead; echo "${COMPREPLY[@]}"'
    )
    assert told("bash", "-c", asked, **NAMED).strip() == "kill"
