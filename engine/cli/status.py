"""`fairlead status`: whether all is well, in five seconds."""

from __future__ import annotations

import contextlib
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fairlead.engine.cli.asking import (
    AsJson,
    ConfigFile,
    Files,
    Mode,
    age,
    answers,
    grid,
    plain,
    print_json,
    say_who,
    show,
)
from fairlead.engine.errors import Exit

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from fairlead.engine.observe.page.told import Status
    from fairlead.engine.run.answers import Answers


def command(
    config: ConfigFile,
    watch: Annotated[bool, typer.Option("--watch", help="Again and again, until Ctrl-C.")] = False,
    every_secs: Annotated[
        float,
        typer.Option("--every", min=0.5, max=86_400, help="Seconds between two looks of --watch."),
    ] = 2.0,
    mode: Mode = None,
    from_files: Files = False,
    as_json: AsJson = False,
) -> None:
    """Tell whether all is well: of the run that is up, by its page, else by the config's files.

    \b
    Exit code: 0 nothing needs a person now; else that of the first trouble:
      4  no run is up               5  a stream, or a venue's clock
      8  killed, halted, NO-STOP    9  journal or risk state can't be read
     10  a strategy faulted        11  orders without a proven outcome, or missing
    124  the run does not answer    1  anything else
    What is yellow (`look`) passes by itself, and leaves the code 0.
    """
    if not watch:
        code = _once(config, mode, from_files=from_files, as_json=as_json)
    else:
        code = _watch(config, mode, every_secs, from_files=from_files, as_json=as_json)
    if code:
        raise typer.Exit(int(code))


def _once(config: Path, mode: str | None, *, from_files: bool, as_json: bool) -> Exit:
    from fairlead.engine.run.answers import exit_of

    asked = answers(config, mode, from_files=from_files)
    status = asked.status()
    say_who(asked)
    if as_json:
        print_json(status)
    else:
        show(*shown(status, asked))
    return exit_of(status)


def _watch(
    config: Path, mode: str | None, every_secs: float, *, from_files: bool, as_json: bool
) -> Exit:
    """The last look's code, once Ctrl-C ends it. Into a file or a pipe each look is printed."""
    import msgspec
    from rich.console import Group
    from rich.live import Live

    from fairlead.engine.cli.out import result_console
    from fairlead.engine.run.answers import exit_of

    code, console = Exit.OK, result_console()
    with contextlib.ExitStack() as stack:
        live = None
        if sys.stdout.isatty() and not as_json:
            live = stack.enter_context(Live(console=console, auto_refresh=False))
        try:
            while True:
                asked = answers(config, mode, from_files=from_files)
                status = asked.status()
                code = exit_of(status)
                if as_json:
                    typer.echo(msgspec.json.encode(status).decode())
                elif live is not None:
                    live.update(Group(*shown(status, asked)), refresh=True)
                else:
                    show(*shown(status, asked), console=console)
                sys.stdout.flush()
                time.sleep(every_secs)
        except KeyboardInterrupt:
            return code


def shown(status: Status, asked: Answers) -> list[Table | Text]:
    """For people: what is wrong first."""
    from rich.text import Text as Line

    parts: list[Table | Text] = [Line(_head(status, asked))]
    if status.wrong:
        parts.append(
            grid(("", "", ""), [(one.level.upper(), one.code, one.text) for one in status.wrong])
        )
    rows: list[tuple[object, ...]] = [("orders", _orders(status, asked))]
    if status.fills is not None:
        rows.append(("fills", _fills(status)))
    for one in status.losses:
        limits = [
            f"{used} of {limit} {one.currency} {what}"
            for what, used, limit in (
                ("lost today", one.lost_today, one.daily_loss_limit),
                ("drawdown", one.drawdown, one.drawdown_limit),
            )
            if limit is not None
        ]
        rows.append(("result", "; ".join([f"{one.result} {one.currency}", *limits])))
    rows += [("worth", f"{one.worth} {one.currency} at {one.venue}") for one in status.worth]
    now_ns = status.now_ns
    rows += [
        ("stream", f"{one.name} {one.state}, last frame {age(one.last_frame_ns, now_ns)} ago")
        for one in status.streams
    ]
    rows += [
        ("clock", f"{one.venue} {one.offset_ms:+.0f} ms of {one.limit_ms}")
        for one in status.clocks
        if one.offset_ms is not None
    ]
    rows += [
        (
            "compared",
            f"{one.venue} {one.account} {age(one.ts_ns, now_ns)} ago, {one.findings} differences",
        )
        for one in status.compared
    ]
    rows += [
        (
            "budget",
            f"{one.venue or 'gate'} {one.scope}: {one.used} of {one.count} in {one.per_secs:g} s",
        )
        for one in status.budgets
        if one.used * 2 >= one.count
    ]
    parts.append(grid(("", ""), rows))
    return parts


def _orders(status: Status, asked: Answers) -> str:
    if status.open_orders is None:
        is_lost = any(one.code == "JOURNAL" for one in status.wrong)
        return "not known: see JOURNAL" if is_lost else asked.why_untold
    return f"{status.open_orders} open, {status.unknown_orders} without a proven outcome"


def _fills(status: Status) -> str:
    """By whom they are told: the run, a kept one, or the journals, which know no denials."""
    denials = "" if status.denials is None else f"; {status.denials} denials"
    if status.mode != "live" or (status.state != "stopped" and denials):
        return f"{status.fills}{denials}"
    of_last = " in the last" if denials else ""
    return f"{status.fills} in the journal, over all runs{denials}{of_last}"


def _head(status: Status, asked: Answers) -> str:
    is_bad = any(one.level == "bad" for one in status.wrong)
    verdict = "NOT WELL" if is_bad else "LOOK" if status.wrong else "all is well"
    who = f" (process {asked.up.pid})" if asked.up.pid else ""
    since = f" since {age(status.started_ns, status.now_ns)}" if asked.up.pid else ""
    since = since if status.started_ns else ""
    return plain(f"{verdict}: {status.name} {status.mode} {status.state}{since}{who}")
