"""Live and on paper: worth where ETH_BTC moves what is counted in USDT, too."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from nautilus_trader.model import BookType, InstrumentId, OrderSide
from nautilus_trader.trading import StrategyConfig

from fairlead.adapters.poloniex.simulator_markets import DEFAULT_BALANCES, PoloniexSimOptions
from fairlead.engine.guard import GuardedStrategy
from fairlead.engine.research.runs import Run, newest
from tests.live import hosted
from tests.support import configs
from tests.support.processes import Venue, run_until

PAIRS = ("BTC_USDT", "ETH_USDT", "ETH_BTC")
BUYS = {"BTC_USDT": "0.031", "ETH_USDT": "0.37", "ETH_BTC": "1.23"}
LEAST = {"USDT": Decimal("0.001"), "BTC": Decimal("0.00000001")}  # what rounding may lack


class BuysConfig(StrategyConfig):
    def __init__(self, *, seen: str, **native: Any) -> None:
        self.seen = seen


class Buys(GuardedStrategy):
    """Each pair once, when all of them have a book."""

    config_class = BuysConfig

    def __init__(self, config: BuysConfig) -> None:
        super().__init__(config)
        self.seen = config.seen
        self.names = {name: InstrumentId.from_str(f"{name}.POLONIEX") for name in PAIRS}
        self.is_done = False

    def on_start(self) -> None:
        for name in self.names.values():
            self.subscribe_book_deltas(name, BookType.L2_MBP, managed=True)

    def on_book_deltas(self, deltas: Any) -> None:
        if self.is_done or None in map(self.cache.top_of_book, self.names.values()):
            return
        self.is_done = True
        for pair, name in self.names.items():
            size = self.cache.instrument(name).make_qty(Decimal(BUYS[pair]))
            self.submit_order(self.order_factory.market(name, OrderSide.BUY, size))

    def on_order_filled(self, event: Any) -> None:
        orders = self.cache.orders()
        if len(orders) == len(PAIRS) and all(one.is_closed for one in orders):
            Path(self.seen).write_text("all")


@pytest.mark.parametrize("verb", ["paper", "live"])
def test_start_and_end_are_the_accounts_worth(tmp_path: Path, verb: str) -> None:
    balances = ", ".join(f'"{amount} {name}"' for name, amount in DEFAULT_BALANCES.items())
    fees = '[venues.poloniex.fees]\nmaker = "0.00145"\ntaker = "0.00155"\n'
    more = fees if verb == "paper" else ""  # live the account's are asked for
    more += f"{configs.ROOMY}\n[simulated]\nbalances = [{balances}]\nlatency_ms = 5\n"
    more = more.replace('max_order_notional = "100000 USDT"\n', "")
    seen = tmp_path / "seen"
    strategy = {"id": "Buys-1", "path": f"{__name__}:Buys", "params": {"seen": str(seen)}}
    options = PoloniexSimOptions(active_markets=PAIRS)
    with hosted.simulated(tmp_path / "keys", options) as line:
        served = Venue(None, line)  # type: ignore[arg-type]
        config = configs.write(
            tmp_path, served, strategies=[strategy], instruments=PAIRS, more=more
        )
        ended = run_until(verb, config, seen.exists, "the fills", folder=tmp_path)
        assert ended.returncode == 0, ended.stdout + ended.stderr[-3000:]
        (account,) = served.balances().values()
    told = json.loads(ended.stdout)
    marks = {
        one["instrument"].partition(".")[0]: Decimal(one["mark"]) for one in told["instruments"]
    }
    kept = Run.at(next(newest(tmp_path / "state")))
    held = {name: Decimal(amount) for name, amount in DEFAULT_BALANCES.items()}
    for fill in kept.rows("fills"):
        base, _, quote = fill["instrument"].partition(".")[0].partition("_")
        assert fill["side"] == "BUY"
        held[base] += Decimal(fill["quantity"])
        held[quote] -= Decimal(fill["quantity"]) * Decimal(fill["price"])
        held[fill["fee_currency"]] -= Decimal(fill["fee"])
    if verb == "live":
        for name in ("USDT", "BTC", "ETH"):
            theirs = Decimal(account[name]["free"]) + Decimal(account[name]["locked"])
            assert abs(theirs - held[name]) < Decimal("0.000001")

    def worth(of: dict[str, Decimal], quote: str) -> Decimal:
        bases = [name for name in marks if name.endswith(f"_{quote}")]
        return of[quote] + sum(of[name.partition("_")[0]] * marks[name] for name in bases)

    for quote, one in told["equity"]["POLONIEX"].items():
        last = [row for row in kept.rows("equity") if row["currency"] == quote][-1]
        for found in (one["start"], last["kept"]):
            assert abs(Decimal(found) - worth(DEFAULT_BALANCES, quote)) < LEAST[quote]
        for found in (one["end"], last["equity"]):
            assert abs(Decimal(found) - worth(held, quote)) < LEAST[quote]
        assert Decimal(one["crossed"]) == pytest.approx(Decimal(last["crossed"]))
