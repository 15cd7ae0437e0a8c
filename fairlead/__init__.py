"""The public names of fairlead: what a strategy is written with, and what a notebook runs it by.

These are promised: a release that changes one says so in its CHANGELOG. Everything else below
`fairlead.` may move from one release to the next.

- `GuardedStrategy`: NautilusTrader's `Strategy` behind the risk gate. A plain `Strategy` is put
  behind it, too, when a config names it; this one has `stop_limit`, `bracket`, `on_gate_denied`.
- `Declared`, `Denial`, `Kind`, `OwnOrder`, `Role`, `Tif`, `TriggerCondition`: the words in which
  such a strategy says what it sends, and hears what became of it.
- `load`, `run_backtest`: a config from its file; its backtest, whose `summary` has the numbers.
- `FairleadError`, `Exit`: what is raised, in words for a person; the exit codes of a process.

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
    from fairlead.engine.run.backtest import run_backtest
    from fairlead.engine.run.config import load

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
    "load",
    "run_backtest",
]
_NOT_THE_GUARDS = {
    "Exit": "errors",
    "FairleadError": "errors",
    "load": "run.config",
    "run_backtest": "run.backtest",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(f"{__name__}.engine.{_NOT_THE_GUARDS.get(name, 'guard')}")
    found = globals()[name] = getattr(module, name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
