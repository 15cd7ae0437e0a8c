"""Which adapters there are: the folders beside this file that hold a venue, or its simulator.

A venue's `venue.py` has its `SPEC`; its `simulator.py`, which only those import who serve it, has
`create`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairlead.adapters.base.venue import AdapterSpec
from fairlead.engine.errors import Exit, FairleadError

if TYPE_CHECKING:
    from fairlead.adapters.simulation.venue import SimulatedVenue

FOLDER = Path(__file__).parent
SHARED = {"base", "simulation"}
_extra: dict[str, AdapterSpec] = {}


def names() -> tuple[str, ...]:
    """Every adapter's name, sorted. Imports none of them."""
    return tuple(sorted(_with("venue.py") | _extra.keys()))


def simulated() -> tuple[str, ...]:
    """Every venue that has a simulator, sorted. Imports none of them."""
    return tuple(sorted(_with("simulator.py")))


def spec(name: str) -> AdapterSpec:
    """Import an adapter's description on first use.

    Raises KeyError for a name that is not in the registry, FairleadError when the adapter's own
    module can't be imported.
    """
    if name in _extra:
        return _extra[name]
    if name not in names():
        raise KeyError(name)
    found = _found(name, "venue", "SPEC")
    if not isinstance(found, AdapterSpec):
        raise TypeError(f"SPEC of adapter {name} is a {type(found).__name__}, not an AdapterSpec")
    return found


def simulator(name: str) -> Callable[..., SimulatedVenue]:
    """What makes a venue's simulator: it takes `shell.Start` by name. Raises as `spec` does."""
    if name not in simulated():
        raise KeyError(name)
    made: Callable[..., SimulatedVenue] = _found(name, "simulator", "create")
    return made


def _with(file: str) -> set[str]:
    return {path.parent.name for path in FOLDER.glob(f"*/{file}")} - SHARED


def _found(name: str, module: str, attribute: str) -> Any:
    where = f"fairlead.adapters.{name}.{module}"
    try:
        return getattr(import_module(where), attribute)
    except (ImportError, AttributeError) as e:
        detail = f"adapter {name}: expected {where}:{attribute}; came {type(e).__name__}: {e}"
        raise FairleadError("E-ADAPTER", detail, int(Exit.FAILED)) from e


@contextmanager
def registered(stub: AdapterSpec) -> Iterator[None]:
    """Add an adapter for the length of a with block, for tests and for adapters kept elsewhere."""
    if stub.name in names():
        raise ValueError(f"adapter {stub.name} is already registered")
    _extra[stub.name] = stub
    try:
        yield
    finally:
        del _extra[stub.name]
