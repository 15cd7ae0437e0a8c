"""A live run tells people to its very end, by webhook, mail and Telegram, and never waits."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from fairlead.engine.errors import Exit
from tests.live.blocked_run import Run
from tests.support import configs
from tests.support.page import OBSERVE, PageOf
from tests.support.patience import PATIENCE_SECS
from tests.support.people import HOOK_TOKEN, BotApi, Dead, Hook, Mailbox, open_people, secret_file
from tests.support.processes import wait_for

RESTS = {"goes_on": False, "rests": 2, "buys": 1}


@pytest.fixture
def hook() -> Iterator[Hook]:
    made = Hook()
    with open_people(made):
        yield made


def alerts(folder: Path, more: str = "", **urls: str) -> str:
    """The config's section, with a file for each URL."""
    named = [f'{name} = "{secret_file(folder, name, url)}"' for name, url in urls.items()]
    return f"\n[observe.alerts]\nendpoints = {{ {', '.join(named)} }}\n{more}"


def nothing_secret(run: Run, *secrets: str) -> None:
    told = run.log.read_text()
    kept = [path for path in (run.folder / "state").rglob("*") if path.is_file()]
    for secret in secrets:
        assert secret not in told
        assert not [path for path in kept if secret.encode() in path.read_bytes()]


def test_a_kill_arrives_and_so_do_its_end_and_the_runs(live: Run, hook: Hook) -> None:
    mailbox = Mailbox()
    with open_people(mailbox):
        rules = '[[observe.alerts.rules]]\nto = ["hook"]\n'
        rules += '[[observe.alerts.rules]]\nto = ["mail"]\nabout = ["halts"]\nlevel = "bad"\n'
        live.more = configs.ROOMY + alerts(live.folder, rules, hook=hook.url, mail=mailbox.url)
        live.start(dict(RESTS))
        assert "strategies: B-1" in hook.text_of("STARTED")
        live.at_least(3)
        live.kill("all", "--reason", "seen by a person")
        assert "seen by a person" in hook.text_of("KILLED")
        wait_for(lambda: mailbox.got, "the mail")
        assert mailbox.subjects == ["test live: KILLED"]
        live.kill("all", "--clear", "--reason", "it was nothing")
        wait_for(lambda: len(mailbox.got) == 2, "that it is over")
        assert mailbox.subjects[1] == "test live: KILLED over"
        assert "over: kill switch" in mailbox.got[1].get_content()
        assert live.end() == Exit.OK
        told = hook.text_of("ENDED 0")
        assert "exit code 0" in told
        assert "fills: 1" in told
        assert "worth: oceanex" in told
        assert "alerts in the whole run: " in told
        assert len(mailbox.got) == 2, "it hears of halts alone"
    nothing_secret(live, HOOK_TOKEN, hook.url, mailbox.url)


def test_a_run_that_is_killed_by_the_system_is_told(live: Run, hook: Hook) -> None:
    live.more = configs.ROOMY + alerts(live.folder, hook=hook.url)
    live.start(dict(RESTS))
    hook.text_of("STARTED")
    assert live.process is not None
    live.process.send_signal(signal.SIGKILL)
    live.process.wait(PATIENCE_SECS)
    assert "ended without a word" in hook.text_of("GONE")


def test_a_stop_that_is_cut_off_is_told_with_its_exit_code(live: Run, hook: Hook) -> None:
    live.more = configs.ROOMY + alerts(live.folder, hook=hook.url)
    live.start({**RESTS, "block_secs": 60})
    hook.text_of("STARTED")
    live.block()
    code = live.end()
    assert code in (Exit.TIMED_OUT, Exit.UNRESOLVED)
    assert "blocks the event loop" in hook.text_of(f"ENDED {code}")
    assert "test live: GONE" not in hook.titles


