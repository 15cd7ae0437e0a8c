"""Brackets in live runs against simulated venues, judged by the venues' own ledgers."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from fairlead.engine.errors import Exit
from tests.live import hosted
from tests.live.bracketing import FLATTENS, OPTIONS, RISK, STEP, Bench, worst_cover
from tests.support.processes import Venue, run

D = Decimal
CREATE = {"oceanex": "/v1/orders$", "poloniex": "/orders$"}
CREATE_STOP = {"oceanex": "/v1/orders$", "poloniex": "/smartorders$"}


@pytest.fixture(params=OPTIONS)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    with hosted.simulated(tmp_path / "keys", OPTIONS[request.param]) as line:
        made = Bench(request.param, Venue(None, line), tmp_path)  # type: ignore[arg-type]
        yield made
        made.end()


@pytest.fixture
def rich(tmp_path: Path) -> Iterator[Bench]:
    """A venue that takes the whole fee in base currency, and an account that has some besides."""
    options = OPTIONS["poloniex"]
    options = msgspec.structs.replace(options, balances={**options.balances, "BTC": D(1)})
    with hosted.simulated(tmp_path / "keys", options) as line:
        made = Bench("poloniex", Venue(None, line), tmp_path)  # type: ignore[arg-type]
        yield made
        made.end()


def protected(bench: Bench, **params: str) -> None:
    """A run whose bracket has bought and has its stop at the venue, for all that is held."""
    bench.start(**params)
    bench.command("bracket")
    bench.wait(lambda: bench.standing() == [("stop", bench.sellable())], "the stop at the venue")
    assert bench.sellable() > 0


def over(bench: Bench) -> None:
    """The bracket has ended, nothing that can be sold is held, and no exit is left."""
    ended(bench)
    assert worst_cover(bench.entries()) <= 0


def ended(bench: Bench) -> None:
    bench.wait(lambda: bench.brackets() == [], "the end of the bracket")
    assert bench.standing() == []
    bench.wait(lambda: abs(bench.held()) < STEP, "the fill of what closes it")


def test_target_takes_the_place_of_the_stop(bench: Bench) -> None:
    protected(bench)
    assert bench.held() < D("0.0123"), "the fee was paid in base currency"
    bench.move(D(60_700))
    over(bench)
    assert bench.ends() == [("stop", "canceled", None), ("target", "filled", D(60_699))]
    assert bench.states() == ["FILLED", "CANCELED", "FILLED"]
    told = run("explain", Path(bench.last_order()), "--config", str(bench.toml)).stdout
    assert re.search(r"^bracket  exit 2 .*; over$", told, re.MULTILINE), told
    assert re.search(r"entry   \S+ MARKET 0.0123\d*: FILLED", told), told
    assert re.search(r"exit 1  \S+ STOP_LIMIT 0.0122\d* .*: CANCELED, 0 filled", told), told


def test_stop_fires_at_the_venue(bench: Bench) -> None:
    protected(bench)
    bench.move(D(59_399))
    over(bench)
    assert bench.states() == ["FILLED", "FILLED"]
    assert [kind for kind, end, _ in bench.ends() if end == "filled"] == ["stop"], bench.ends()


@pytest.mark.parametrize("bench", ["oceanex"], indirect=True)
def test_market_that_jumps_over_the_stop_limit_leaves_it_resting(bench: Bench) -> None:
    protected(bench)
    bench.move(D(58_000))
    bench.wait(lambda: bench.states() == ["FILLED", "OPEN"], "the stop to be a limit order")
    assert bench.standing() == [("stop", bench.sellable())]
    bench.move(D(60_700))
    over(bench)


def test_stops_cover_each_part_of_an_entry(bench: Bench) -> None:
    bench.start(entry="59900", quantity="0.02")
    bench.command("bracket")
    bench.wait(lambda: bench.orders(), "the entry at the venue")
    bench.trade(D(59_899), D("0.008"), "SELL")
    bench.wait(lambda: bench.standing() == [("stop", bench.sellable())], "a stop for a part")
    assert D("0.007") < bench.sellable() < D("0.008")
    bench.trade(D(59_899), D("0.012"), "SELL")
    bench.wait(lambda: bench.covered() == bench.sellable() > D("0.019"), "a stop for the rest")
    assert {kind for kind, _ in bench.standing()} == {"stop"}
    bench.move(D(60_700))
    over(bench)


@pytest.mark.parametrize("bench", ["poloniex"], indirect=True)
def test_way_out_ends_the_way_in(bench: Bench) -> None:
    """The target fills a part of the entry's fills: what is left of the entry is cancelled."""
    bench.start(entry="59900", quantity="0.02")
    bench.command("bracket")
    bench.wait(lambda: bench.orders(), "the entry at the venue")
    bench.trade(D(59_899), D("0.008"), "SELL")
    bench.wait(lambda: bench.standing(), "a stop")
    bench.move(D(60_700))
    over(bench)
    assert bench.states() == ["CANCELED", "CANCELED", "FILLED"]


