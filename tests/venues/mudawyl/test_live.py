"""A bracket strategy lives on the simulated gateway, as a run of its own process."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fairlead.adapters.oceanex.simulator_markets import OceanexSimOptions
from fairlead.engine.errors import Exit
from fairlead.engine.orders.journal import Journal
from fairlead.engine.orders.live import KILL_STRATEGY
from tests.live import hosted
from tests.support.processes import run, venue
from tests.venues.mudawyl.live_kit import Gateway
from tests.venues.mudawyl.test_modes import SOURCES

D = Decimal
HELD = [("entry", "FILLED"), ("stop", "WAITING"), ("target", "OPEN"), ("target", "OPEN")]
LEGS = ["stop", "take_profit", "take_profit"]
BREAKS = 'max_daily_loss = ["0.1 USDT"]\non_breach = "halt+cancel+flatten"\n'  # in [risk]


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    made = Gateway(tmp_path)
    yield made
    made.close()


def protected(gateway: Gateway, **config: Any) -> Any:
    """A run whose bracket has bought, and has its exits at the gateway."""
    running = gateway.start(**config)
    gateway.wait(lambda: gateway.states() == HELD, "the bracket at the gateway")
    assert (gateway.held(), gateway.open()) == (D("0.05"), LEGS)
    return running


def test_entry_two_targets_and_stop_are_one_request_and_each_lives_to_its_end(
    gateway: Gateway,
) -> None:
    running = protected(gateway)
    assert gateway.changes() == [f"exchange/order/{gateway.sim.main.id}"]
    gateway.move("60510")
    gateway.wait(lambda: gateway.held() == D("0.025"), "the first target")
    gateway.wait(lambda: ("target", "FILLED") in gateway.states(), "the first target's fill")
    gateway.move("61010")
    done = [("entry", "FILLED"), ("stop", "EXPIRED"), ("target", "FILLED"), ("target", "FILLED")]
    gateway.wait(lambda: gateway.states() == done, "the end of the bracket")
    assert (gateway.stop(running), gateway.held()) == (Exit.OK, 0)


def test_after_a_kill_a_restart_reconciles_all_legs(gateway: Gateway) -> None:
    """A target fills while nobody runs; the stop closes the rest after the restart."""
    gateway.kill(protected(gateway))
    gateway.move("60510")
    running = gateway.start()
    one_left = [("entry", "FILLED"), ("stop", "WAITING"), ("target", "FILLED"), ("target", "OPEN")]
    gateway.wait(lambda: gateway.states() == one_left, "the legs as the gateway has them")
    gateway.move("58950")
    gateway.wait(lambda: gateway.held() == 0, "the stop")
    gateway.wait(lambda: not _open(gateway), "the end of every leg")
    assert gateway.stop(running) == Exit.OK
    assert len(gateway.changes()) == 1


def test_an_ordered_stop_leaves_what_can_not_be_cancelled_and_the_next_start_takes_it(
    gateway: Gateway,
) -> None:
    assert gateway.stop(protected(gateway)) == Exit.OK
    assert gateway.open() == LEGS
    assert "open at the venue" in gateway.log.read_text()
    running = gateway.start()
    gateway.wait(lambda: gateway.log.read_text().count("two live") == 2, "the second run")
    gateway.move("58950")
    gateway.wait(lambda: not _open(gateway), "the end of every leg")
    assert gateway.stop(running) == Exit.OK


def _open(gateway: Gateway) -> list[tuple[str, str]]:
    return [one for one in gateway.states() if one[1] in ("OPEN", "WAITING", "UNKNOWN")]


@pytest.mark.parametrize("partial", ["short", "error"])
def test_a_position_whose_stop_the_exchange_refused_is_told_and_closed(
    tmp_path: Path, partial: str
) -> None:
    gateway = Gateway(tmp_path, partial=partial)
    try:
        gateway.fail("stop")
        running = gateway.start()
        gateway.wait(lambda: ("exit", "FILLED") in gateway.states(), "the market exit")
        gateway.wait(lambda: not _open(gateway), "the end of the targets")
        assert gateway.stop(running) == Exit.OK
        assert (gateway.held(), gateway.open()) == (0, [])
        key = gateway.sim.main.id
        assert gateway.changes() == [f"exchange/order/{key}", f"exchange/position/{key}"]
        told = gateway.log.read_text()
        assert "holds a position without its exit" in told
        assert "it is closed at the market" in told
    finally:
        gateway.close()


def test_or_only_told_where_the_config_says_so(gateway: Gateway) -> None:
    gateway.fail("stop")
    running = gateway.start(execution='missing_stop = "report"')
    gateway.wait(lambda: "it is left so" in gateway.log.read_text(), "the missing stop")
    assert gateway.stop(running) == Exit.NOT_FLAT
    told = "NOT-FLAT: held without its stop at the venue: 0.05 BTC_USDT.MUDAWYL"
    assert told in gateway.log.read_text()
    assert (gateway.held(), len(gateway.changes())) == (D("0.05"), 1)
    assert ("stop", "REFUSED") in gateway.states()


@pytest.mark.parametrize("dies", [True, False])
def test_it_is_closed_by_the_next_run_too_beside_its_targets(gateway: Gateway, dies: bool) -> None:
    """A restart knows that its targets went with their entry: they refuse no way out."""
    gateway.fail("stop")
    running = gateway.start(execution='missing_stop = "report"')
    gateway.wait(lambda: "it is left so" in gateway.log.read_text(), "the missing stop")
    if dies:
        gateway.kill(running)
    else:
        assert gateway.stop(running) == Exit.NOT_FLAT
    assert gateway.open() == ["take_profit", "take_profit"]
    running = gateway.start()
    gateway.wait(lambda: ("exit", "FILLED") in gateway.states(), "the market exit")
    gateway.wait(lambda: not _open(gateway), "the end of the targets")
    assert gateway.stop(running) == Exit.OK
    assert (gateway.held(), gateway.open()) == (0, [])
    assert "EXIT_EXCEEDS" not in gateway.log.read_text()


def test_a_target_that_failed_is_told_and_the_others_stand(gateway: Gateway) -> None:
    gateway.fail("target")
    running = gateway.start()
    gateway.wait(lambda: "its others stand" in gateway.log.read_text(), "the missing target")
    gateway.move("58950")
    gateway.wait(lambda: gateway.held() == 0, "the stop")
    gateway.wait(lambda: not _open(gateway), "the end of every leg")
    assert gateway.stop(running) == Exit.OK


@pytest.mark.parametrize("leaves", ["close", "exit", "cancel"])
def test_a_strategy_closes_its_position_by_the_gateways_own_call(
    gateway: Gateway, leaves: str
) -> None:
    """An exit asks for no cancel; one that the strategy asks for is refused, and reads nothing."""
    running = protected(gateway, params=f', leaves_at = "60100", leaves = "{leaves}"')
    gateway.move("60150")
    gateway.wait(lambda: ("exit", "FILLED") in gateway.states(), "the market exit")
    gateway.wait(lambda: not _open(gateway), "the end of every leg")
    assert gateway.stop(running) == Exit.OK
    assert (gateway.held(), gateway.open()) == (0, [])
    assert gateway.changes()[-1] == f"exchange/position/{gateway.sim.main.id}"
    refused = "CANCEL_CANCELREFUSED"
    assert gateway.noted(refused) == (len(LEGS) if leaves == "cancel" else 0)


AGAIN = ', leaves_at = "60100", leaves = "again"'
CLEARS = 'off = ["CLEARS"]\n'  # in [risk]
FIRST = [
    ("entry", "FILLED"),
    *[("stop", "CANCELED"), ("target", "CANCELED"), ("target", "CANCELED")],
]


def test_a_position_and_its_bracket_are_never_cleared_by_a_second_one(gateway: Gateway) -> None:
    """Without the switch: it is refused, and the first stands."""
    running = protected(gateway, options='clearing = "allow"', params=AGAIN)
    gateway.move("60150")
    gateway.wait(lambda: "CLEARS: " in gateway.log.read_text(), "the gate's refusal")
    assert (gateway.states(), gateway.held(), gateway.open()) == (HELD, D("0.05"), LEGS)
    gateway.move("58950")
    gateway.wait(lambda: not _open(gateway), "the stop, and the end of every leg")
    assert (gateway.stop(running), gateway.held()) == (Exit.OK, 0)
    assert len(gateway.changes()) == 1


def test_with_the_switch_the_first_is_closed_by_our_own_exit_and_the_second_stands(
    gateway: Gateway,
) -> None:
    """Booked, told why, and nothing of the first closes the second; its own stop does."""
    running = protected(gateway, params=AGAIN, more=CLEARS)
    gateway.move("60150")
    both = sorted([*FIRST, ("exit", "FILLED"), *HELD])
    gateway.wait(lambda: gateway.states() == both, "the second bracket")
    assert (gateway.held(), gateway.open()) == (D("0.05"), LEGS)
    key = gateway.sim.main.id
    order, close = f"exchange/order/{key}", f"exchange/position/{key}"
    assert gateway.changes() == [order, close, order]
    told = run("explain", Path(gateway.id_of("exit")), "--config", str(gateway.toml))
    assert "it makes room for" in told.stdout, told.stderr
    gateway.move("59100")
    gateway.wait(lambda: not _open(gateway), "the second's stop, and the end of every leg")
    assert (gateway.stop(running), gateway.held()) == (Exit.OK, 0)
    assert len(gateway.changes()) == 3
    assert "BALANCE-DRIFT" not in gateway.log.read_text()


def waiting(gateway: Gateway) -> Any:
    """A run whose second entry waits: the person who is asked before the exit takes a while."""
    running = protected(gateway, params=AGAIN, more=CLEARS)
    gateway.ask(slowly=True)
    gateway.move("60150")
    gateway.wait(lambda: ("exit", "INTENDED") in gateway.states(), "the exit, on its way")
    return running


def ended(gateway: Gateway) -> list[tuple[str, str]]:
    return sorted([*FIRST, ("exit", "FILLED")])


def test_a_kill_meanwhile_ends_the_wait_and_what_was_there_stands(gateway: Gateway) -> None:
    running = waiting(gateway)
    (gateway.folder / "state" / "KILL").touch()
    gateway.wait(lambda: "gate refused" in gateway.log.read_text(), "the entry's refusal")
    assert "KILL_SWITCH" in gateway.log.read_text()
    gateway.ask(slowly=False)
    gateway.wait(lambda: ("exit", "REFUSED") in gateway.states(), "the exit, not sent either")
    assert (gateway.held(), gateway.open()) == (D("0.05"), LEGS)
    gateway.stop(running)
    assert len(gateway.changes()) == 1


def test_a_stop_meanwhile_ends_the_wait(gateway: Gateway) -> None:
    running = waiting(gateway)
    running.send_signal(signal.SIGTERM)
    gateway.wait(lambda: "the run is being stopped" in gateway.log.read_text(), "the refusal")
    gateway.ask(slowly=False)
    assert gateway.stop(running) == Exit.OK
    assert (gateway.states(), gateway.held()) == (ended(gateway), 0)


def test_after_a_kill_meanwhile_the_next_start_says_what_was_never_sent(gateway: Gateway) -> None:
    gateway.kill(waiting(gateway))
    gateway.ask(slowly=False)
    running = gateway.start(params=", opens = false", more=CLEARS)
    gateway.wait(lambda: "ENTRY-UNSENT" in gateway.log.read_text(), "what was never sent")
    gateway.wait(lambda: ("exit", "REFUSED") in gateway.states(), "the exit's absence")
    assert (gateway.held(), gateway.open()) == (D("0.05"), LEGS)
    gateway.stop(running)
    told = gateway.log.read_text().count("ENTRY-UNSENT")
    running = gateway.start(params=", opens = false", more=CLEARS)
    gateway.wait(lambda: gateway.log.read_text().count("two live") == 3, "the third run")
    gateway.stop(running)
    assert gateway.log.read_text().count("ENTRY-UNSENT") == told, "told once"


def test_an_exit_that_is_refused_is_the_entrys_refusal(gateway: Gateway) -> None:
    running = protected(gateway, params=AGAIN, more=CLEARS)
    (gateway.folder / "person.py.away").touch()
    gateway.move("60150")
    gateway.wait(lambda: "CLEARS_HELD" in gateway.log.read_text(), "the entry's refusal")
    assert "MUDAWYL-PROVIDER" in gateway.log.read_text()
    assert gateway.states() == sorted([*HELD, ("exit", "REFUSED")])
    assert (gateway.held(), gateway.open()) == (D("0.05"), LEGS)
    gateway.stop(running)
    assert len(gateway.changes()) == 1


def test_without_a_provider_of_captchas_nothing_that_changes_leaves(gateway: Gateway) -> None:
    running = gateway.start(has_person=False)
    refused = ["REFUSED"] * 4
    gateway.wait(lambda: [state for _, state in gateway.states()] == refused, "the refusal")
    assert gateway.stop(running) == Exit.OK
    assert gateway.changes() == []
    assert "MUDAWYL-NO-CAPTCHA" in gateway.log.read_text()


def test_leverage_and_margin_type_are_set_at_the_start(gateway: Gateway) -> None:
    running = protected(gateway, market='leverage = 7\nmargin_type = "ISOLATED"')
    key = gateway.sim.main.id
    assert gateway.changes()[:2] == [
        f"exchange/order/{key}/margin",
        f"exchange/order/{key}/leverage",
    ]
    assert gateway.do(lambda: gateway.sim.holdings["BTC/USDT"].leverage) == 7
    assert gateway.stop(running) == Exit.OK


@pytest.mark.parametrize(("leverage", "carries"), [("", False), ("leverage = 7", True)])
def test_an_entry_that_the_margin_can_not_carry_is_refused(
    tmp_path: Path, leverage: str, carries: bool
) -> None:
    """3000 USDT at the exchange's leverage of 4, or at the config's."""
    gateway = Gateway(tmp_path, balances={"USDT": D(700)})
    try:
        running = gateway.start(market=leverage)
        if carries:
            gateway.wait(lambda: gateway.states() == HELD, "the bracket at the gateway")
        else:
            gateway.wait(lambda: "MARGIN: expected at most" in gateway.log.read_text(), "the gate")
        assert gateway.stop(running) == Exit.OK
        assert (gateway.held() > 0, gateway.open() == LEGS) == (carries, carries)
    finally:
        gateway.close()


def test_prices_of_another_venue_and_orders_here(gateway: Gateway) -> None:
    """Live: its book is heard under the gateway's name, and no key of its is needed."""
    with hosted.simulated(gateway.folder / "keys", OceanexSimOptions()) as line:
        more = f"""
[venues.oceanex]
adapter = "oceanex"
data_only = true
instruments = ["BTC_USDT.OCEANEX"]
options = {{ http_url = "{line["rest"]}", ws_url = "{line["ws"]}", app_key = "{line["app_key"]}" }}
[prices_from]
"BTC_USDT.MUDAWYL" = "BTC_USDT.OCEANEX"
"""
        running = protected(gateway, params=', feed = "book"', more=more)
        assert gateway.stop(running) == Exit.OK
    checked = run("check", gateway.folder / "run.toml")
    assert checked.returncode == 0, checked.stdout


