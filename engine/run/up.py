"""Which run is a config's, of those that are up in its state folder."""

from __future__ import annotations

import os
from collections.abc import Iterator

import msgspec

from fairlead.engine.config.loaded import LoadedConfig, account_files
from fairlead.engine.errors import FairleadError
from fairlead.engine.observe.page.announced import Place, places_of
from fairlead.engine.orders.files import AccountFiles
from fairlead.engine.orders.lock import signature_of
from fairlead.engine.research.begun import begun_in
from fairlead.engine.research.runs import Run, newest
from fairlead.engine.risk.continuity import was_traded
from fairlead.engine.run.modes import MODES

NODE_MODES = ("live", "paper", "record")


class Up(msgspec.Struct, frozen=True, kw_only=True):
    """The run of a config that is up: its process, and its page where it has one (else empty).

    Where none is (`pid` 0) `mode` is live, where the config has traded so, else that of the last;
    `holders` are the accounts that somebody has all the same, as their files are named, and who
    that is, in words.
    """

    mode: str
    pid: int = 0
    address: str = ""
    holders: dict[str, str] = {}


def up_of(loaded: LoadedConfig, mode: str = "") -> Up:
    """By what a run of this mode, or of any, holds; no lock is taken for it."""
    modes = (mode,) if mode else NODE_MODES
    places = list(places_of(loaded.state_dir))
    found = [up for one in modes for up in _in_mode(loaded, one, places)]
    found.sort(key=lambda up: up.pid == 0)
    return found[0] if found else Up(mode=mode or _last_mode(loaded))


def accounts_in(loaded: LoadedConfig, mode: str) -> list[str]:
    """That a run of the mode holds, as their files are named."""
    traits = MODES[mode]  # type: ignore[index]
    keys = loaded.traded if traits.trades else ()
    return [account_files(loaded, key, paper=not traits.is_real).name for key in keys]


def _in_mode(loaded: LoadedConfig, mode: str, places: list[Place]) -> Iterator[Up]:
    """At most one is the config's own."""
    accounts = accounts_in(loaded, mode)
    for place in places:
        if place.mode == mode and _is_of(place, loaded, accounts):
            yield Up(mode=mode, pid=place.pid, address=place.address)
            return
    holders = {}
    for account in accounts:
        found = signature_of(AccountFiles(loaded.state_dir, account).lock)
        if found is None:
            continue
        pid, note = found
        name = "" if note else _name_of(pid, loaded, places)
        if not note and name in ("", loaded.config.name):
            yield Up(mode=mode, pid=pid)
            return
        holders[account] = f"process {pid} {note}" if note else f"a run of {name} (process {pid})"
    if holders:
        yield Up(mode=mode, holders=holders)


def _is_of(place: Place, loaded: LoadedConfig, accounts: list[str]) -> bool:
    """By its name and an account; what holds none by its file, where that is there."""
    if place.name != loaded.config.name:
        return False
    if accounts:
        return not set(accounts).isdisjoint(place.accounts)
    try:
        return os.path.samefile(place.config, loaded.path)
    except OSError:
        return True


def _name_of(pid: int, loaded: LoadedConfig, places: list[Place]) -> str:
    """Of the run in this process; empty: nobody knows, as of one that could not write it down."""
    names = [one.name for one in places if one.pid == pid]
    marks = (one.begun for one in begun_in(loaded.state_dir) if one.state == "running")
    return next(iter(names), "") or next((one.name for one in marks if one.pid == pid), "")


def _last_mode(loaded: LoadedConfig) -> str:
    """Live, where there is or was a journal: what a paper run did since is nobody's money."""
    if any(was_traded(account_files(loaded, key)) for key in loaded.traded):
        return "live"
    for folder in newest(loaded.state_dir):
        try:
            found = Run.at(folder).manifest
        except FairleadError:
            continue
        if found.name == loaded.config.name and found.mode in NODE_MODES:
            return found.mode
    return "live"
