"""Packages of the extra `research` that some formats need: named where they are missing."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from fairlead.engine.recording.importers.staging import ImportFailed

_USAGE = 2  # exit code


def package(name: str, what: str) -> Any:
    """Raises ImportFailed."""
    try:
        return import_module(name)
    except ImportError as error:
        text = (
            f"{what} needs the package {name.partition('.')[0]}: pip install 'fairlead[research]'"
        )
        raise ImportFailed("RESEARCH-EXTRA", text, _USAGE) from error
