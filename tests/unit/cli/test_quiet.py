"""Every verb has `--json` and `--quiet`, and what they promise of the outputs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from fairlead.engine.cli.app import VERBS, LazyVerb
from tests.support.processes import command


def verbs() -> Iterator[tuple[str, Any]]:
    """With the verbs of verbs: `runs ls`."""
    for name, (module, line) in VERBS.items():
        loaded = LazyVerb(name, module, line)._load()
        for part, one in getattr(loaded, "commands", {"": loaded}).items():
            yield f"{name} {part}".strip(), one


@pytest.mark.parametrize(("name", "verb"), [pytest.param(*one, id=one[0]) for one in verbs()])
def test_every_verb_has_both(name: str, verb: Any) -> None:
    options = {option for parameter in verb.params for option in parameter.opts}
    assert {"--json", "--quiet", "-q"} <= options


def test_quiet_prints_nothing_and_the_code_tells() -> None:
    for words in (["venues"], ["config", "--explain", "risk.max_position"]):
        loud, quiet = command(*words), command(*words, "--quiet")
        assert loud.stdout
        assert (quiet.returncode, quiet.stdout, quiet.stderr) == (0, "", "")


def test_an_error_is_told_all_the_same() -> None:
    done = command("check", "/nowhere/run.toml", "-q")
    assert done.returncode == 3
    done = command("status", "/nowhere/run.toml", "-q")
    assert done.returncode == 3
    assert done.stdout == ""
    assert done.stderr.startswith("error E-CFG: ")


def test_with_json_its_document_is_all_there_is() -> None:
    done = command("venues", "--json", "--quiet")
    assert done.stderr == ""
    assert len(json.loads(done.stdout)) > 3


def test_a_kill_knows_it_before_the_library_is_imported(tmp_path: Any) -> None:
    config = tmp_path / "run.toml"
    config.write_text('name = "x"\n')
    done = command("kill", "all", "--action", "halt", "--config", str(config), "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    done = command("kill", "--status", "--config", str(config), "-q")
    assert (done.returncode, done.stdout) == (8, "")


def test_an_option_of_every_verb_takes_no_other_ones_place() -> None:
    for name, verb in verbs():
        found = [option for parameter in verb.params for option in parameter.opts]
        assert len(found) == len(set(found)), name