@pytest.mark.slow
def test_a_loop_that_stands_still_is_told_once_and_when_it_is_over(live: Run, hook: Hook) -> None:
    """One alert, of the code that the log and the page have, too."""
    live.more = configs.ROOMY + "\n[run]\nstuck_secs = 1\n" + OBSERVE
    live.more += alerts(live.folder, hook=hook.url)
    live.start({**RESTS, "block_secs": 600})
    hook.text_of("STARTED")
    live.block()
    assert "has not turned for 1 s" in hook.text_of("LOOP-STUCK")
    wait_for(lambda: "LOOP-STUCK: the event loop has not turned" in live.log.read_text(), "the log")
    live.release()
    hook.text_of("LOOP-STUCK over")
    page = PageOf(live.log, live.folder / "state")
    wait_for(lambda: "LOOP-STUCK" in page.wrong(), "the page")
    assert live.end() == Exit.OK
    hook.text_of("ENDED 0")
    stuck = [title for title in hook.titles if "STUCK" in title]
    pair = ["test live: LOOP-STUCK", "test live: LOOP-STUCK over"]
    assert stuck == pair * (len(stuck) // 2), "a busy machine may have had it stand still again"


def test_a_start_that_is_refused_is_told(live: Run, hook: Hook) -> None:
    live.more = configs.ROOMY + alerts(live.folder, hook=hook.url)
    live.start(dict(RESTS))
    hook.text_of("STARTED")
    first = live.process
    live.start(dict(RESTS))
    assert live.process is not None
    assert live.process.wait(PATIENCE_SECS) == Exit.LOCKED
    assert hook.text_of(f"ENDED {int(Exit.LOCKED)}")
    live.process = first
    assert live.end() == Exit.OK


def _warned(page: PageOf, code: str) -> list[str]:
    return [one["text"] for one in page.get("warnings") if one["code"] == code]


def test_a_dead_endpoint_delays_no_order_and_is_told(live: Run) -> None:
    dead = Dead()
    with open_people(dead):
        live.more = configs.ROOMY + OBSERVE + alerts(live.folder, dead=dead.url)
        # So slowly that there is room for open orders all along
        live.start({"goes_on": True, "every_ms": 250, "rests": 0, "buys": 0})
        page = PageOf(live.log, live.folder / "state")
        wait_for(lambda: dead.count, "a message that is never answered")
        before = len(live.orders())
        live.at_least(before + 20)
        wait_for(lambda: "ALERTS" in page.wrong(), "the page's reason")
        wait_for(lambda: _warned(page, "ALERTS"), "the page's warning, which is of a later look")
        assert "do not arrive at dead" in _warned(page, "ALERTS")[0]
        _, metrics = page.ask("/metrics")
        assert 'fairlead_alerts_sent_total{endpoint="dead"} 0.0' in metrics
        assert 'fairlead_alerts_failed_total{endpoint="dead"} 0.0' not in metrics
        after = len(live.orders())
        live.at_least(after + 20)
        assert "ALERTS: alerts do not arrive at dead" in live.log.read_text()
        assert live.end() == Exit.OK
        assert not live.open()


def test_telegram_kills_by_the_durable_way(live: Run) -> None:
    api = BotApi()
    with open_people(api):
        token = secret_file(live.folder, "token", BotApi.TOKEN)
        live.more = configs.ROOMY + (
            f'\n[observe.telegram]\ntoken = "{token}"\nchats = [42]\nkill = true\n'
            f'api = "{api.url}"\n'
        )
        live.start(dict(RESTS))
        live.at_least(3)
        wait_for(lambda: live.held() > 0, "a position")
        api.asked("status", chat=42)
        told = api.asked("positions")
        assert told.startswith(f"{live.instrument}: ")
        assert "journal " in told
        assert "DIFFER" not in told
        word = api.asked("kill").split()[-1]
        assert live.open(), "not without the word"
        assert "in force" in api.asked(f"yes {word}")
        wait_for(lambda: not live.open(), "what was open is cancelled")
        assert "KILLED" in api.asked("status")
        assert "in Telegram chat 42" in str(live.kill("--status", code=Exit.KILLED))

        def journaled() -> bool:
            rows = live.journaled("SELECT body FROM records WHERE kind = 'KILL'")
            return any("ann (7) in Telegram chat 42" in str(body) for (body,) in rows)

        wait_for(journaled, "the journal's record of who asked")
        assert live.end() == Exit.KILLED
    nothing_secret(live, BotApi.TOKEN)
