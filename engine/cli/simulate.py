"""`fairlead simulate`: seeded sessions of the real order path under faults, and their verdict."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engine.cli.exits import Exit

if TYPE_CHECKING:
    from engine.simulate.plan import Plan


def command(
    seeds: Annotated[str, typer.Option(help="One seed, or a range FIRST..LAST")] = "1..20",
    venues: Annotated[
        str, typer.Option(help="Adapter names with commas between; empty: all with a simulator")
    ] = "",
    jobs: Annotated[int, typer.Option(min=1, max=64, help="Processes")] = 1,
    trace: Annotated[bool, typer.Option("--trace", help="Tell every event of one seed")] = False,
    shrink: Annotated[
        bool, typer.Option("--shrink", help="Find the smallest plan of a seed that still fails")
    ] = False,
    plan: Annotated[
        Path | None, typer.Option("--plan", help="Run this plan (JSON) in place of seeds")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON")] = False,
) -> None:
    """Run seeded sessions: real adapter, desk, gate and journal; lost answers, kills, full disks.

    Each seed draws its faults, heals, and is then judged by the journal, the wire log and the
    venue's own ledger. One seed gives the same session everywhere.
    """
    chosen = _venues(venues)
    numbers = _seeds(seeds)
    if plan is not None or trace or shrink:
        if plan is None and (len(numbers) != 1 or len(chosen) != 1):
            raise typer.BadParameter("--trace and --shrink take one seed and one venue")
        raise typer.Exit(_one(_plan(plan, numbers, chosen), trace, shrink, as_json))
    raise typer.Exit(_many(chosen, numbers, jobs, as_json))


def _venues(text: str) -> list[str]:
    from adapters import registry

    known = [name for name in registry.names() if registry.spec(name).simulator is not None]
    chosen = [name.strip() for name in text.split(",") if name.strip()] or known
    for name in chosen:
        if name not in known:
            raise typer.BadParameter(f"no venue {name!r} with a simulator; known: {known}")
    return chosen


def _seeds(text: str) -> list[int]:
    match = re.fullmatch(r"(\d+)(?:\.\.(\d+))?", text.strip())
    if match is None:
        raise typer.BadParameter(f"expected a seed or FIRST..LAST, received {text!r}")
    first = int(match[1])
    last = int(match[2] or first)
    if last < first:
        raise typer.BadParameter(f"expected FIRST..LAST in ascending order, received {text!r}")
    return list(range(first, last + 1))


def _plan(path: Path | None, seeds: list[int], venues: list[str]) -> Plan:
    import msgspec

    from engine.simulate.plan import Plan, draw

    if path is None:
        return draw(seeds[0], venues[0])
    try:
        return msgspec.json.decode(path.read_bytes(), type=Plan)
    except (OSError, msgspec.DecodeError) as e:
        raise typer.BadParameter(f"{path}: expected a plan as JSON ({e})") from e


def _one(plan: Plan, is_traced: bool, is_shrunk: bool, as_json: bool) -> int:
    import logging

    import msgspec

    from engine.simulate.run import run_plan
    from engine.simulate.shrink import shrink
    from engine.simulate.trace import Trace
    from engine.simulate.world import run_session

    result = run_plan(plan)
    if is_shrunk and result.violations:
        codes = {v.code for v in result.violations}

        def fails(candidate: Plan) -> bool:
            return bool(codes & {v.code for v in run_plan(candidate).violations})

        plan, runs = shrink(plan, fails)
        typer.echo(f"smallest plan after {runs} runs:", err=True)
    if is_shrunk:
        typer.echo(msgspec.json.format(msgspec.json.encode(plan), indent=2).decode())
        result = run_plan(plan)
    if is_traced:
        logging.disable(logging.CRITICAL)
        result = run_session(plan, Trace(typer.echo))
    if as_json:
        typer.echo(msgspec.json.encode(result).decode())
    else:
        typer.echo(f"{result.venue} seed {result.seed}, journal {result.journal_hash[:16]}")
        for violation in result.violations:
            typer.echo(f"{violation.code} {violation.subject}: {violation.detail}")
        typer.echo(f"violations {len(result.violations)}")
    return int(Exit.BREACH if result.violations else Exit.OK)


def _many(venues: list[str], seeds: list[int], jobs: int, as_json: bool) -> int:
    import sys

    import msgspec

    from engine.simulate.run import describe, run_many

    total = len(venues) * len(seeds)

    def progress(done: int, failed: int) -> None:
        if sys.stderr.isatty():
            typer.echo(f"\r{done}/{total} sessions, {failed} failed ", err=True, nl=done == total)

    summary = run_many(venues, seeds, jobs=jobs, progress=progress)
    if as_json:
        typer.echo(msgspec.json.encode(summary).decode())
    else:
        typer.echo(describe(summary))
    return int(Exit.BREACH if summary.failed else Exit.OK)
