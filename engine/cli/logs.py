"""`fairlead logs`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from fairlead.engine.cli.asking import ConfigFile, Mode, plain
from fairlead.engine.errors import Exit, FairleadError

if TYPE_CHECKING:
    from fairlead.engine.run.log_lines import LogLine

LAST = 50
LOOK_SECS = 0.5
NOT_KEPT = (
    "no such line: what the run said is not in a file, it went to its own stderr (where it was "
    "started, `journalctl` of a service). To keep a log, add [log] to the config (docs/operate.md)"
)


def command(
    config: ConfigFile,
    last: Annotated[int, typer.Option("--last", min=1, max=100_000, help="How many lines.")] = LAST,
    level: Annotated[
        Literal["debug", "info", "warning", "error"] | None,
        typer.Option(case_sensitive=False, help="Only lines of this level or a worse one."),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with what comes, until Ctrl-C.")
    ] = False,
    mode: Mode = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
) -> None:
    """Print the last lines of the run's logs in the state folder, also of a run that is over.

    What a run tells people is among them where the config has `[log]`, else on its stderr only:
    where it was started (`journalctl` of a service).
    """
    from fairlead.engine.run.config import load
    from fairlead.engine.run.log_lines import Log
    from fairlead.engine.run.up import up_of

    loaded = load(config)
    log = Log.of(loaded, up_of(loaded, mode or "").mode)
    if log is None:
        raise FairleadError(
            "LOG-NONE",
            f"no run of {loaded.config.name} has left a log in {loaded.state_dir / 'logs'}",
            Exit.NO_DATA,
        )
    try:
        lines = log.last(last, level or "")
        _print(lines, as_json=as_json)
        if not lines and not log.has_own:
            typer.echo(NOT_KEPT, err=True)
        while follow:
            time.sleep(LOOK_SECS)
            _print(log.more(level or ""), as_json=as_json)
    except KeyboardInterrupt:
        if not follow:
            raise


def _print(lines: list[LogLine], *, as_json: bool) -> None:
    import sys

    import msgspec

    from fairlead.engine.secrets import redact

    for line in lines:
        typer.echo(redact(msgspec.json.encode(line).decode()) if as_json else plain(line.raw))
    sys.stdout.flush()