def test_prices_of_nautilustraders_binance_client_and_orders_here(gateway: Gateway) -> None:
    """Live: its native client hears the simulated Binance, and no order goes there."""
    with venue("binance", gateway.folder / "keys-of-binance") as served:
        best = served.book("BTCUSDT-PERP")["bids"][0][0]
        gateway.move(str(D(best).quantize(D("0.1"))))
        name, source = SOURCES["binance"]
        line = dict(served.line)
        more = source.format(**(line | line["credentials"]))
        more += f'[prices_from]\n"BTC_USDT.MUDAWYL" = "{name}"\n'
        running = protected(gateway, params=', feed = "book"', more=more)
        gateway.kill(running)
        running = gateway.start(params=', feed = "book"', more=more)
        gateway.wait(lambda: gateway.log.read_text().count("two live") == 2, "the second run")
        gateway.move(str(D(best).quantize(D("0.1")) - 1_050))
        gateway.wait(lambda: not _open(gateway), "the stop, and the end of every leg")
        assert (gateway.stop(running), gateway.held()) == (Exit.OK, 0)
        assert len(gateway.changes()) == 1
        entries = served.ledger()["entries"]
        assert {entry["type"] for entry in entries if entry["account"] == "usdm"} <= {"balance"}


def test_a_trailing_stop_of_a_strategy_outlives_a_kill_and_opens_its_position(
    gateway: Gateway,
) -> None:
    params = ', trails = true, leaves_at = "60100"'
    running = gateway.start(params=params)
    gateway.wait(lambda: gateway.states() == [("", "WAITING")], "the trailing stop")
    assert (gateway.held(), gateway.open()) == (0, ["trailing_stop_market"])
    (order_id,) = gateway.ids()
    told = run("explain", Path(order_id), "--config", str(gateway.toml))
    assert "follows the market by 100 basis points from 59000" in told.stdout, told.stderr
    gateway.kill(running)
    running = gateway.start(params=params)
    gateway.wait(lambda: gateway.log.read_text().count("two live") == 2, "the second run")
    for price in ("58900", "59500"):
        gateway.move(price)
    gateway.wait(lambda: gateway.states() == [("", "FILLED")], "its fill")
    assert gateway.held() == D("0.05")
    gateway.move("60150")
    gateway.wait(lambda: ("exit", "FILLED") in gateway.states(), "the market exit")
    assert (gateway.stop(running), gateway.held()) == (Exit.OK, 0)
    key = gateway.sim.main.id
    assert gateway.changes() == [f"exchange/order/{key}", f"exchange/position/{key}"]


