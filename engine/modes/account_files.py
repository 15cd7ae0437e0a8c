"""Where one venue account keeps, in the state folder, what outlives a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from engine.config.loader import LoadedConfig

PAPER = "paper"  # stands for the account of a run that sends nothing to a venue


class AccountFiles(msgspec.Struct, frozen=True):
    """The files of the account `name`: a venue's key in the config, and the account's own name."""

    folder: Path
    name: str

    @property
    def journal(self) -> Path:
        return self.folder / f"{self.name}.journal.sqlite"

    @property
    def risk(self) -> Path:
        """Halt, losses and counters of the risk gate."""
        return self.folder / f"{self.name}.risk.json"

    @property
    def lock(self) -> Path:
        """Held by the run that trades the account."""
        return self.folder / f"{self.name}.lock"

    @property
    def flatten_lock(self) -> Path:
        """Held by the process that closes the account's positions."""
        return self.folder / f"{self.name}.flatten.lock"

    @property
    def is_paper(self) -> bool:
        return self.name.endswith(f"-{PAPER}")


def old_risk_file(folder: Path, *, paper: bool = False) -> Path:
    """Where all accounts of a state folder once shared one risk state."""
    return folder / f"risk-{PAPER if paper else 'live'}.json"


def account_files(loaded: LoadedConfig, key: str, *, paper: bool = False) -> AccountFiles:
    """Of the venue `key` of the config; raises KeyError where it has none."""
    account = PAPER if paper else loaded.config.venues[key].account
    return AccountFiles(loaded.state_dir, f"{key}-{account}")
