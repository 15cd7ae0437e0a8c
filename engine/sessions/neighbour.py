"""Another account's run in the same state folder: it halts, writes and starts again meanwhile."""

from __future__ import annotations

import asyncio
from pathlib import Path
from random import Random

from fairlead.engine.config import model
from fairlead.engine.kill.state import FOLDER, KillState
from fairlead.engine.kill.switch import KillSwitch
from fairlead.engine.orders.files import AccountFiles
from fairlead.engine.risk.gate import RiskGate
from fairlead.engine.risk.state import RiskStateFile
from fairlead.engine.risk.states import RiskStates
from fairlead.engine.sessions.scene import Scene

OWN, OTHER = "main", "second"
REASON = "a limit of the other account"


def risk_states(folder: Path, venue: str, account: str) -> RiskStates:
    """What the risk gate of an account keeps in the state folder."""
    file = RiskStateFile(AccountFiles(folder, f"{venue}-{account}").risk)
    return RiskStates({venue.upper(): file})


def kill_switch(folder: Path) -> KillSwitch:
    """Of an account in the state folder: its file, and the durable kills."""
    return KillSwitch(folder / model.Risk().kill_switch_file, KillState(folder / FOLDER))


class Neighbour:
    """The risk gate of the account `OTHER`, in one life after the other."""

    def __init__(self, scene: Scene) -> None:
        plan = scene.plan
        self._scene = scene
        self._rng = Random(f"neighbour/{plan.venue}/{plan.seed}")  # noqa: S311 - simulation
        self._halts_at = self._rng.uniform(1, plan.secs)
        self._has_halted = False

    def _start(self, account: str = OTHER) -> RiskGate:
        scene = self._scene
        states = risk_states(scene.folder, scene.plan.venue, account)
        return RiskGate(model.Risk(), state=states, kill=kill_switch(scene.folder))

    async def run(self) -> None:
        scene = self._scene
        gate = self._start()
        while not scene.is_over:
            await asyncio.sleep(self._rng.uniform(0.5, 5))
            if not self._has_halted and scene.loop.time() >= self._halts_at:
                gate.halt(REASON, scene.loop.now_ns())
                self._has_halted = True
            elif self._rng.random() < 0.3:
                gate = self._start()
            else:
                gate.persist()

    def judge(self) -> None:
        """Each account has its own halt, for its next start, and none of the other's."""
        for account, has_halted in ((OWN, bool(self._scene.halts)), (OTHER, self._has_halted)):
            halt = self._start(account).halt_in_force
            if has_halted and halt is None:
                self._scene.broken("HALT-LOST", account, "the next start would trade")
            is_others = halt is not None and (halt.reason == REASON) is not (account == OTHER)
            if is_others:
                self._scene.broken("HALT-OF-ANOTHER", account, str(halt))
