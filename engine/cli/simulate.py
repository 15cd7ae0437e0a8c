"""`fairlead simulate`: seeded sessions of the real order path under faults, and their verdict."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fairlead.engine.cli.out import progress
from fairlead.engine.errors import Exit
from fairlead.engine.processes import speech

if TYPE_CHECKING:
    from fairlead.engine.sessions.plan import Plan
    from fairlead.engine.sessions.run import Summary

PROGRESS_SECS = 30.0
SEEDS_MAX = 1_000_000


def command(
    seeds: Annotated[str, typer.Option(help="One seed, or a range FIRST..LAST")] = "1..20",
    venues: Annotated[
        str, typer.Option(help="Adapter names with commas between; empty: all with a simulator")
    ] = "",
    jobs: Annotated[int, typer.Option(min=0, max=64, help="Processes; 0: one for each core")] = 0,
    trace: Annotated[bool, typer.Option("--trace", help="Tell every event of one seed")] = False,
    shrink: Annotated[
        bool, typer.Option("--shrink", help="Find the smallest plan of a seed that still fails")
    ] = False,
    plan: Annotated[
        Path | None, typer.Option("--plan", help="Run this plan (JSON) in place of seeds")
    ] = None,
    hashes: Annotated[
        Path | None,
        typer.Option(
            "--hashes", help="Compare every journal's hash with this file (JSON), or write it"
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON")] = False,
) -> None:
    """Run seeded sessions: real adapter, desk, gate and journal; lost answers, kills, full disks.

    Each seed draws its faults, heals, and is then judged by the journal, the wire log and the
    venue's own ledger. One seed gives the same session everywhere: write --hashes with one
    interpreter, and compare with another.
    """
    chosen = _venues(venues)
    numbers = _seeds(seeds)
    if plan is not None or trace or shrink:
        if plan is None and (len(numbers) != 1 or len(chosen) != 1):
            raise typer.BadParameter("--trace and --shrink take one seed and one venue")
        raise typer.Exit(_one(_plan(plan, numbers, chosen), trace, shrink, as_json))
    raise typer.Exit(_many(chosen, numbers, jobs, hashes, as_json))


def _venues(text: str) -> list[str]:
    from fairlead.adapters import registry

    known = list(registry.playable())
    chosen = [name.strip() for name in text.split(",") if name.strip()] or known
    for name in chosen:
        if name in registry.names() and name in registry.simulated() and name not in known:
            raise typer.BadParameter(
                f"{name} has a ticker only: sessions price orders by the venue's own book, have "
                f"several side by side, and cancel them; known: {known}"
            )
        if name not in known:
            raise typer.BadParameter(f"no venue {name!r} with a simulator; known: {known}")
    return chosen


def _seeds(text: str) -> list[int]:
    match = re.fullmatch(r"(\d{1,18})(?:\.\.(\d{1,18}))?", text.strip())
    if match is None:
        raise typer.BadParameter(f"expected a seed or FIRST..LAST, received {text!r}")
    first = int(match[1])
    last = int(match[2] or first)
    if last - first >= SEEDS_MAX:
        raise typer.BadParameter(f"expected at most {SEEDS_MAX:,} seeds, received {text!r}")
    if last < first:
        raise typer.BadParameter(f"expected FIRST..LAST in ascending order, received {text!r}")
    return list(range(first, last + 1))


def _plan(path: Path | None, seeds: list[int], venues: list[str]) -> Plan:
    import msgspec

    from fairlead.engine.sessions.plan import Plan, draw

    if path is None:
        return draw(seeds[0], venues[0])
    try:
        return msgspec.json.decode(path.read_bytes(), type=Plan)
    except (OSError, ValueError, msgspec.MsgspecError, RecursionError) as e:
        raise typer.BadParameter(f"{path}: expected a plan as JSON ({e})") from e


def _one(plan: Plan, is_traced: bool, is_shrunk: bool, as_json: bool) -> int:

    import msgspec

    from fairlead.engine.sessions.run import run_plan
    from fairlead.engine.sessions.shrink import shrink
    from fairlead.engine.sessions.trace import Trace

    result = run_plan(plan)
    if is_shrunk and result.violations:
        codes = {v.code for v in result.violations}

        def fails(candidate: Plan) -> bool:
            return bool(codes & {v.code for v in run_plan(candidate).violations})

        plan, runs = shrink(plan, fails)
        progress(f"smallest plan after {runs} runs:")
    if is_shrunk:
        typer.echo(msgspec.json.format(msgspec.json.encode(plan), indent=2).decode())
        result = run_plan(plan)
    if is_traced:
        result = run_plan(plan, Trace(typer.echo))
    if as_json:
        typer.echo(msgspec.json.encode(result).decode())
    else:
        typer.echo(f"{result.venue} seed {result.seed}, journal {result.journal_hash[:16]}")
        for violation in result.violations:
            typer.echo(f"{violation.code} {violation.subject}: {violation.detail}")
        typer.echo(f"violations {len(result.violations)}")
    return int(Exit.BREACH if result.violations else Exit.OK)


def _many(
    venues: list[str], seeds: list[int], jobs: int, hashes: Path | None, as_json: bool
) -> int:
    import msgspec

    from fairlead.engine.sessions.run import describe, run_many

    known = _known(hashes)
    progress = _Progress(len(venues) * len(seeds))
    summary = run_many(venues, seeds, jobs=jobs, progress=progress.show)
    if as_json:
        typer.echo(msgspec.json.encode(summary).decode())
    else:
        typer.echo(describe(summary))
    is_same = hashes is None or _is_same(hashes, summary.hashes, known)
    return int(Exit.OK if is_same and not summary.failed else Exit.BREACH)


def _known(path: Path | None) -> dict[str, str] | None:
    """Hashes of an earlier run, None where they are to be written."""
    import msgspec

    if path is None or not path.exists():
        return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, str])
    except (OSError, ValueError, msgspec.MsgspecError, RecursionError) as e:
        raise typer.BadParameter(f"{path}: expected hashes by VENUE/SEED as JSON ({e})") from e


def _is_same(path: Path, found: dict[str, str], known: dict[str, str] | None) -> bool:
    import msgspec

    from fairlead.engine.sessions.run import compare

    if known is None:
        try:
            path.write_bytes(
                msgspec.json.format(msgspec.json.encode(found, order="sorted")) + b"\n"
            )
        except OSError as e:
            typer.echo(f"error OUT-UNWRITABLE: {path}: {e.strerror}; no hashes there", err=True)
            return True
        progress(f"hashes of {len(found)} journals written to {path}")
        return True
    count, different = compare(found, known)
    text = f"{count} of {len(found)} journals are in {path}, {len(different)} differ"
    typer.echo(": ".join([text, ", ".join(different[:20])] if different else [text]), err=True)
    return count > 0 and not different


class _Progress:
    """A line that moves on a terminal; elsewhere a line now and then."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._told_secs = 0.0
        self._told_failures = 0

    def show(self, summary: Summary) -> None:
        import sys

        for failure in summary.failed[self._told_failures :]:
            codes = ", ".join(sorted({violation.code for violation in failure.violations}))
            typer.echo(f"\r{failure.venue} seed {failure.seed}: {codes}", err=True)
        self._told_failures = len(summary.failed)
        is_terminal = sys.stderr.isatty()
        if speech.is_quiet:
            return
        if not is_terminal and summary.wall_secs - self._told_secs < PROGRESS_SECS:
            return
        self._told_secs = summary.wall_secs
        is_over = summary.sessions == self._total
        text = (
            f"{summary.sessions}/{self._total} sessions, {summary.sessions_per_sec:.1f} a second, "
            f"{summary.failed_count} failed"
        )
        typer.echo(f"\r{text} " if is_terminal else text, err=True, nl=is_over or not is_terminal)
