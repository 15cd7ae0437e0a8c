"""The only place that names venues: adapter name -> where its `AdapterSpec` is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module

from adapters.base.venue import AdapterSpec
from engine.errors import Exit, FairleadError

_SPECS: dict[str, str] = {
    "oceanex": "adapters.oceanex.venue:SPEC",
    "poloniex": "adapters.poloniex.venue:SPEC",
}
_extra: dict[str, AdapterSpec] = {}


def names() -> tuple[str, ...]:
    """Every adapter's name, sorted. Imports none of them."""
    return tuple(sorted(_SPECS.keys() | _extra.keys()))


def spec(name: str) -> AdapterSpec:
    """Import an adapter's description on first use.

    Raises KeyError for a name that is not in the registry, FairleadError when the adapter's own
    module can't be imported.
    """
    if name in _extra:
        return _extra[name]
    module, _, attribute = _SPECS[name].partition(":")
    try:
        found = getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as e:
        detail = f"adapter {name}: expected {_SPECS[name]}; came {type(e).__name__}: {e}"
        raise FairleadError("E-ADAPTER", detail, int(Exit.FAILED)) from e
    if not isinstance(found, AdapterSpec):
        raise TypeError(f"{_SPECS[name]} is a {type(found).__name__}, not an AdapterSpec")
    return found


@contextmanager
def registered(stub: AdapterSpec) -> Iterator[None]:
    """Add an adapter for the length of a with block, for tests and for adapters kept elsewhere."""
    if stub.name in _SPECS or stub.name in _extra:
        raise ValueError(f"adapter {stub.name} is already registered")
    _extra[stub.name] = stub
    try:
        yield
    finally:
        del _extra[stub.name]
