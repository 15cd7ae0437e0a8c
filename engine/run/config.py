"""A config with the adapters that there are: `engine/config` is handed them, and knows none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fairlead.adapters import registry
from fairlead.adapters.base.venue import AdapterSpec
from fairlead.engine.config import loader
from fairlead.engine.config.changes import Changes
from fairlead.engine.config.loaded import LoadedConfig
from fairlead.engine.run.native import found


class Known:
    """Ours by name, and NautilusTrader's own as `nautilus:NAME`."""

    def names(self) -> tuple[str, ...]:
        return (*registry.names(), *found.names())

    def spec(self, name: str, /) -> AdapterSpec:
        """Raises as `registry.spec` does."""
        if not name.startswith(found.PREFIX):
            return registry.spec(name)
        from fairlead.engine.run.native.adapter import spec  # with it comes NautilusTrader

        return spec(name)

    def clash(self, name: str, /) -> str:
        return registry.clash(name)


def load(path: Path | str, changes: Changes | None = None) -> LoadedConfig:
    """A config from its file; `changes` stand in place of the file's values, by key.

    `load("run.toml", {"strategies[0].params.fast": 8, "risk.max_drawdown": ["3 %"]})`; a number
    where the file has an exact decimal may be text, Decimal, int or float (which counts as it is
    printed). Raises ConfigError with every problem that can be found in one go.
    """
    return loader.load(Path(path), Known(), changes)


def json_schema() -> dict[str, Any]:
    """See `fairlead.engine.config.explain`, here and below."""
    from fairlead.engine.config import explain as docs

    return docs.json_schema(registry)


def overview() -> str:
    from fairlead.engine.config import explain as docs

    return docs.overview(registry)


def explain(key: str) -> str:
    """Raises FairleadError."""
    from fairlead.engine.config import explain as docs

    return docs.explain(key, registry)
