"""An order that the venue forgot is settled by a person: then starts and kills are normal."""

from __future__ import annotations

import json
import subprocess
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest

from fairlead.adapters.oceanex.simulator_markets import OceanexSimOptions
from fairlead.adapters.poloniex.simulator_markets import PoloniexSimOptions
from fairlead.engine.errors import Exit
from fairlead.engine.orders.journal import Journal
from fairlead.engine.orders.model import OrderState
from tests.live import hosted
from tests.live.blocked_run import Run
from tests.support import configs
from tests.support.patience import PATIENCE_SECS
from tests.support.processes import Venue, command, run

BALANCES = {"USDT": Decimal(100_000), "BTC": Decimal(1)}
OPTIONS = {
    "oceanex": OceanexSimOptions(balances=BALANCES),
    "poloniex": PoloniexSimOptions(balances=BALANCES),
}


def resolve(live: Run, order: str, *words: str) -> subprocess.CompletedProcess[str]:
    return command("resolve", order, *words, "--config", str(live.config), "--json")


NEVER = ("RESOLVE-QUANTITY of a grid", "RESOLVE-FEE as large as the value")


def _slips(limit: Decimal) -> dict[str, tuple[str, ...]]:
    """A code and what is wrong -> words; the order is a BUY at this limit."""
    filled = ("--filled", f"0.0004@{limit}", "--fee")
    return {
        "RESOLVE-QUANTITY of a grid": ("--filled", f"0.0000000000000000000000000001@{limit}"),
        "RESOLVE-PRICE above the limit": ("--filled", f"0.0004@{limit + 1}"),
        "RESOLVE-PRICE tenfold": ("--filled", f"0.0004@{limit * 10}"),
        "RESOLVE-PRICE a tenth": ("--filled", f"0.0004@{limit / 10}"),
        "RESOLVE-FEE as large as the value": (*filled, "500 BTC"),
        "RESOLVE-FEE a large share in base": (*filled, "0.00001 BTC"),
        "RESOLVE-FEE a large share in quote": (*filled, "1 USDT"),
        "RESOLVE-FEE in another currency": (*filled, "0.001 DOGE"),
    }


def _limit(path: Path, order_id: str) -> Decimal:
    with closing(Journal.reading(path)) as journal:
        order = journal.order(order_id)
    assert order is not None
    assert order.intent.price is not None
    return order.intent.price


@pytest.mark.parametrize("key", sorted(OPTIONS))
def test_what_the_venue_forgot_is_settled_by_a_persons_word(tmp_path: Path, key: str) -> None:
    gone = ("--gone", "--reason", "the venue was reset")
    with hosted.simulated(tmp_path / "keys", OPTIONS[key]) as line:
        live = Run(tmp_path, Venue(None, line), key)  # type: ignore[arg-type]  # no process
        live.more = configs.ROOMY + "settle_timeout_secs = 1\n"
        live.start({"rests": 2, "goes_on": False})
        live.at_least(2)
        assert live.process is not None
        path = tmp_path / "state" / f"{key}-main.journal.sqlite"
        with closing(Journal.reading(path)) as journal:
            first, second = (one.intent.client_order_id for one in journal.open_orders())
        held = resolve(live, first, *gone)
        assert held.returncode == Exit.LOCKED, held.stderr
        live.process.kill()
        live.process.wait(PATIENCE_SECS)
        alive = resolve(live, first, *gone)
        assert alive.returncode == Exit.DRIFT, alive.stderr
        assert "RESOLVE-ALIVE" in alive.stderr
    away = resolve(live, first, *gone)
    assert away.returncode == Exit.VENUE, away.stderr

    with hosted.simulated(tmp_path / "new keys", OPTIONS[key]) as line:
        live.served = Venue(None, line)  # type: ignore[arg-type]  # the venue, restarted empty
        live.start({"rests": 0, "goes_on": False})
        assert live.end_at("taken over from the journal") == Exit.UNRESOLVED
        for wrong in (("--gone", "--filled", "1@1"), (), ("--filled", "x@1"), ("--filled", "1")):
            assert resolve(live, first, *wrong, "--reason", "x").returncode == Exit.USAGE
        assert resolve(live, "nobody", *gone).returncode == Exit.NO_DATA
        much = resolve(live, second, "--filled", "7@20000", "--reason", "x")
        assert much.returncode == Exit.USAGE, much.stderr
        limit = _limit(path, second)
        slips = _slips(limit) if key == min(OPTIONS) else {}  # no venue is asked
        for code, words in slips.items():
            slip = resolve(live, second, *words, "--reason", "x")
            assert slip.returncode == Exit.USAGE, (code, slip.stdout)
            assert f"{code.split()[0]}: " in slip.stderr, (code, slip.stderr)
            assert "expected " in slip.stderr
        for words in (words for code, words in slips.items() if code in NEVER):
            assert (
                resolve(live, second, *words, "--force", "--reason", "x").returncode == Exit.USAGE
            )
        settled = resolve(live, first, *gone)
        assert settled.returncode == Exit.OK, settled.stderr
        assert json.loads(settled.stdout)["state"] == "CANCELED"
        copy = Path(json.loads(settled.stdout)["copy"])
        with closing(Journal.reading(copy)) as before:
            assert len(before.open_orders()) == 2, "put back, it takes the word back"
        word = ("--filled", f"0.0004@{limit}", "--fee", "0.0000004 BTC", "--reason", "by statement")
        filled = resolve(live, second, *word)
        assert json.loads(filled.stdout)["filled"] == "0.0004", filled.stderr
        assert resolve(live, second, *word).returncode == Exit.USAGE, "it is over"
        with closing(Journal.reading(path)) as journal:
            assert journal.open_orders() == []
            assert journal.problems() == []
            (position,) = journal.positions()
            assert position.quantity == Decimal("0.0003996")
            ended = journal.order(second)
            assert ended is not None
            assert ended.state is OrderState.CANCELED
        story = run("explain", Path(second), "--config", str(live.config)).stdout
        assert "RESOLVED" in story
        assert "by statement" in story
        assert live.kill("all", "--reason", "a look")["is_clean"]
        live.kill("all", "--clear", "--reason", "seen")
        again = run("live", live.config, "--for", "2", "--json")
        assert again.returncode == Exit.OK, again.stderr