@pytest.mark.parametrize("lives", [True, False])
def test_a_kill_that_flattens_ends_position_and_orders(gateway: Gateway, lives: bool) -> None:
    """By the run that lives, or by the command alone: the gateway's own call, once."""
    running = protected(gateway)
    if not lives:
        gateway.kill(running)
    killed = run("kill", Path("all"), "--action", "flatten", "--config", str(gateway.toml))
    assert killed.returncode == Exit.OK, killed.stdout + killed.stderr
    assert (gateway.held(), gateway.open()) == (0, [])
    assert gateway.changes()[1:] == [f"exchange/position/{gateway.sim.main.id}"]
    if not lives:
        still = "3 of them open in the journal until the run, or the next start, books the end"
        assert f"3 orders gone, 0 left ({still})" in killed.stdout


def test_a_kill_that_can_not_read_the_position_closes_nothing_past_the_journal(
    gateway: Gateway,
) -> None:
    gateway.kill(protected(gateway))
    path = "/v1/priv/exchange/position/"
    faults = gateway.sim.faults
    gateway.do(lambda: faults.next("GET", path, "unavailable", times=1_000))
    words = ("--action", "flatten", "--timeout", "60", "--config", str(gateway.toml))
    killed = run("kill", Path("all"), *words)
    assert killed.returncode == Exit.UNRESOLVED, killed.stdout + killed.stderr
    assert "its orders stay, as what is held there does" in killed.stdout
    assert (gateway.held(), gateway.open()) == (D("0.05"), LEGS)
    gateway.do(faults.clear)
    killed = run("kill", Path("all"), *words)
    assert killed.returncode == Exit.OK, killed.stdout + killed.stderr
    assert (gateway.held(), gateway.open()) == (0, [])


