"""`fairlead` with one more adapter, `nostops`: an OceanEx whose capability table has no stops."""

from __future__ import annotations

from typing import Any

import msgspec

from fairlead.adapters import registry
from fairlead.adapters.base.venue import AdapterContext
from fairlead.adapters.oceanex.venue import SPEC, OceanexAdapter
from fairlead.engine.cli.app import app
from fairlead.engine.orders.model import Kind

CAPABILITIES = msgspec.structs.replace(
    SPEC.capabilities, kinds=frozenset({Kind.LIMIT, Kind.MARKET})
)


def create(context: AdapterContext) -> Any:
    adapter = OceanexAdapter(context)
    adapter.capabilities = CAPABILITIES
    return adapter


def main() -> None:
    stub = msgspec.structs.replace(SPEC, name="nostops", capabilities=CAPABILITIES, create=create)
    with registry.registered(stub):
        app(prog_name="fairlead")
