"""What the commands that run until they are stopped take."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest

from fairlead.engine.cli import node


@pytest.mark.parametrize("mode", ["live", "paper"])
def test_what_trades_takes_a_folder_for_its_files(
    mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, Any] = {}
    monkeypatch.setattr(node, "run", lambda config, mode, **kw: given.update(kw, mode=mode))
    command = getattr(node, mode)
    assert inspect.signature(command).parameters["out"].annotation == "Out"
    command(Path("x.toml"), out=Path("there"))
    assert (given["mode"], given["out"]) == (mode, Path("there"))
