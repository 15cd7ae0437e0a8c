"""The verbs of `fairlead`, by name: each is a file, imported only when the verb runs."""

from __future__ import annotations

import inspect
import math
import sys
from collections.abc import Callable
from functools import wraps
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from fairlead.engine.cli import errors, process
from fairlead.engine.errors import Exit, exit_table
from fairlead.engine.processes import require_room_for_files

# verb -> its module (with the function's name where that is not `command`), its line of overview
VERBS: dict[str, tuple[str, str]] = {
    "demo": (
        "fairlead.engine.cli.demo",
        "Trade a simulated venue for a minute, then backtest it.",
    ),
    "check": ("fairlead.engine.cli.check", "Check a config: file, strategies, venues, secrets."),
    "config": (
        "fairlead.engine.cli.config",
        "Explain the config's keys, or print its JSON Schema.",
    ),
    "live": ("fairlead.engine.cli.node:live", "Trade live, with real orders."),
    "paper": ("fairlead.engine.cli.node:paper", "Trade live data with simulated execution."),
    "backtest": ("fairlead.engine.cli.backtest", "Run the same config on recorded data."),
    "sweep": ("fairlead.engine.cli.sweep", "Backtest with many values of a config, and compare."),
    "study": (
        "fairlead.engine.cli.study",
        "Show what a study has tried; hold data back, spend it once.",
    ),
    "status": ("fairlead.engine.cli.status", "Tell whether all is well, by the run or its files."),
    "orders": ("fairlead.engine.cli.orders", "List the orders that are not over."),
    "positions": ("fairlead.engine.cli.positions", "List what is held, by who counts it."),
    "fills": ("fairlead.engine.cli.fills", "List the last executions."),
    "logs": ("fairlead.engine.cli.logs", "Print the last lines of a run's log, or follow it."),
    "reconcile": (
        "fairlead.engine.cli.reconcile",
        "Compare journal and venue; nothing is traded.",
    ),
    "doctor": (
        "fairlead.engine.cli.doctor",
        "Look for what would keep a run from working.",
    ),
    "runs": ("fairlead.engine.cli.runs", "List, show and remove the runs that are kept."),
    "parity": (
        "fairlead.engine.cli.parity",
        "Compare a run with a backtest of what it recorded.",
    ),
    "report": ("fairlead.engine.cli.report", "Write a page about a run that was kept."),
    "record": ("fairlead.engine.cli.node:record", "Record market data without trading."),
    "import": ("fairlead.engine.cli.import_", "Import recordings of other tools into a catalog."),
    "download": (
        "fairlead.engine.cli.download",
        "Download a venue's bars or trades of the past.",
    ),
    "data": ("fairlead.engine.cli.data", "List, verify, replay and convert recorded data."),
    "explain": (
        "fairlead.engine.cli.explain",
        "Tell the story of one order, from signal to fills.",
    ),
    "simulate": (
        "fairlead.engine.cli.simulate",
        "Run seeded sessions of the order path under faults.",
    ),
    "new": ("fairlead.engine.cli.new", "Begin a strategy, or a venue of your own."),
    "conformance": (
        "fairlead.engine.cli.conformance",
        "Show whether an adapter keeps its contract, card by card.",
    ),
    "journal": (
        "fairlead.engine.cli.journal",
        "List order journals, move old detail away, upgrade them.",
    ),
    "resolve": (
        "fairlead.engine.cli.resolve",
        "Settle an order that the venue has forgotten, by hand.",
    ),
    "gateway": ("fairlead.engine.cli.gateway", "Ask a venue what only that venue has."),
    "alert": ("fairlead.engine.cli.alert", "Send a test message to whom a run alerts."),
    "kill": ("fairlead.engine.cli.kill", "Stop orders, cancel, flatten: also when the run hangs."),
    "venue": ("fairlead.engine.cli.venue", "Serve a simulated venue on loopback."),
    "venues": ("fairlead.engine.cli.venues", "Tell what each venue can do."),
}

# Files, databases and connections of their own
OPEN_MUCH = frozenset(
    {
        "demo",
        "live",
        "paper",
        "backtest",
        "study",
        "sweep",
        "record",
        "import",
        "parity",
        "data",
        "download",
        "simulate",
        "conformance",
        "venue",
    }
)


def _quieted(wanted: bool) -> None:
    if wanted:
        process.quiet()


Quiet = Annotated[
    bool,
    typer.Option(
        *process.QUIET,
        callback=_quieted,
        is_eager=True,
        help="Print nothing but errors (and what --json gives); the exit code tells.",
    ),
]


def _quietable(verb: Callable[..., Any]) -> Callable[..., Any]:
    """The same with `--quiet`, which no verb has to know of, and without the numbers that no
    limit is compared with: nan is neither below nor above one."""
    if getattr(verb, "is_quietable", False):
        return verb

    told = inspect.signature(verb, eval_str=True)

    @wraps(verb)
    def quietable(*arguments: Any, _quiet: bool = False, **options: Any) -> Any:
        for name, value in options.items():
            if isinstance(value, float) and not math.isfinite(value):
                raise typer.BadParameter(f"expected a finite number, {value} came", param_hint=name)
        return verb(*arguments, **options)

    added = inspect.Parameter(
        "_quiet", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Quiet
    )
    parameters = [*told.parameters.values(), added]
    quietable.__signature__ = told.replace(parameters=parameters)  # type: ignore[attr-defined]
    quietable.__annotations__ = {one.name: one.annotation for one in parameters}
    quietable.is_quietable = True  # type: ignore[attr-defined]
    return quietable


class LazyVerb(TyperCommand):
    """A verb that is known by name and help, and imported once it is called."""

    def __init__(self, name: str, module: str, line: str) -> None:
        super().__init__(name=name, help=line)
        self._module = module

    def make_context(self, info_name: Any, args: Any, parent: Any = None, **extra: Any) -> Any:
        if self.name in OPEN_MUCH:
            require_room_for_files()
        return self._load().make_context(info_name, args, parent, **extra)

    def _load(self) -> Any:
        module, _, name = self._module.partition(":")
        command: Callable[..., Any] | typer.Typer
        command = getattr(import_module(module), name or "command")
        if not isinstance(command, typer.Typer):
            wrapped = typer.Typer(add_completion=False, rich_markup_mode=None)
            wrapped.command(self.name)(command)
            command = wrapped
        for one in command.registered_commands:
            if one.callback is not None:
                one.callback = _quietable(one.callback)
        return typer.main.get_command(command)


class VerbGroup(TyperGroup):
    """The verbs; every error ends in one line and an exit code of the table."""

    def __init__(self, **attributes: Any) -> None:
        verbs = {name: LazyVerb(name, module, line) for name, (module, line) in VERBS.items()}
        super().__init__(**{**attributes, "commands": verbs})

    def main(self, *args: Any, **more: Any) -> Any:
        try:
            return super().main(*args, **more)
        except Exception as e:
            words = sys.argv[1:] if not args or args[0] is None else args[0]
            sys.exit(errors.report(e, as_json="--json" in words))


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"fairlead {version('fairlead')}")
        raise typer.Exit(Exit.OK)


app = typer.Typer(
    name="fairlead",
    cls=VerbGroup,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    epilog="\b\nExit codes:\n" + exit_table(),
)


@app.callback()
def _app(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """One TOML config runs live, on paper, or as a backtest: `fairlead VERB --help` tells more."""
