"""`fairlead study`: what a study has tried, and the span of data that it keeps closed."""

from __future__ import annotations

import time
from datetime import datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fairlead.engine.cli import process
from fairlead.engine.cli.out import Settings, exit_with, show_result
from fairlead.engine.config.changes import parsed
from fairlead.engine.errors import Exit, FairleadError
from fairlead.engine.run.config import load

if TYPE_CHECKING:
    from fairlead.engine.config.loaded import LoadedConfig
    from fairlead.engine.research.trials import Registry

command = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=True,
    help="List and show studies, hold a span of the data back for the end, and spend it once.",
)
Name = Annotated[str, typer.Argument(metavar="STUDY", help="Name of the study.")]
Config = Annotated[Path, typer.Argument(help="TOML file of the run, whose state folder it is in.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@command.command()
def ls(config: Config, as_json: AsJson = False) -> None:
    """List the studies of the config's state folder: trials, what is held back, first and last use.

    Fails, after the list, where one of them was cut.
    """
    import msgspec

    from fairlead.engine.research.trials import studies_in

    folder = load(config).state_dir
    found = [_listed(one) for one in studies_in(folder)]
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(found)).decode())
    elif not found:
        typer.echo(f"no studies in {folder.resolve()}; the first search makes one")
    else:
        _show_list(found)
    cut = [one for one in found if one["error"] is not None]
    for one in cut:
        typer.echo(f"error {one['error']}", err=True)
    if cut:
        raise typer.Exit(int(Exit.BAD_DATA))


def _listed(folder: Path) -> dict[str, Any]:
    """One study; `error` says why nothing is told of it but its name."""
    from fairlead.engine.research.study import told_of
    from fairlead.engine.research.trials import Registry

    told: dict[str, Any] = {
        "study": folder.name,
        **dict.fromkeys(
            ("trials", "screened", "searches", "held_out", "begun_ns", "last_ns", "error")
        ),
    }
    try:
        with Registry(folder) as registry:
            known = told_of(registry)
            begun, last = registry.span_ns or (None, None)
            told |= {"trials": known["study_trials"], "searches": registry.count("sweep")}
            told["screened"] = known["study_screened"]
            told |= {"held_out": known["held_out"], "begun_ns": begun, "last_ns": last}
    except FairleadError as error:
        told["error"] = f"{error.code}: {error.message}"
    return told


def _show_list(found: list[dict[str, Any]]) -> None:
    from rich.table import Column, Table
    from rich.text import Text

    from fairlead.engine.cli.out import print_whole
    from fairlead.engine.recording.catalog import utc

    names = ("trials", "searches", "begun (UTC)", "last (UTC)")
    table = Table(
        Column("study", no_wrap=True), *names, Column("held out", overflow="fold"), box=None
    )
    for one in found:
        if one["error"] is not None:
            table.add_row(one["study"], "-", "-", "-", "-", one["error"].partition(":")[0])
            continue
        times = (utc(ns)[:19] if ns else "-" for ns in (one["begun_ns"], one["last_ns"]))
        counts = (str(one["trials"]), str(one["searches"]))
        cells = (one["study"], *counts, *times, _held_words(one["held_out"]))
        table.add_row(*(Text(cell) for cell in cells))
    print_whole(table)


@command.command()
def show(name: Name, config: Config, as_json: AsJson = False) -> None:
    """Show how many trials there were, in which searches, and what is held back.

    Fails where an entry is missing or was changed.
    """
    import msgspec

    from fairlead.engine.research.gates import gates_of
    from fairlead.engine.research.study import told_of, trials_words

    with _registry(load(config), name) as registry:
        gates = [gate.words for gate in gates_of(registry)]
        bodies = [one.body for one in registry.entries("sweep")]
        told = {**told_of(registry), "requires": gates, "searches": bodies}
        searches = [(one.key, one.body) for one in registry.entries("sweep")]
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(told)).decode())
        return
    typer.echo(f"study {name}: {trials_words(told)}, whole")
    for key, body in searches:
        params = ", ".join(f"{param}={spec}" for param, spec in body["params"].items())
        typer.echo(f"  {key}  {body['search']} by {body['metric']}: {params}")
    typer.echo(f"held out: {_held_words(told['held_out'])}")
    for words in told["requires"]:
        typer.echo(f"requires: {words}")
    typer.echo(f"chain of {told['registry']['entries']} entries: {told['registry']['chain']}")


def _held_words(held: dict[str, Any] | None) -> str:
    from fairlead.engine.research.holdout import utc

    if held is None:
        return "nothing"
    state = "spent" if held["is_spent"] else "closed until it is spent"
    return f"{utc(held['start_ns'])} to {utc(held['end_ns'])}, {state}"


