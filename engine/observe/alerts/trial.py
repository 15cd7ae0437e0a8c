"""One test message to each endpoint, by the library alone, and what comes of it."""

from __future__ import annotations

import socket
from collections.abc import Collection
from typing import TYPE_CHECKING

from fairlead.engine.config.endpoints import Endpoint
from fairlead.engine.errors import Exit, FairleadError

if TYPE_CHECKING:
    from fairlead.engine.config.loaded import LoadedConfig
    from fairlead.engine.config.people import People


def tried(loaded: LoadedConfig, people: People, names: Collection[str] | None) -> dict[str, str]:
    """Why an endpoint did not take it, by name; empty where it did. Blocks.

    Raises FairleadError where there is no endpoint, or none of a name.
    """
    if not people.endpoints:
        raise FairleadError(
            "ALERTS-NONE",
            f"expected [observe.alerts] in {loaded.path} with an endpoint, came none: nothing was "
            "sent (docs/operate.md)",
            int(Exit.CONFIG),
        )
    unknown = [name for name in names or () if name not in people.endpoints]
    if unknown:
        there = ", ".join(people.endpoints)
        raise FairleadError(
            "ALERTS-NAME",
            f"expected endpoints of {loaded.path} ({there}), came {', '.join(unknown)}: nothing "
            "was sent",
            int(Exit.USAGE),
        )
    body = f"A test message of {loaded.config.name}: alerts of its runs arrive here.\n"
    body += f"{socket.gethostname()}, {loaded.path}"
    title = f"{loaded.config.name}: TEST"
    return {
        name: Endpoint(url).deliver(title, body, "info")
        for name, url in people.endpoints.items()
        if not names or name in names
    }
