"""The Telegram bot, against a Bot API on loopback: who is answered, and what a kill needs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from fairlead.engine.config.observed import Telegram
from fairlead.engine.observe.alerts.telegram import STRANGERS, Bot
from fairlead.engine.observe.page.snapshot import Snapshot
from fairlead.engine.secrets import Secret, remember
from tests.support.people import BotApi, open_people
from tests.unit.observe.test_page import Run


@pytest.fixture
def api() -> Iterator[BotApi]:
    made = BotApi()
    with open_people(made):
        yield made


@pytest.fixture
def run(tmp_path: Path) -> Run:
    found = Run(tmp_path)
    found.sources.loaded.config.strategies.append(SimpleNamespace(id="maker-1"))
    return found


@asynccontextmanager
async def at_work(run: Run, api: BotApi, *, kill: bool = True) -> AsyncIterator[None]:
    token = Secret(BotApi.TOKEN, "env:TOKEN")
    remember(token)
    settings = Telegram(token="env:TOKEN", chats=[42, -100], kill=kill, api=api.url)
    snapshot = Snapshot(run.sources, is_controlled=False)
    task = asyncio.create_task(Bot(run.sources, snapshot, settings, token).run())
    try:
        while not (api.polls or api.refused):
            await asyncio.sleep(0.01)
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def asked(api: BotApi, text: str, *, chat: int = 42, user: int = 7) -> str:
    return await asyncio.to_thread(api.asked, text, chat=chat, user=user)


async def test_it_says_how_the_run_is(run: Run, api: BotApi) -> None:
    async with at_work(run, api):
        told = await asked(api, "/status@the_bot")
        assert told.startswith("all is well\nrunning for 0 h 0 min")
        assert "no kill, no halt" in told
        run.account.lost = []
        assert await asked(api, "positions") == "no instrument is known yet"
        assert "status:" in await asked(api, "what?")


async def test_a_kill_needs_the_word_and_says_who(run: Run, api: BotApi) -> None:
    async with at_work(run, api):
        told = await asked(api, "kill strategy maker-1 halt")
        assert "nothing new is created" in told
        word = told.split()[-1]
        assert not run.kills.in_force(), "not yet"
        assert "nothing waits" in await asked(api, f"yes {word}", user=8), "another person's word"
        assert "in force" in await asked(api, f"yes {word}")
        (kill,) = run.kills.in_force()
        assert (str(kill.scope), kill.action) == ("strategy maker-1", "halt")
        assert kill.by == "ann (7) in Telegram chat 42"
        assert "nothing waits" in await asked(api, f"yes {word}"), "once"


async def test_what_is_no_kill_of_this_run_does_nothing(run: Run, api: BotApi) -> None:
    async with at_work(run, api):
        assert "has no strategy" in await asked(api, "kill strategy other-1")
        assert "nothing was done" in await asked(api, "kill venue")
        assert "nothing was done" in await asked(api, "kill everything now")
        word = (await asked(api, "kill")).split()[-1]
        wrong = f"{(int(word) + 1) % 10_000:04}"
        for _ in range(2):
            told = await asked(api, f"yes {wrong}")
            assert "another word" in told
            assert "waits" in told
        assert "is dropped after 3 wrong words" in await asked(api, f"yes {wrong}")
        assert "nothing waits" in await asked(api, f"yes {word}"), "three tries"
        assert not run.kills.in_force()


async def test_a_wrong_word_keeps_the_kill_for_its_minute(run: Run, api: BotApi) -> None:
    async with at_work(run, api):
        word = (await asked(api, "kill")).split()[-1]
        assert "waits" in await asked(api, "yes")
        assert "in force" in await asked(api, f"yes {word}")
        assert run.kills.in_force()


async def test_an_unknown_word_is_named(run: Run, api: BotApi) -> None:
    async with at_work(run, api):
        assert (await asked(api, "kill banana flatten")).startswith("kill: unknown word 'banana'")
        assert "its name is missing" in await asked(api, "kill venue")


async def test_it_kills_only_where_the_config_says_so(run: Run, api: BotApi) -> None:
    async with at_work(run, api, kill=False):
        assert "does not kill" in await asked(api, "kill")
        assert "nothing waits" in await asked(api, "yes 1234")


async def test_who_is_not_allowed_gets_no_answer(
    run: Run, api: BotApi, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        async with at_work(run, api):
            await asked(api, "status")  # it is up
            for _ in range(3):
                api.says("status", chat=666)
            api.says("kill", chat=667)
            await asked(api, "status")
            assert {one["chat_id"] for one in api.sent} == {42}
    assert run.status.counters[STRANGERS] == 4
    told = [one.message for one in caplog.records if "gets no answer" in one.message]
    assert len(told) == 2, "once a chat"


async def test_what_came_before_the_run_was_up_is_not_acted_upon(run: Run, api: BotApi) -> None:
    api.says("kill")
    api.says("status", chat=666)
    async with at_work(run, api):
        assert [one["text"] for one in api.sent] == ["this came before the run was up: ask again"]
        assert (await asked(api, "status")).startswith("all is well")
    assert {one["chat_id"] for one in api.sent} == {42}


async def test_updates_that_are_no_messages_are_passed_over(run: Run, api: BotApi) -> None:
    async with at_work(run, api):
        await asked(api, "status")
        api.put({"message": {"chat": "no number"}})
        api.put({"edited_message": {}})
        api.put({"message": {"chat": {"id": 42}}})
        while len(api.sent) < 2:
            await asyncio.sleep(0.01)
        assert "status:" in api.sent[1]["text"], "a picture without a word: what it can be asked"
        assert "all is well" in await asked(api, "status")


async def test_an_api_that_refuses_is_told_without_the_token(
    run: Run, api: BotApi, caplog: pytest.LogCaptureFixture
) -> None:
    api.is_broken = True
    with caplog.at_level(logging.WARNING):
        async with at_work(run, api):
            while not run.status.problems:
                await asyncio.sleep(0.01)
            (problem,) = run.status.problems
            api.is_broken = False
            assert "all is well" not in await asked(api, "status"), "the page's row is a reason"
    assert problem.code == "TELEGRAM"
    assert "401 Unauthorized" in problem.message
    assert problem.is_bad, "it does not pass by itself"
    assert BotApi.TOKEN not in caplog.text + problem.message
