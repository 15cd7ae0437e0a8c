"""A desk that holds anything for its venue is shown the venue's market."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fairlead.adapters.base.account import Account
from fairlead.engine.config import model
from fairlead.engine.orders.journal import Journal
from fairlead.engine.orders.model import Capabilities, Kind, Tif
from fairlead.engine.status import RunStatus
from tests.unit.orders.conftest import ScriptedVenue, Sink


@pytest.mark.parametrize(
    ("traits", "is_shown"),
    [
        ({}, False),
        ({"held": frozenset({Kind.STOP_LIMIT})}, True),
        ({"hold_passed": True}, True),
        ({"holds_limits": True}, True),
    ],
)
def test_the_market_is_shown_to_a_desk_that_holds(
    tmp_path: Path, traits: dict[str, Any], is_shown: bool
) -> None:
    """Of limits alone, or of stops that are passed: they waited for ever."""
    plain = Capabilities(
        kinds=frozenset({Kind.LIMIT}), time_in_force=frozenset({Tif.FOK}), **traits
    )
    runtime = SimpleNamespace(
        now_ns=lambda: 0, boot="boot", instruments=(), on_market=None, status=RunStatus()
    )
    journal = Journal(tmp_path / "journal.sqlite", fsync=False, now_ns=lambda: 0)
    account: Any = SimpleNamespace(
        orders=ScriptedVenue(),
        journal=journal,
        runtime=runtime,
        _able=lambda: plain,
        _held=model.Held,
        _config=SimpleNamespace(execution=model.Execution()),
    )
    for name in ("_base_currency", "killed", "_on_unknown", "_on_halt", "regate", "_key_refused"):
        setattr(account, name, lambda *_: None)
    Account.make_desk(account, Sink())
    journal.close()
    assert (runtime.on_market is not None) is is_shown