def test_exit_of_unknown_outcome_has_no_second(bench: Bench) -> None:
    """The venue took the target and its answer was lost."""
    protected(bench)
    bench.fault("POST", CREATE[bench.key], "lose_answer")
    bench.move(D(60_601))  # the bid is at the target
    over(bench)
    assert [kind for kind, _, _ in bench.ends()] == ["stop", "target"]


def test_stop_that_never_arrived(bench: Bench) -> None:
    """A venue that lists waiting stops proves it absent, then another goes out; else none does."""
    bench.start()
    bench.wait(bench.journal.exists, "the journal")
    if bench.key == "oceanex":
        bench.fault("POST", CREATE_STOP[bench.key], "delay", secs=0.01)  # the entry's
    bench.fault("POST", CREATE_STOP[bench.key], "lose_request")
    bench.command("bracket")
    if bench.key == "poloniex":
        bench.wait(lambda: bench.standing() == [("stop", bench.sellable())], "another stop")
        expected = ["FILLED", "REFUSED", "WAITING"]
        bench.wait(lambda: bench.states() == expected, "its answer in the journal")
        return
    bench.wait(lambda: bench.states() == ["FILLED", "UNKNOWN"], "the unknown outcome")
    bench.move(D(60_700))
    looked = time.monotonic() + 1
    bench.wait(lambda: time.monotonic() > looked, "some looks at the market")
    assert bench.states() == ["FILLED", "UNKNOWN"], "no exit beside one that may be there"


def test_close_position_takes_the_exits_away(rich: Bench) -> None:
    """An account that has base units besides: what the stop holds is not needed to close."""
    protected(rich)
    rich.command("close")
    ended(rich)
    assert [end for _, end, _ in rich.ends()] == ["canceled", "filled"]


@pytest.mark.parametrize("bench", ["poloniex"], indirect=True)
def test_broken_loss_limit_ends_the_bracket_before_it_flattens(bench: Bench) -> None:
    bench.start(risk=RISK + FLATTENS)
    bench.command("bracket")
    over(bench)


@pytest.mark.parametrize("bench", ["oceanex"], indirect=True)
def test_market_exit_takes_the_exits_away(bench: Bench) -> None:
    protected(bench)
    bench.command("exit")
    over(bench)
    assert [kind for kind, _, _ in bench.ends()] == ["stop", "target"], bench.ends()