def test_what_a_kill_took_over_and_did_not_close_is_its_strategys_at_the_next_start(
    gateway: Gateway,
) -> None:
    """The flatten died between: its stop, fired after the start, closes the strategy's own."""
    gateway.kill(protected(gateway))
    path = gateway.folder / "state" / "mudawyl-main.journal.sqlite"
    with closing(Journal(path, fsync=False, now_ns=time.time_ns)) as journal:
        journal.hand_over("two-1", KILL_STRATEGY, "BTC_USDT.MUDAWYL", D(60000))
    running = gateway.start()
    gateway.wait(lambda: gateway.log.read_text().count("two live") == 2, "the second run")
    assert "that a kill took over from two-1 and did not close" in gateway.log.read_text()
    gateway.move("58950")
    gateway.wait(lambda: not _open(gateway), "the end of every leg")
    assert gateway.stop(running) == Exit.OK
    with closing(Journal.reading(path)) as journal:
        assert {one.strategy: one.quantity for one in journal.positions()} == {
            "two-1": 0,
            KILL_STRATEGY: 0,
        }


def test_a_broken_loss_limit_flattens_at_once_what_no_cancel_could_clear(
    gateway: Gateway,
) -> None:
    """The entry's fee breaks it: the gateway's own call, once, beside the orders that rest."""
    running = gateway.start(more=BREAKS)
    gateway.wait(lambda: ("exit", "FILLED") in gateway.states(), "the market exit")
    gateway.wait(lambda: not _open(gateway), "the end of every leg")
    assert gateway.stop(running) == Exit.KILLED
    assert (gateway.held(), gateway.open()) == (0, [])
    key = gateway.sim.main.id
    assert gateway.changes() == [f"exchange/order/{key}", f"exchange/position/{key}"]
    assert "NO-CANCEL" not in gateway.log.read_text()


