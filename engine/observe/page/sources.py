"""What a run lends to those who show it. All is read on the run's event loop."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from fairlead.engine.kill.account import TradedAccount
from fairlead.engine.kill.bare import BareLook
from fairlead.engine.orders.model import Finding

if TYPE_CHECKING:
    from pathlib import Path

    from fairlead.engine.config.loaded import LoadedConfig
    from fairlead.engine.guard.run_state import RunState
    from fairlead.engine.kill.state import KillState
    from fairlead.engine.observe.deliveries import Delivery
    from fairlead.engine.observe.page.disks import DiskWatch
    from fairlead.engine.observe.page.told import BudgetTold, RunTold
    from fairlead.engine.risk.gate import RiskGate
    from fairlead.engine.status import RunStatus


class ShownAccount(TradedAccount, Protocol):
    """A real account of the run: `compared_ns` is when it was last compared with its venue."""

    compared_ns: int

    @property
    def findings(self) -> Sequence[Finding]: ...


class Alerts(Protocol):
    """What became of the alerts, by endpoint; `held` are those that were too many."""

    @property
    def deliveries(self) -> Mapping[str, Delivery]: ...
    @property
    def held(self) -> int: ...


class Parts(Protocol):
    """Of a run that has connected its venues."""

    @property
    def gate(self) -> RiskGate: ...
    @property
    def run_state(self) -> RunState: ...
    @property
    def strategies(self) -> Sequence[Any]: ...


class Sources:
    """Of one run. `parts` and `cache` (NautilusTrader's) come once it has connected its venues.

    `state` tells where the run is, `runs` and `report` are of the runs that are kept.
    """

    def __init__(
        self,
        *,
        loaded: LoadedConfig,
        mode: str,
        is_real: bool,
        trades: bool,
        version: str,
        status: RunStatus,
        accounts: Sequence[ShownAccount],
        kills: KillState | None,
        state: Callable[[], str],
        budgets: Callable[[], Iterable[BudgetTold]],
        runs: Callable[[], list[RunTold]],
        report: Callable[[str], Path | None],
        now_ns: Callable[[], int],
    ) -> None:
        self.loaded = loaded
        self.mode = mode
        self.is_real = is_real
        self.trades = trades
        self.version = version
        self.status = status
        self.accounts = accounts
        self.kills = kills
        self.state = state
        self.budgets = budgets
        self.runs = runs
        self.report = report
        self.now_ns = now_ns
        self.started_ns = now_ns()
        self.is_up = False  # it has said that it runs
        self.parts: Parts | None = None
        self.cache: Any = None
        self.alerts: Alerts | None = None
        self.loop_lag_ns = 0  # the last that was measured
        self.disks: DiskWatch | None = None  # while they are looked at
        self.bare: dict[str, BareLook] = {}  # by venue

    @property
    def gate(self) -> RiskGate | None:
        return None if self.parts is None else self.parts.gate
