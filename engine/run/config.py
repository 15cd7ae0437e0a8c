"""A config with the adapters that there are: `engine/config` is handed them, and knows none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fairlead.adapters import registry
from fairlead.engine.config import loader
from fairlead.engine.config.loaded import LoadedConfig


def load(path: Path) -> LoadedConfig:
    """See `fairlead.engine.config.loader.load`. Raises ConfigError."""
    return loader.load(path, registry)


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
