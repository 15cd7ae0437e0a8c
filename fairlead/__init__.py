"""The public names of fairlead: what a strategy is written with, and what is raised.

These are promised: a release that changes one says so in its CHANGELOG. Everything else below
`fairlead.` may move from one release to the next.

- `GuardedStrategy`: NautilusTrader's `Strategy` behind the risk gate. A plain `Strategy` is put
  behind it, too, when a config names it; this one has `stop_limit`, `bracket`, `on_gate_denied`.
- `Declared`, `Denial`, `Kind`, `OwnOrder`, `Role`, `Tif`, `TriggerCondition`: the words in which
  such a strategy says what it sends, and hears what became of it.
- `FairleadError`, `Exit`: every error that is explained to a person, and the exit codes.

Each is imported when it is first asked for, so that `import fairlead` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fairlead.engine.errors import Exit, FairleadError
    from fairlead.engine.guard import (
        Declared,
        Denial,
        GuardedStrategy,
        Kind,
        OwnOrder,
        Role,
        Tif,
        TriggerCondition,
    )

__all__ = [
    "Declared",
    "Denial",
    "Exit",
    "FairleadError",
    "GuardedStrategy",
    "Kind",
    "OwnOrder",
    "Role",
    "Tif",
    "TriggerCondition",
]
_GROUND = ("Exit", "FairleadError")


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    room = "errors" if name in _GROUND else "guard"
    found = getattr(import_module(f"{__name__}.engine.{room}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