@pytest.mark.parametrize("on_stop", ["cancel", "keep"])
def test_a_run_that_ends_before_its_stop_was_taken_is_no_success(
    bench: Bench, on_stop: str
) -> None:
    """The entry has filled; the venue refuses the stop, again and again, until the run ends."""
    more = f'[run]\non_stop = "{on_stop}"\n'
    bench.start(run=more)
    bench.wait(bench.started.exists, "the run")
    bench.refuse_stops(CREATE_STOP[bench.key])
    bench.command("bracket")
    bench.wait(lambda: bench.states()[:2] == ["FILLED", "REFUSED"], "a stop that is refused")
    assert bench.end() == Exit.NOT_FLAT, bench.told()
    name = f"{bench.held().normalize():f} BTC_USDT.{bench.key.upper()} (Bracketing-1)"
    assert f"NOT-FLAT: held without its stop at the venue: {name}" in bench.told()
    bench.served.post("faults", clear=True)
    bench.start(run=more)
    bench.wait(lambda: bench.standing() == [("stop", bench.sellable())], "the stop at last")


@pytest.mark.parametrize(("on_stop", "code"), [("cancel", Exit.NOT_FLAT), ("keep", Exit.OK)])
def test_a_stop_that_is_on_its_way_when_the_run_is_ended(
    bench: Bench, on_stop: str, code: Exit
) -> None:
    """It is waited for. Kept, it protects; cancelled, the position never had one."""
    bench.start(run=f'[run]\non_stop = "{on_stop}"\n')
    bench.wait(bench.started.exists, "the run")
    if bench.key == "oceanex":
        bench.fault("POST", CREATE_STOP[bench.key], "delay", secs=0.01)  # the entry's
    bench.fault("POST", CREATE_STOP[bench.key], "delay", secs=2.0)
    bench.command("bracket")
    bench.wait(lambda: bench.states() == ["FILLED", "INTENDED"], "the stop to be on its way")
    assert bench.end() == code, bench.told()
    assert ("NOT-FLAT" in bench.told()) is (code is Exit.NOT_FLAT)
    kept = [("stop", bench.sellable())] if on_stop == "keep" else []
    assert bench.standing() == kept


@pytest.mark.parametrize("bench", ["poloniex"], indirect=True)
def test_halt_keeps_the_stop_at_the_target(bench: Bench) -> None:
    """No target could take its place."""
    protected(bench)
    bench.kill_file.touch()
    bench.move(D(60_700))
    looked = time.monotonic() + 1
    bench.wait(lambda: time.monotonic() > looked, "some looks at the market")
    assert bench.standing() == [("stop", bench.sellable())]
    bench.kill_file.unlink()
    over(bench)


@pytest.mark.parametrize("bench", ["poloniex"], indirect=True)
def test_restart_goes_on_with_the_stop_that_was_kept(bench: Bench) -> None:
    protected(bench, run='[run]\non_stop = "keep"\n')
    assert bench.end() == 0
    stop = bench.exits()[0]["id"]
    bench.start(run='[run]\non_stop = "keep"\n')
    bench.wait(bench.started.exists, "the next run")
    assert [order["id"] for order in bench.exits()] == [stop]
    bench.move(D(60_700))
    over(bench)


def test_restart_puts_the_stop_back_that_the_end_cancelled(bench: Bench) -> None:
    protected(bench)
    assert bench.end() == 0
    assert "(Bracketing-1), unprotected: its stop was cancelled with" in bench.told()
    assert bench.standing() == []
    bench.start()
    bench.wait(lambda: bench.standing() == [("stop", bench.sellable())], "the stop again")
    bench.move(D(59_399))
    over(bench)


def test_target_reached_while_away(bench: Bench) -> None:
    protected(bench, run='[run]\non_stop = "keep"\n')
    assert bench.end(signal.SIGKILL) == -signal.SIGKILL
    bench.move(D(60_700))
    bench.start()
    over(bench)
    assert bench.ends()[-1] == ("target", "filled", D(60_699))


@pytest.mark.parametrize("bench", ["poloniex"], indirect=True)
def test_forgotten_bracket_leaves_no_exit(bench: Bench) -> None:
    protected(bench)
    bench.command("forget")
    bench.wait(lambda: bench.standing() == [], "the stop's end")
    assert bench.brackets() == []
    assert bench.held() > D("0.012")
