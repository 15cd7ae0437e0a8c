"""The courier is a process of its own: messages arrive, also at the very end."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from fairlead.engine.config.endpoints import Endpoint, EndpointError
from fairlead.engine.observe.alerts.messages import LINE_BYTES_MAX, Hello, Message
from fairlead.engine.observe.alerts.sender import Sender, line_of
from fairlead.engine.secrets import Secret, redact
from tests.support.people import HOOK_TOKEN, Dead, Hook, Mailbox, open_people
from tests.support.processes import wait_for


@pytest.fixture
def hook() -> Iterator[Hook]:
    made = Hook()
    with open_people(made):
        yield made


def hello(stuck_secs: float = 600.0, **endpoints: str) -> Hello:
    to = tuple(endpoints)
    return Hello(
        endpoints=endpoints,
        orphan=Message(to=to, title="test: GONE", body="gone", kind="failure"),
        stuck=Message(to=to, title="test: LOOP-STUCK", body="stuck", kind="failure"),
        turned=Message(to=to, title="test: TURNS", body="over", kind="success"),
        stuck_secs=stuck_secs,
    )


def started(told: Hello) -> Sender:
    sender = Sender(told)
    sender.start()
    return sender


def message(title: str, *to: str, is_urgent: bool = False) -> Message:
    return Message(to=to, title=title, body="the body\n<b> & *more*", is_urgent=is_urgent)


def test_a_webhook_and_a_mailbox_get_it(hook: Hook) -> None:
    mailbox = Mailbox()
    with open_people(mailbox):
        sender = started(hello(hook=hook.url, mail=mailbox.url))
        sender.send(message("test: KILLED", "hook", "mail"))
        sender.send(message("test: ONLY", "hook"))
        wait_for(lambda: len(hook.got) == 2, "both at the webhook")
        wait_for(lambda: mailbox.got, "the mail")
        assert hook.got[0]["title"] == "test: KILLED"
        assert hook.got[0]["message"] == "the body\n<b> & *more*"
        assert mailbox.subjects == ["test: KILLED"]
        sender.close()
        assert hook.titles == ["test: KILLED", "test: ONLY"], "an end in order says no more"


def test_what_is_sent_last_arrives(hook: Hook) -> None:
    sender = started(hello(hook=hook.url))
    sender.send(message("test: ENDED 8", "hook", is_urgent=True))
    sender.close(60.0)
    assert hook.titles == ["test: ENDED 8"], "at once, after the process has only begun"
    assert sender.deliveries["hook"].sent == 1


def test_a_run_that_is_gone_without_a_word_is_told(hook: Hook) -> None:
    sender = started(hello(hook=hook.url))
    process = sender._process
    assert process is not None
    assert process.stdin is not None
    process.stdin.close()  # as the end of its process does
    assert hook.text_of("GONE") == "gone"
    assert process.wait(60) == 0


def test_a_loop_that_does_not_turn_is_told_by_the_courier(hook: Hook) -> None:
    sender = started(hello(stuck_secs=0.5, hook=hook.url))
    sender.beat()
    assert hook.text_of("LOOP-STUCK") == "stuck"
    sender.stuck()  # the run's own watch is late
    sender.beat()
    assert hook.text_of("TURNS") == "over"
    sender.close()
    assert len(hook.got) == 2


def test_a_loop_that_its_runs_watch_sees_standing_still_is_told_once(hook: Hook) -> None:
    sender = started(hello(hook=hook.url))
    for _ in range(2):
        sender.beat()
        sender.stuck()
        sender.stuck()
        sender.beat()
    wait_for(lambda: len(hook.got) == 4, "both times")
    sender.close()
    assert hook.titles == ["test: LOOP-STUCK", "test: TURNS"] * 2


def test_signals_that_end_the_run_leave_it_its_last_words(hook: Hook) -> None:
    sender = started(hello(hook=hook.url))
    sender.send(message("test: FIRST", "hook"))
    hook.text_of("FIRST")
    process = sender._process
    assert process is not None
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        os.kill(process.pid, number)
    sender.send(message("test: ENDED 0", "hook"))
    assert hook.text_of("ENDED 0")
    assert os.getsid(process.pid) != os.getsid(0), "a terminal's Ctrl-C is not its"
    sender.close()


def test_one_that_refuses_is_told_and_tried_again(hook: Hook) -> None:
    hook.refuses = True
    sender = started(hello(hook=hook.url))
    sender.send(message("test: KILLED", "hook"))

    def told() -> bool:
        sender.look()
        return bool(sender.deliveries["hook"].trouble)

    wait_for(told, "that it fails")
    one = sender.deliveries["hook"]
    assert "503" in one.trouble
    assert (one.sent, one.waiting) == (0, 1)
    assert HOOK_TOKEN not in one.trouble
    hook.refuses = False
    hook.text_of("KILLED")
    wait_for(lambda: not told(), "that it is well again")
    assert sender.deliveries["hook"].sent == 1
    sender.close()


def test_a_dead_endpoint_keeps_no_other_waiting_and_no_call(hook: Hook) -> None:
    dead = Dead()
    with open_people(dead):
        sender = started(hello(dead=dead.url, hook=hook.url))
        sender.send(message("test: FIRST", "dead", "hook"))
        wait_for(lambda: dead.count, "the dead one is asked")
        for number in range(300):
            sender.send(message(f"test: {number}", "dead", "hook"))
            if number % 20 == 0:
                hook.text_of(f"{number}")
        hook.text_of("299")
        assert sender.deliveries["dead"].sent == 0
        sender.close(0.0)


def test_a_courier_that_takes_nothing_loses_messages_and_not_time(hook: Hook) -> None:
    sender = started(hello(hook=hook.url))
    sender.send(message("test: FIRST", "hook"))
    hook.text_of("FIRST")
    process = sender._process
    assert process is not None
    os.kill(process.pid, signal.SIGSTOP)
    try:
        for number in range(2_000):
            sender.send(message(f"test: {number}", "hook"))
        assert 0 < sender.dropped < 2_000, "what finds room waits, the rest is counted"
    finally:
        os.kill(process.pid, signal.SIGCONT)
    sender.close(0.0)


def test_a_courier_that_dies_is_told_and_started_again(hook: Hook) -> None:
    now = [1_000.0]
    sender = Sender(hello(hook=hook.url), now_secs=lambda: now[0])
    sender.start()
    sender.send(message("test: FIRST", "hook"))
    hook.text_of("FIRST")
    process = sender._process
    assert process is not None
    wait_for(lambda: sender.look() or sender.deliveries["hook"].sent == 1, "the report")
    process.kill()
    process.wait()
    sender.look()
    assert "died" in sender.trouble
    sender.look()
    assert sender.starts == 1, "not at once"
    now[0] += 61
    sender.look()
    sender.send(message("test: SECOND", "hook"))
    hook.text_of("SECOND")
    wait_for(lambda: sender.look() or sender.deliveries["hook"].sent == 2, "the sum of both")
    sender.close()


def test_one_that_can_not_be_started_is_told() -> None:
    sender = Sender(hello(), command=["/nonexistent/python"])
    sender.start()
    sender.send(message("test: KILLED"))
    assert "can't be started" in sender.trouble
    assert sender.dropped == 1
    sender.close()


@pytest.mark.parametrize("text", ["a" * 9_000, "\u0001" * 900, "\N{GRINNING FACE}" * 900])
def test_a_line_fits_the_pipe_whole(text: str) -> None:
    line = line_of(Message(to=("x" * 32,) * 16, title=text, body=text))
    assert len(line) <= LINE_BYTES_MAX
    assert line.count(b"\n") == 1


@pytest.mark.parametrize(
    ("url", "secrets"),
    [
        ("mailto://ann:pass-word@mail.example.com?to=b@example.com", ["pass-word"]),
        (
            "tgram://123456789:AAF-a-token-of-a-bot-5f1c9e7d1234567/42",
            ["AAF-a-token-of-a-bot-5f1c9e7d1234567"],
        ),
        ("json://hooks.example.com/services/T0B0-q7Rv2mXw9TzK4LpN", ["T0B0-q7Rv2mXw9TzK4LpN"]),
    ],
)
def test_no_part_of_a_url_that_is_secret_is_shown(url: str, secrets: list[str]) -> None:
    Endpoint(Secret(url, "env:URL"))
    for secret in [url, *secrets]:
        assert secret not in redact(f"could not reach {secret}")
    assert redact("mail.example.com and hooks.example.com") == (
        "mail.example.com and hooks.example.com"
    )


@pytest.mark.parametrize("url", ["nonsense", "gopher://x/secret-part", "tgram://too-short/", ""])
def test_what_apprise_can_not_use_is_no_endpoint(url: str) -> None:
    with pytest.raises(EndpointError) as caught:
        Endpoint(Secret(url, "env:URL"))
    assert "apprise" in str(caught.value)
    assert "secret-part" not in str(caught.value)


def test_apprise_tells_nobody_of_an_address(capfd: pytest.CaptureFixture[str]) -> None:
    dead = f"json://127.0.0.1:9/{HOOK_TOKEN}"  # nothing listens there
    why = Endpoint(Secret(dead, "env:URL")).deliver("title", "body", "info")
    assert why
    out, err = capfd.readouterr()
    assert HOOK_TOKEN not in why + out + err
    assert not err
