"""A made-up adapter for the config tests: described, never connected."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from fairlead.adapters import registry
from fairlead.adapters.base.venue import AdapterContext, AdapterSpec, Credential
from fairlead.engine.orders.model import Capabilities, Kind, Tif

CONFIGS = Path(__file__).resolve().parents[1] / "data" / "configs"


class StubOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    depth: Annotated[int, Meta(description="Levels of the book", ge=1, le=50)] = 20
    url: Annotated[str, Meta(description="Address of the API")] = "http://127.0.0.1"
    ack_secs: Annotated[float, Meta(description="Longest wait", ge=0)] = 1.5


def _create(_: AdapterContext) -> Any:
    raise AssertionError("a config test connects to nothing")


STUB = AdapterSpec(
    name="stubex",
    options=StubOptions,
    credentials=(Credential("key"), Credential("private_key", "pem", required=False)),
    capabilities=Capabilities(
        kinds=frozenset({Kind.LIMIT, Kind.MARKET}),
        time_in_force=frozenset({Tif.GTC, Tif.IOC}),
        public_fees=True,
    ),
    create=_create,
)


@contextmanager
def stub_adapter() -> Iterator[None]:
    with registry.registered(STUB):
        yield
