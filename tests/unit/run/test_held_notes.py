"""What `fairlead check` says of an instrument that a journal holds and the config does not name."""

from __future__ import annotations

from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest

from fairlead.engine.config.loaded import account_files
from fairlead.engine.orders.journal import Journal
from fairlead.engine.orders.model import Side, VenueFill
from fairlead.engine.run.config import load
from fairlead.engine.run.takeover import held_notes
from tests.unit.orders.conftest import intent

CONFIG = """
name = "held"
[venues.binance]
adapter = "{adapter}"
instruments = ["{named}"]
account_type = "{kind}"
fees = "none"
"""
OURS = ("oceanex", "cash", "BTC_USDT.BINANCE", "ETH_USDT.BINANCE")
NATIVE = ("nautilus:binance", "margin", "BTCUSDT-PERP.BINANCE", "ETHUSDT-PERP.BINANCE")


@pytest.mark.parametrize(
    ("venue", "is_filled", "told"),
    [
        (OURS, True, "or close it with `fairlead kill` and `--action flatten`"),
        (OURS, False, "or cancel it with `fairlead kill`"),
        (NATIVE, True, "or close it at the venue, where a kill closes none"),
        (NATIVE, False, "or cancel it with `fairlead kill`"),
    ],
)
def test_it_advises_what_can_be_done_there(
    tmp_path: Path, venue: tuple[str, str, str, str], is_filled: bool, told: str
) -> None:
    adapter, kind, named, held = venue
    path = tmp_path / "run.toml"
    path.write_text(CONFIG.format(adapter=adapter, kind=kind, named=named))
    loaded = load(path)
    journal_path = account_files(loaded, "binance").journal
    journal_path.parent.mkdir(parents=True, exist_ok=True)
    with closing(Journal(journal_path, fsync=False, now_ns=lambda: 7)) as journal:
        bought = intent("A", instrument=held, side=Side.BUY)
        journal.intend([bought])
        if is_filled:
            fill = VenueFill(
                venue_order_id="1",
                trade_id="1",
                instrument=held,
                side=Side.BUY,
                quantity=bought.quantity,
                price=Decimal(100),
                fee=Decimal(0),
                fee_currency="USDT",
                client_order_id="A",
            )
            journal.fill(bought, fill, Decimal(0))
    (note,) = held_notes(loaded)
    assert held in note
    assert note.endswith(told)
