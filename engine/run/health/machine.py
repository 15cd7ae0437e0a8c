"""This machine: Python, packages, open files, disks."""

from __future__ import annotations

import platform
import re
import resource
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path

from fairlead.engine.orders.files import rooms
from fairlead.engine.processes import FILES_LEAST, FILES_MOST
from fairlead.engine.run.health.found import Check, Trouble, check

DISTRIBUTION = "fairlead"
_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)\s*(?:\[[^]]*\])?\s*([^;]*)(?:;(.*))?")
_PIN = re.compile(r"\s*(==|>=|<)\s*([0-9][0-9A-Za-z.+!-]*)\s*")
_PARTS = re.compile(r"(\d+(?:\.\d+)*)(.*)")


def look(folders: Sequence[Path]) -> Iterator[Check]:
    """`folders` take what runs write."""
    yield _python()
    yield _packages()
    yield _files()
    if folders:
        yield _disks(folders)


def _python() -> Check:
    wanted = distribution(DISTRIBUTION).metadata.get("Requires-Python") or ""
    here = platform.python_version()
    troubles = [
        Trouble(
            code="PYTHON",
            text=f"this is Python {here}, {wanted} is needed",
            remedy="install such a Python, and fairlead with it: `make setup` finds or fetches one",
        )
    ]
    return check("python", here, [] if holds(here, wanted) else troubles)


def _packages() -> Check:
    """What our distribution asks for, against what is installed; extras are their user's."""
    troubles, count = [], 0
    for line in distribution(DISTRIBUTION).requires or ():
        found = _REQUIREMENT.fullmatch(line.strip())
        if found is None or "extra" in (found[3] or ""):
            continue
        name, wanted = found[1], found[2].strip()
        count += 1
        remedy = f"pip install '{name}{wanted}', into this environment"
        try:
            here = version(name)
        except PackageNotFoundError:
            text = f"{name} is not installed; {wanted or 'any version'} is needed"
            troubles.append(Trouble(code="PACKAGE", text=text, remedy=remedy))
            continue
        if not holds(here, wanted):
            text = f"{name} is {here}, {wanted} is needed"
            troubles.append(Trouble(code="PACKAGE", text=text, remedy=remedy))
    seen = f"{count} that are needed, {DISTRIBUTION} {version(DISTRIBUTION)}"
    return check("packages", seen, troubles)


def holds(here: str, wanted: str) -> bool:
    """Whether a version is within pins of the forms ==, >= and <."""
    for one in wanted.split(","):
        pin = _PIN.fullmatch(one)
        if pin is None:
            continue  # of a form that we don't use
        how, bound = pin[1], pin[2]
        if how == "==" and here != bound:
            return False
        if how == ">=" and _key(here) < _key(bound):
            return False
        if how == "<" and _key(here) >= _key(bound):
            return False
    return True


def _key(text: str) -> tuple[tuple[int, ...], bool]:
    """A release before its candidates' end: 2.0.0rc7 is less than 2.0.0."""
    found = _PARTS.match(text)
    if found is None:
        return (0,), False
    numbers = [int(part) for part in found[1].split(".")]
    while len(numbers) > 1 and not numbers[-1]:
        numbers.pop()
    return tuple(numbers), not found[2] or found[2].startswith((".post", "+"))


def _files() -> Check:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    troubles = []
    most = FILES_MOST if hard == resource.RLIM_INFINITY else hard
    if most < FILES_LEAST:
        troubles.append(
            Trouble(
                code="FILES-LIMIT",
                text=f"a run may open {most} files, {FILES_LEAST} or more are needed",
                remedy=f"ulimit -n {FILES_MOST}, or LimitNOFILE={FILES_MOST} of its service",
            )
        )
    return check("open files", f"{soft}, at most {most}", troubles)


def _disks(folders: Iterable[Path]) -> Check:
    """Free for this user, of each disk once."""
    troubles, told = [], []
    for room in rooms(folders):
        told.append(f"{room.free_bytes / 1e9:.1f} GB free for {room.there}")
        if (problem := room.problem) is not None:
            troubles.append(
                Trouble(
                    code="DISK",
                    text=problem,
                    remedy="free the disk (`fairlead runs rm --but-last 20`, old recordings), or "
                    "name a folder on another one in the config",
                )
            )
    return check("disk", "; ".join(told), troubles)
