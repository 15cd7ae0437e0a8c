"""Which adapters there are: the folders beside this file that hold a venue, or its simulator, and
what installed packages offer.

A venue's `venue.py` has its `SPEC`; its `simulator.py`, which only those import who serve it, has
`create`. Another distribution names the same two as entry points, of the groups
`fairlead.adapters` and `fairlead.simulators`. Nothing is imported before it is asked for by name,
and nobody takes the place of a venue of ours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairlead.adapters.base.venue import AdapterSpec
from fairlead.engine.errors import Exit, FairleadError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from fairlead.adapters.simulation.venue import SimulatedVenue

FOLDER = Path(__file__).parent
SHARED = {"base", "simulation"}
RESERVED = {*SHARED, "recorded"}  # the last one: of a config whose venue is only in a catalog
ADAPTERS, SIMULATORS = "fairlead.adapters", "fairlead.simulators"  # groups of entry points
_extra: dict[str, AdapterSpec] = {}
_extra_simulators: dict[str, Callable[..., SimulatedVenue]] = {}


def names() -> tuple[str, ...]:
    """Every adapter's name, sorted. Imports none of them."""
    return tuple(sorted(_with("venue.py") | _extra.keys() | _offered(ADAPTERS).keys()))


def simulated() -> tuple[str, ...]:
    """Every venue that has a simulator, sorted. Imports none of them."""
    return tuple(
        sorted(_with("simulator.py") | _extra_simulators.keys() | _offered(SIMULATORS).keys())
    )


def playable() -> tuple[str, ...]:
    """Every venue with an adapter and a simulator to play it against, sorted.

    Sessions trade by the venue's book: one that has a ticker only has none to show. It imports
    them; one that can't be is left to whoever asks for it by name.
    """
    known = names()
    return tuple(name for name in simulated() if name in known and not _has_ticker_only(name))


def _has_ticker_only(name: str) -> bool:
    try:
        return spec(name).capabilities.ticker
    except FairleadError:
        return False


def only_simulated() -> tuple[str, ...]:
    """Every venue that is here for other clients: NautilusTrader's own adapter trades there."""
    known = names()
    return tuple(name for name in simulated() if name not in known)


def spec(name: str) -> AdapterSpec:
    """Import an adapter's description on first use.

    Raises KeyError for a name that is not in the registry, FairleadError when the adapter's own
    module can't be imported, is another's, or is offered by two packages.
    """
    if name in _extra:
        return _extra[name]
    found = _found(name, "venue", "SPEC", ADAPTERS)
    if not isinstance(found, AdapterSpec):
        raise _wrong(name, "an AdapterSpec", f"a {type(found).__name__}", ADAPTERS)
    if found.name != name:
        raise _wrong(name, "a SPEC of this name", f"one of {found.name!r}", ADAPTERS)
    return found


def simulator(name: str) -> Callable[..., SimulatedVenue]:
    """What makes a venue's simulator: it takes `shell.Start` by name. Raises as `spec` does."""
    if name in _extra_simulators:
        return _extra_simulators[name]
    made: Callable[..., SimulatedVenue] = _found(name, "simulator", "create", SIMULATORS)
    if not callable(made):
        raise _wrong(name, "a function that makes one", f"a {type(made).__name__}", SIMULATORS)
    return made


def clash(name: str) -> str:
    """Which installed packages offer a name that is ours, or one another's; else empty."""
    for group, file in ((ADAPTERS, "venue.py"), (SIMULATORS, "simulator.py")):
        offered = _all_offered(group).get(name, ())
        if offered and (name in _with(file) or name in RESERVED):
            return f"fairlead and {_packages(offered)} offer it"
        if len(offered) > 1:
            return f"{_packages(offered)} offer it"
    return ""


def _with(file: str) -> set[str]:
    return {path.parent.name for path in FOLDER.glob(f"*/{file}")} - SHARED


def _offered(group: str) -> Mapping[str, tuple[EntryPoint, ...]]:
    return {name: found for name, found in _all_offered(group).items() if name not in RESERVED}


@cache
def _all_offered(group: str) -> Mapping[str, tuple[EntryPoint, ...]]:
    from importlib.metadata import entry_points

    found: dict[str, tuple[EntryPoint, ...]] = {}
    for entry in entry_points(group=group):
        found[entry.name] = (*found.get(entry.name, ()), entry)
    return found


def _found(name: str, module: str, attribute: str, group: str) -> Any:
    """Ours first. Raises KeyError where nobody has it."""
    if name in _with(f"{module}.py"):
        where = f"fairlead.adapters.{name}.{module}"
        try:
            return getattr(import_module(where), attribute)
        except (ImportError, AttributeError) as e:
            came = f"{type(e).__name__}: {e}"
            raise _wrong(name, f"{where}:{attribute}", came) from e
    entries = _offered(group)[name]
    if len(entries) > 1:
        raise _wrong(name, "one package that offers it", _packages(entries))
    try:
        return entries[0].load()
    except (Exception, SystemExit) as e:  # whatever their code does while it is imported
        raise _wrong(name, entries[0].value, f"{type(e).__name__}: {e}", group) from e


def _wrong(name: str, expected: str, came: str, group: str = "") -> FairleadError:
    """With a group: of the package that offers it there, when none of ours is meant."""
    entries = _offered(group).get(name, ()) if group else ()
    of = f" of {_packages(entries)}" if entries and not (FOLDER / name).is_dir() else ""
    what = "the simulator" if group == SIMULATORS else "adapter"
    detail = f"{what} {name}{of}: expected {expected}; came {came}"
    return FairleadError("E-ADAPTER", detail, int(Exit.FAILED))


def _packages(entries: tuple[EntryPoint, ...]) -> str:
    told = {f"{one.dist.name} {one.dist.version}" if one.dist else one.value for one in entries}
    return f"the package{'s' if len(told) > 1 else ''} {' and '.join(sorted(told))}"


@contextmanager
def registered(
    stub: AdapterSpec, simulator: Callable[..., SimulatedVenue] | None = None
) -> Iterator[None]:
    """Add an adapter for the length of a with block, for tests and for adapters kept elsewhere."""
    if stub.name in names():
        raise ValueError(f"adapter {stub.name} is already registered")
    _extra[stub.name] = stub
    if simulator is not None:
        _extra_simulators[stub.name] = simulator
    try:
        yield
    finally:
        del _extra[stub.name]
        _extra_simulators.pop(stub.name, None)
