"""The position to which NautilusTrader cuts reduce-only orders, with fees in base currency."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest

from fairlead.backtests.synthetic import spot
from fairlead.engine.research.parity import Parity
from fairlead.engine.research.runs import Run
from fairlead.engine.run.parity import parity_of
from tests.unit import backtest_kit as kit

NAME = "BTCUSDT.TEST"


def left_by(folder: Path, trades: tuple[tuple[str, str], ...], out: str) -> Parity:
    """A run of market orders, the last of which had been reduce-only, for its strategy's position;
    and the backtest's, where it is."""
    buyer_pays_base = spot(NAME, {"buy_fee_in_base": True})
    catalog = kit.scripted(folder / "catalog", buyer_pays_base, ["60000"] * 20)
    steps = [[at * 2000, "market", *one] for at, one in enumerate((*trades, ("BUY", out)))]
    params = {"instrument_id": NAME, "script": json.dumps(steps).replace('"', '\\"')}
    result = kit.run(
        folder,
        catalog,
        "tests.parity.scripted:Scripted",
        params,
        account="cash",
        fees='{ maker = "0.001", taker = "0.001" }',
        balances=("10000000 USDT", "1000 BTC"),
        risk='max_order_notional = "10000000 USDT"\nprice_collar_bps = "1000"',
    )
    result.record().write(folder / "run")
    result.dispose()
    rows = [json.loads(line) for line in (folder / "run" / "orders.jsonl").read_text().splitlines()]
    assert [row["status"] for row in rows] == ["FILLED"] * len(steps)
    rows[-1]["reduce_only"] = True
    (folder / "run" / "orders.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    told = json.loads((folder / "run" / "run.json").read_text())
    (folder / "run" / "run.json").write_text(json.dumps(told | {"mode": "paper"}))
    return parity_of(Run.at(folder / "run"))


@pytest.mark.parametrize(
    ("trades", "out", "native"),
    [
        # 3 sold; 4 bought less 0.004; 3 sold: 2.004 are short, of which 0.003 are the fee of what
        # closed the first
        ((("SELL", "3"), ("BUY", "4"), ("SELL", "3")), "2.004", "2.001"),
        # Nothing was turned: both have the same
        ((("SELL", "3"), ("BUY", "2"), ("SELL", "2")), "3.002", ""),
    ],
)
def test_a_way_out_is_cut_to_it(
    tmp_path: Path, trades: tuple[tuple[str, str], ...], out: str, native: str
) -> None:
    found = left_by(tmp_path, trades, out)
    if not native:
        assert found.differences == ()
        return
    (one,) = found.differences
    assert (one.kind, f"which is {native}:" in one.why) == ("exit", True), one
    sizes = [Decimal(text.split()[1]) for text in (one.run, one.replay)]
    assert sizes[0] - sizes[1] == Decimal(out) - Decimal(native)
