"""A kept run by what a person calls it: its folder, its id, or `last`."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from fairlead.engine.errors import Exit, FairleadError
from fairlead.engine.research.begun import Found, begun_below
from fairlead.engine.research.places import RUN_FILE, Places
from fairlead.engine.research.runs import Run, runs_below

LAST = "last"  # names the newest run


def find_run(told: str, where: Path, modes: Collection[str] = (), of: str = "") -> Run:
    """By its folder, by (the begin of) its id below `where`, or `last`: the newest of all, of
    `modes` where there are any, of the config of the name `of` where it is given.

    Raises FairleadError RUN-NOT-FOUND, RUN-DAMAGED.
    """
    if (Path(told) / RUN_FILE).is_file():
        return Run.at(Path(told))
    places = Places.of(where)
    runs = runs_below(places)
    if told == LAST:
        if left_out := str(places):  # a newer one may be among it
            raise _not_found(f"which run is the {LAST} one is not known: {left_out}")
        for run in reversed(runs):
            if (not modes or run.manifest.mode in modes) and of in ("", run.manifest.name):
                return run
        raise _not_found(_no_last(len(runs), places, modes, of))
    found = [run for run in runs if run.id == told] or [
        run for run in runs if run.id.startswith(told)
    ]
    if len(found) == 1:
        return found[0]
    begun = [one for one in begun_below(places) if one.begun.id == told]
    if begun and not found:
        raise _not_found(_not_kept(begun[-1]))
    what = "no run" if not found else f"{len(found)} runs"
    have = "have" if found else "has"
    raise _not_found(
        f"{what} of the {len(runs)} in {where.resolve()} {have} the id {told}; expected a run's "
        f"folder, its id, or {LAST}; `fairlead runs ls` lists them{_and(str(places))}"
    )


def _not_found(text: str) -> FairleadError:
    return FairleadError("RUN-NOT-FOUND", text, int(Exit.NO_DATA))


def _and(left_out: str) -> str:
    return f"; {left_out}" if left_out else ""


def _no_last(count: int, places: Places, modes: Collection[str], of: str) -> str:
    where = places.where
    if count:
        whose = f" and of the config {of}" if of else ""
        return (
            f"none of the {count} runs in {where.resolve()} was of mode {' or '.join(modes)}{whose}"
            f", so {LAST} names none; `fairlead runs ls` lists them"
        )
    begun = begun_below(places)
    if begun:
        return f"no run in {where.resolve()} is kept, and of the newest: {_not_kept(begun[-1])}"
    return (
        f"no run is kept in {where.resolve()} or a folder in it, so {LAST} names none; each run "
        "that ends leaves one in its config's state folder"
    )


def _not_kept(one: Found) -> str:
    """A run is kept when it ends: this one goes on, or it had no time to."""
    state, goes_on = one.begun.state_dir, one.state == "running"
    if goes_on:
        return f"{one.begun.id} goes on (process {one.begun.pid}); it is kept when it ends"
    return (
        f"{one.begun.id} {one.end} before it could be summed up: its log and journals are in "
        f"{state}, the next start goes on with its orders, and is kept when it ends"
    )
