"""The public names of fairlead: what a strategy is written with, and what a notebook runs it by.

These are promised: a release that changes one says so in its CHANGELOG. Everything else below
`fairlead.` may move from one release to the next.

- `GuardedStrategy`: NautilusTrader's `Strategy` behind the risk gate. A plain `Strategy` is put
  behind it, too, when a config names it; this one has `stop_limit`, `bracket`, `on_gate_denied`.
- `Declared`, `Denial`, `Kind`, `OwnOrder`, `Role`, `Tif`, `TriggerCondition`: the words in which
  such a strategy says what it sends, and hears what became of it.
- `load`, `changed`: a config from its file, and with other values in place of the file's.
- `backtest`: runs a config over its catalog and gives a `Run`, whose `orders`, `fills`, `equity`,
  `positions` and so on are DataFrames; `runs_below` finds those that are kept, `write_report` makes
  a page of one, `Catalog` has recorded trades, quotes and books as DataFrames.
- `ScreenBars`: the columns that a strategy's `screen` is given by `fairlead sweep --screen`.
- `run_backtest`: the same for programs, without tables: its result's `summary` has the numbers.
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
    from fairlead.engine.research.catalogs import Catalog
    from fairlead.engine.research.report import write_report
    from fairlead.engine.research.runs import Run, runs_below
    from fairlead.engine.research.screening import ScreenBars
    from fairlead.engine.run.backtest import run_backtest
    from fairlead.engine.run.config import load
    from fairlead.engine.run.notebook import backtest, changed

__all__ = [
    "Catalog",
    "Declared",
    "Denial",
    "Exit",
    "FairleadError",
    "GuardedStrategy",
    "Kind",
    "OwnOrder",
    "Role",
    "Run",
    "ScreenBars",
    "Tif",
    "TriggerCondition",
    "backtest",
    "changed",
    "load",
    "run_backtest",
    "runs_below",
    "write_report",
]
_NOT_THE_GUARDS = {
    "Catalog": "research.catalogs",
    "Exit": "errors",
    "FairleadError": "errors",
    "Run": "research.runs",
    "ScreenBars": "research.screening",
    "backtest": "run.notebook",
    "changed": "run.notebook",
    "load": "run.config",
    "run_backtest": "run.backtest",
    "runs_below": "research.runs",
    "write_report": "research.report",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(f"{__name__}.engine.{_NOT_THE_GUARDS.get(name, 'guard')}")
    found = globals()[name] = getattr(module, name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