def test_without_a_captcha_provider_it_is_refused_by_name_and_not_sent(gateway: Gateway) -> None:
    gateway.kill(protected(gateway))
    running = gateway.start(has_person=False, more=BREAKS)
    gateway.wait(lambda: gateway.log.read_text().count("two live") == 2, "the second run")
    gateway.wait(gateway.is_marked, "a price of what is held")
    gateway.move("59500")
    gateway.wait(lambda: ("exit", "REFUSED") in gateway.states(), "the refusal")
    assert gateway.stop(running) == Exit.KILLED
    assert (gateway.held(), gateway.open()) == (D("0.05"), LEGS)
    assert len(gateway.changes()) == 1
    told = run("explain", Path(gateway.id_of("exit")), "--config", str(gateway.toml))
    assert "MUDAWYL-NO-CAPTCHA" in told.stdout, told.stderr


def test_a_kill_that_cancels_says_that_it_can_not(gateway: Gateway) -> None:
    gateway.kill(protected(gateway))
    killed = run("kill", Path("all"), "--action", "cancel", "--config", str(gateway.toml))
    assert killed.returncode != Exit.OK
    assert "MUDAWYL-NO-CANCEL" in killed.stdout + killed.stderr
    assert (gateway.held(), gateway.open()) == (D("0.05"), LEGS)
    assert len(gateway.changes()) == 1
