"""The optional packages of research: imported when they are needed, named where they lack."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from fairlead.engine.errors import Exit, FairleadError

HOW = "pip install 'fairlead[research]'"
EXTRAS = {"optuna": "search", "trialgate": "search", "ray": "ray"}  # else `research`


def has(name: str) -> bool:
    """Whether the package is installed; it is not imported."""
    return find_spec(name) is not None


def need(name: str, what: str) -> Any:
    """The package `name`, which `what` needs. Raises FairleadError RESEARCH-EXTRA."""
    try:
        return import_module(name)
    except ImportError as error:
        package = name.partition(".")[0]
        how = HOW.replace("research", EXTRAS.get(package, "research"))
        raise FairleadError(
            "RESEARCH-EXTRA", f"{what} needs the package {package}: {how}", int(Exit.USAGE)
        ) from error
