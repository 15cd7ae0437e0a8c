"""What the verbs share that ask of a run: their options, their tables, who has answered."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from fairlead.engine.errors import Exit

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

    from fairlead.engine.run.answers import Answers

ConfigFile = Annotated[Path, typer.Argument(help="The run's TOML file.")]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print JSON, of the shape that the page's API has.")
]
Mode = Annotated[
    Literal["live", "paper", "record"] | None,
    typer.Option(
        help="Whose run is meant; default: the one that is up, else live, if it ever was."
    ),
]
Files = Annotated[
    bool, typer.Option("--files", help="Ask the files, also while the run's page is up.")
]
SECOND_NS = 1_000_000_000


def answers(config: Path, mode: str | None, *, from_files: bool = False) -> Answers:
    """Of a config's run. Raises FairleadError."""
    from fairlead.engine.run.answers import Answers as Asked
    from fairlead.engine.run.config import load

    return Asked(load(config), mode=mode or "", from_files=from_files)


def say_who(asked: Answers) -> None:
    """On stderr: it is no part of the result."""
    from fairlead.engine.cli.out import progress

    progress(f"asked: {asked.told_by}")


def known[T](found: T | None, asked: Answers, *, as_json: bool) -> T:
    """What was found. Where nothing tells it, that is the result: null or in words, and exit 4."""
    say_who(asked)
    if found is None:
        if as_json:
            print_json(None)
        else:
            show(asked.why_untold)
        raise typer.Exit(int(Exit.NO_DATA))
    return found


def print_json(value: Any) -> None:
    """Indented, as an object of few fields is read by people too."""
    import msgspec

    from fairlead.engine.secrets import redact

    typer.echo(redact(msgspec.json.format(msgspec.json.encode(value), indent=2).decode()))


def grid(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """A table; what is too long for the terminal is folded, never cut."""
    from rich.table import Table
    from rich.text import Text

    is_named = any(columns)  # a header without a name is a blank line
    table = Table(box=None, pad_edge=False, header_style="bold", show_header=is_named)
    for column in columns:
        is_amount = column.startswith(">")
        table.add_column(
            column.removeprefix(">"), overflow="fold", justify="right" if is_amount else "left"
        )
    for row in rows:
        table.add_row(*(Text(plain(one)) for one in row))
    return table


def show(*shown: RenderableType, console: Console | None = None) -> None:
    """On stdout, without markup: what others have named is no command to the terminal."""
    from fairlead.engine.cli.out import result_console

    where = result_console() if console is None else console
    for one in shown:
        # A command that a person copies is one line, however wide the terminal is.
        where.print(one, markup=False, highlight=False, soft_wrap=isinstance(one, str))


def show_rows(columns: Sequence[str], rows: Sequence[Sequence[object]], none: str) -> None:
    """A table, or in words that there is nothing; on a terminal too narrow for it a block a row.

    Into a file or a pipe it is as wide as it has to be: nothing is folded there.
    """
    from fairlead.engine.cli.out import result_console

    console = result_console()
    if not rows:
        show(none, console=console)
        return
    table = grid(columns, rows)
    needed = _needed(table)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = max(console.width, needed)
    if needed <= console.width:
        show(table, console=console)
        return
    for row in rows:
        named = zip(columns, row, strict=False)
        (_, first), *others = ((name.removeprefix(">"), plain(one)) for name, one in named)
        show(first, console=console)
        show(*(f"  {name} {one}".rstrip() for name, one in others if one), console=console)


def _needed(table: Table) -> int:
    """Columns, where there is no terminal to say how many it has."""
    from rich.console import Console

    return Console(width=10_000).measure(table).maximum


def plain(value: object) -> str:
    """One line without control characters; nothing for None."""
    from fairlead.engine.secrets import redact

    text = "" if value is None else redact(str(value))
    return "".join(char if char.isprintable() else "?" for char in text)


def age(ts_ns: int, now_ns: int | None = None) -> str:
    """How long ago: 4 s, 3 min, 2 h, 5 d."""
    if not ts_ns:
        return "never"
    secs = max((time.time_ns() if now_ns is None else now_ns) - ts_ns, 0) // SECOND_NS
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if secs >= 2 * size:
            return f"{secs // size} {unit}"
    return f"{secs} s"


def moment(ts_ns: int) -> str:
    """UTC, to the second."""
    return f"{datetime.fromtimestamp(ts_ns / 1e9, UTC):%Y-%m-%d %H:%M:%S}"