@command.command()
def hold(
    name: Name,
    config: Config,
    begin: Annotated[
        datetime, typer.Option("--from", help="First moment, UTC: from there to the data's end.")
    ],
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Keep the data from a moment on closed: every run of this state folder that would look at it
    is refused, until the study spends it."""
    from datetime import UTC

    import msgspec

    from fairlead.engine.research.holdout import Held, held_of
    from fairlead.engine.research.holdout import hold as keep
    from fairlead.engine.research.remote import local_catalog
    from fairlead.engine.run.trial import basis

    loaded = load(config, parsed(settings or ()))
    start_ns = int(begin.replace(tzinfo=begin.tzinfo or UTC).timestamp()) * 1_000_000_000
    with process.logs_on_stderr(), _registry(loaded, name, made=True) as registry:
        if held_of(registry) is None:
            rests = basis(loaded)
            if not rests.span_ns[0] < start_ns <= rests.span_ns[1]:
                text = "expected a moment within the data, after its first"
                raise FairleadError("HELD-SPAN", text, int(Exit.USAGE))
            span = (start_ns, rests.span_ns[1])
        else:
            span = (start_ns, start_ns)  # is refused
        keep(
            registry,
            Held(
                study=name,
                catalog=str(local_catalog(loaded, again=False)),
                instruments=tuple(loaded.config.instruments),
                start_ns=span[0],
                end_ns=span[1],
            ),
        )
        found = held_of(registry)
    assert found is not None, "it was just held"
    if as_json:
        typer.echo(msgspec.json.encode(found).decode())
    else:
        typer.echo(f"study {name} holds {found.words()} closed")


@command.command()
def require(
    name: Name,
    config: Config,
    latency: Annotated[
        str, typer.Option("--latency-times", help="Latency, times this: '2' is double.")
    ] = "1",
    fees: Annotated[
        str, typer.Option("--fees-times", help="Fees, times this: '1.5' is up by half.")
    ] = "1",
    draws: Annotated[
        int, typer.Option("--draws", min=0, max=10_000, help="Draws of a latency that is drawn.")
    ] = 0,
    share: Annotated[
        str, typer.Option("--share", help="Least share of the --draws that bring a profit.")
    ] = "0.95",
    orders: Annotated[
        str | None,
        typer.Option(
            "--losing-most", help="Most share of 1,000 draws of its trades that may lose in sum."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Require that a trial brings a profit under a stress, before it may spend the held-out data.

    Each call adds one; none is taken back.
    """
    import msgspec

    from fairlead.engine.research.gates import Gate
    from fairlead.engine.research.gates import require as add

    loaded = load(config)
    gate = Gate(
        latency=_number("--latency-times", latency, "100"),
        fees=_number("--fees-times", fees, "100"),
        draws=draws,
        share=_number("--share", share, "1"),
        orders=None if orders is None else _number("--losing-most", orders, "1"),
    )
    with _registry(loaded, name, made=True) as registry:
        add(registry, gate)
    if as_json:
        typer.echo(msgspec.json.encode(gate).decode())
    else:
        typer.echo(f"study {name} requires: {gate.words}")


def _number(option: str, text: str, most: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal(0)
    if not value.is_finite() or not 0 < value <= Decimal(most):
        raise FairleadError(
            "GATE-VALUE",
            f"expected {option} with a number above 0, at most {most}, came {text!r}",
            int(Exit.USAGE),
        )
    return value


@command.command()
def spend(name: Name, config: Config, settings: Settings = None, as_json: AsJson = False) -> None:
    """Run one trial of the study on the data that it held back: once, and never again.

    `--set` gives the values of a trial that the study has tried. The run is kept as any other.
    """
    from fairlead.engine.research.gates import gates_of
    from fairlead.engine.research.holdout import BEGUN, DONE, held_of
    from fairlead.engine.research.runs import Stamp
    from fairlead.engine.research.study import told_of
    from fairlead.engine.run.backtest import run_backtest
    from fairlead.engine.run.gated import require_borne
    from fairlead.engine.run.spending import before_held, on_held, require_trial
    from fairlead.engine.run.trial import Forms

    stamp = Stamp(begun_ns=time.time_ns())
    changes = parsed(settings or ())
    loaded = load(config, changes)
    with process.logs_on_stderr():
        with _registry(loaded, name) as registry:
            held = held_of(registry)
            if held is None or held.is_spent:
                what = "holds nothing" if held is None else f"has spent {held.words()}"
                text = f"the study {name} {what}"
                raise FairleadError("HELD-SPENT", text, int(Exit.USAGE))
            trial = require_trial(registry, changes, Forms(loaded))
            ready = on_held(loaded, held)
            seen = load(config, {**changes, **before_held(loaded, held)})
            gates = gates_of(registry)
            borne = require_borne(seen, gates, name, lambda what: typer.echo(what, err=True))
            registry.append("spend", BEGUN, {"values": trial, "at_ns": stamp.begun_ns})
            result = run_backtest(ready, spends=name)
            try:
                summary = result.summary
                told = {"net": {code: str(net) for code, net in summary.net.items()}}
                registry.append("spend", DONE, {**told, "orders_digest": summary.orders_digest})
                study = {**told_of(registry), "spent": held.words(), "borne": borne}
                kept = result.record(stamp, study=_flat(study)).keep(loaded.state_dir)
            finally:
                result.dispose()
        show_result(kept, as_json=as_json)
    exit_with(kept)


def _flat(study: dict[str, Any]) -> dict[str, Any]:
    """As a report tells it in a line."""
    chain = study["registry"]["chain"][:12]
    return {
        "study": study["study"],
        "trials": study["study_trials"],
        **({"screened": n} if (n := study["study_screened"]) else {}),
        "chain": chain,
        "held out, spent": study["spent"],
        **({"borne": "; ".join(study["borne"])} if study["borne"] else {}),
    }


def _registry(loaded: LoadedConfig, name: str, *, made: bool = False) -> Registry:
    from fairlead.engine.research.trials import FILE, STUDIES, Registry, studies_in

    folder = loaded.state_dir / STUDIES / name
    if not made and not (folder / FILE).is_file():
        known = [one.name for one in studies_in(loaded.state_dir)]
        text = f"no study {name} in {folder.parent}; there is {', '.join(known) or 'none'}"
        raise FairleadError("STUDY-NOT-FOUND", text, int(Exit.NO_DATA))
    return Registry(folder)
