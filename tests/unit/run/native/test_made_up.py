"""What NautilusTrader makes up where positions differ, and fees that it does not tell."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from fairlead.engine.observe.explain import explain
from fairlead.engine.orders.live import UNASKED
from fairlead.engine.run import kernel
from fairlead.engine.run.config import load
from fairlead.engine.run.native.desk import MADE_UP, MAKES_UP, NativeDesk
from tests.unit.run.native.test_desk import CID, PERP, Kept, event, filled, kept, limit

__all__ = ["kept"]
SYNTHETIC = "2349ad37-600a-5a4b-8a45-dbad2a1d2cdf"


def cash(kept: Kept, halted: list[tuple[str, str]]) -> NativeDesk:
    """The desk of an account whose venue tells no positions."""
    desk = NativeDesk(
        kept.journal,
        {},
        lambda: 7,
        lambda code, _: kept.failed.append(code),
        kept.findings.append,
        tells_positions=False,
        on_halt=lambda name, why: halted.append((name, why)),
    )
    desk.is_hearing = True
    return desk


def made_up(desk: NativeDesk) -> list[bool]:
    """An order that closes what is held: whether each of its events is one to hear."""
    begun = event("OrderInitialized", SYNTHETIC, tags=[MAKES_UP], reconciliation=True)
    sold = filled("0.010", "bd319317", SYNTHETIC, "SELL", commission=None)
    return [desk.told(one) for one in (begun, event("OrderAccepted", SYNTHETIC), sold)]


def bought(desk: NativeDesk) -> None:
    order = limit()
    desk.intend([order])
    begun = event("OrderInitialized", tags=["role:entry"], reconciliation=False)
    assert desk.told(begun)
    assert desk.told(filled("0.010", "1"))


def test_a_cash_account_books_nothing_that_is_made_up_and_trades_no_more(kept: Kept) -> None:
    halted: list[tuple[str, str]] = []
    desk = cash(kept, halted)
    bought(desk)
    assert made_up(desk) == [False, False, False]
    assert kept.held() == {"Maker-001": Decimal("0.010")}
    assert kept.journal.order(SYNTHETIC) is None
    assert [(one.code, one.subject) for one in kept.findings] == [(MADE_UP, SYNTHETIC)]
    ((name, why),) = halted
    assert name == PERP
    assert MADE_UP in why


def test_what_is_made_up_while_a_start_goes_on_is_for_nobody(kept: Kept) -> None:
    """A start compares by itself; but the gate may not count it, either."""
    halted: list[tuple[str, str]] = []
    desk = cash(kept, halted)
    desk.is_hearing = False
    assert made_up(desk) == [False, False, False]
    assert (halted, kept.findings, kept.held()) == ([], [], {})


def test_a_trade_by_hand_is_booked_at_a_cash_account_too(kept: Kept) -> None:
    """The venue told it: NautilusTrader has an order of that, and marks it as the venue's."""
    desk = cash(kept, halted := [])
    begun = event("OrderInitialized", "by-hand", tags=["VENUE"], reconciliation=True)
    assert desk.told(begun)
    assert desk.told(filled("0.010", "9", "by-hand"))
    assert kept.held() == {"Maker-001": Decimal("0.010")}
    assert ([one.code for one in kept.findings], halted) == ([UNASKED], [])


def test_where_the_venue_tells_positions_what_follows_them_is_booked(kept: Kept) -> None:
    """No strategy decided it, no gate approved it, and its fee is not known."""
    bought(kept.desk)
    assert made_up(kept.desk) == [True, True, True]
    assert kept.held() == {"Maker-001": 0}
    assert [one.code for one in kept.findings] == [UNASKED, "FEE-UNKNOWN"]
    (fill,) = kept.journal.fills_of(SYNTHETIC)
    assert (fill.fee, fill.fee_currency) == (0, "USDT")
    told = explain(SYNTHETIC, [kept.journal.path], None).lines
    (signal,) = [line.text for line in told if line.source == "signal"]
    assert "no strategy sent it, no gate approved it" in signal
    told = explain(CID, [kept.journal.path], None).lines
    assert not any("no strategy sent it" in line.text for line in told)


def test_one_that_was_over_was_sent_by_its_strategy(kept: Kept) -> None:
    kept.desk.intend([limit()])
    kept.desk.told(event("OrderCanceled", reason=None))
    kept.desk.told(filled("0.005", "1"))
    assert [(one.code, one.journal) for one in kept.findings] == [(UNASKED, "over: CANCELED")]
    assert not any(
        "no strategy sent it" in line.text for line in explain(CID, [kept.journal.path], None).lines
    )


def test_an_execution_without_a_fee_says_so_once(kept: Kept) -> None:
    kept.desk.intend([limit()])
    for _ in range(2):
        kept.desk.told(filled("0.005", "1", commission=None))
    assert [one.code for one in kept.findings] == ["FEE-UNKNOWN"]
    (fill,) = kept.journal.fills_of(CID)
    assert fill.fee_currency == "USDT"


VENUE = """
[venues.{key}]
adapter = "{adapter}"
instruments = ["{instrument}"]
account_type = "{kind}"
{more}
"""
SPOT = 'fees = "none"\noptions = { product_type = "SPOT" }'
CASH = {"key": "binance", "adapter": "nautilus:binance", "kind": "cash", "more": SPOT}
CASH |= {"instrument": "BTCUSDT.BINANCE"}
MARGIN = {**CASH, "key": "futures", "kind": "margin", "instrument": "BTCUSDT-PERP.FUTURES"}
OURS = {**CASH, "key": "oceanex", "adapter": "oceanex", "more": ""}
OURS |= {"instrument": "BTC_USDT.OCEANEX"}
READ = {**CASH, "more": f"data_only = true\n{SPOT}"}


@pytest.mark.parametrize(
    ("venues", "is_compared"),
    [
        ([CASH], False),
        ([MARGIN], True),
        ([MARGIN, CASH], False),
        ([OURS], True),  # it tells those of the journal
        ([OURS, CASH], False),
        ([OURS, READ], True),
    ],
)
def test_positions_are_compared_where_every_account_tells_them(
    tmp_path: Path, venues: list[dict[str, str]], is_compared: bool
) -> None:
    path = tmp_path / "run.toml"
    path.write_text('name = "native"' + "".join(VENUE.format(**one) for one in venues))
    config = kernel.node_config(load(path), "live", None).exec_engine
    assert (config.position_check_interval_secs is not None) is is_compared
