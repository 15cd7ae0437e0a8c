"""`fairlead kill` without the command line library reads what the library reads, or nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fairlead.engine.cli import kill, kill_fast
from fairlead.engine.cli.app import app
from fairlead.engine.cli.killing import Wanted
from fairlead.engine.errors import Exit
from tests.support.patience import PATIENCE_SECS
from tests.support.processes import FAIRLEAD, ROOT

PLAIN = (
    "all --config run.toml",
    "--config run.toml",
    "--config=run.toml all",
    "venue oceanex --config run.toml",
    "account main --config run.toml --json",
    "strategy maker-1 --config run.toml --action flatten",
    "all --action=halt --config run.toml --reason why",
    "all --reason=a=b --config run.toml --timeout 5",
    "nothing x --config run.toml",
    "a=b --config run.toml",
)
OTHER = (
    "",
    "all",
    "--help",
    "all --config",
    "all --config --json",
    "all --config=",
    "all --config run.toml --clear",
    "--config run.toml --status",
    "all --config run.toml --action stop",
    "all --config run.toml --timeout 0.5",
    "all --config run.toml --timeout nan",
    "all --config run.toml --timeout x",
    "all --config run.toml --json=1",
    "all --config a --config b",
    "all --conf run.toml",
    "a b c --config run.toml",
    "-- all --config run.toml",
    "all --config run.toml -- x",
    "all --config run.toml --unknown",
)


def by_library(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> Wanted | None:
    """What the library makes of it; None when it refuses, or shows its help."""
    found: list[Wanted] = []

    def carry_out(wanted: Wanted) -> int:
        found.append(wanted)
        return 0

    monkeypatch.setattr(kill, "carry_out", carry_out)
    CliRunner().invoke(app, ["kill", *arguments])
    return found[0] if found else None


@pytest.mark.parametrize("line", PLAIN)
def test_plain_forms_are_read_as_the_library_reads_them(
    line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = kill_fast.read(line.split())
    assert read is not None
    assert read == by_library(line.split(), monkeypatch)


@pytest.mark.parametrize("line", OTHER)
def test_everything_else_is_left_to_the_library(line: str) -> None:
    assert kill_fast.read(line.split()) is None


def fairlead_kill(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [FAIRLEAD, "kill", *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=PATIENCE_SECS,
        check=False,
    )


def test_mistakes_are_told_by_the_library_and_stop_nothing(tmp_path: Path) -> None:
    config = tmp_path / "run.toml"
    config.write_text('name = "x"\n')
    done = fairlead_kill("venue", "oceanx", "--config", str(config))
    assert done.returncode == Exit.USAGE
    assert "Usage:" in done.stderr
    assert "Nothing was stopped" in " ".join(done.stderr.split())
    done = fairlead_kill("all", "--config", str(tmp_path / "none.toml"))
    assert done.returncode == Exit.CONFIG
    assert done.stderr.startswith("error KILL-CONFIG: ")
    config.write_text('[run]\nstate_dir = "~nobody-of-this-name/x"\n')
    done = fairlead_kill("all", "--config", str(config))
    assert done.returncode == Exit.CONFIG
    assert done.stderr.startswith("error KILL-CONFIG: ")
    assert not (tmp_path / "state").exists()


def test_nobody_who_reads_the_output_stops_no_kill(tmp_path: Path) -> None:
    config = tmp_path / "run.toml"
    config.write_text('name = "x"\n')
    command = [FAIRLEAD, "kill", "all", "--action", "halt", "--config", str(config)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.wait(PATIENCE_SECS) == Exit.OK
    assert (tmp_path / "state" / "kill-switch" / "all.json").exists()


def test_the_state_is_durable_before_anything_heavy_is_imported() -> None:
    code = (
        "import sys; from fairlead.engine.cli import kill_fast\n"
        "heavy = {'typer', 'asyncio', 'nautilus_trader', 'aiohttp', 'jwt', 'sqlite3'}\n"
        "heavy &= sys.modules.keys()\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_cancelling_imports_nothing_that_only_a_run_needs() -> None:
    code = (
        "import sys; import fairlead.engine.kill.command, fairlead.engine.run.reach\n"
        "import fairlead.engine.run.config\n"
        "from fairlead.adapters import registry\n"
        "for name in registry.names(): registry.spec(name)\n"
        "heavy = {'typer', 'aiohttp', 'uvloop'}\n"
        "heavy |= {f'nautilus_trader.{one}' for one in ('trading', 'live')}\n"
        "heavy |= {f'fairlead.engine.{one}' for one in ('orders.desk', 'kill.flatten')}\n"
        "heavy &= sys.modules.keys()\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
