"""A Telegram bot that answers `status`, `positions` and `kill`, to the chats that the config names.

It asks the Bot API for messages (getUpdates, a long poll) and answers with sendMessage; see
core.telegram.org/bots/api. Nobody else is answered. A kill needs a word that only the asker was
given, and is the same durable file that the page and `fairlead kill` write: it says who asked. What
was sent before the run was up is not acted upon.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from typing import TYPE_CHECKING, Any

import aiohttp
import msgspec

from fairlead.engine.errors import FairleadError
from fairlead.engine.kill.state import SCOPE_KINDS, Action
from fairlead.engine.observe.alerts import texts
from fairlead.engine.observe.alerts.updates import BotError, Said, require_ok, updates_of
from fairlead.engine.observe.page.control import Control, Refused
from fairlead.engine.observe.page.told import KillAsked
from fairlead.engine.secrets import redact
from fairlead.engine.status import shortened
from fairlead.engine.warner import Warner

if TYPE_CHECKING:
    from fairlead.engine.config.observed import Telegram
    from fairlead.engine.observe.page.snapshot import Snapshot
    from fairlead.engine.observe.page.sources import Sources
    from fairlead.engine.secrets import Secret

logger = logging.getLogger(__name__)

POLL_SECS = 25  # that the API may keep a poll open
ANSWER_SECS = 10.0
AGAIN_SECS = (1.0, 2.0, 5.0, 15.0, 60.0)  # after a failure; the last repeats
ROW_EVERY = 3  # failures, a minute or a poll apart: the page shows a row for five minutes
BODY_BYTES_MAX = 4 * 1024 * 1024  # of an answer: at most a hundred messages
TEXT_CHARS_MAX = 4_096  # the API's own limit
CONFIRM_SECS = 60.0
WRONG_WORDS_MAX = 3  # of ten thousand
STRANGERS_MAX = 100  # told once each; beyond, they are counted
LENT_TRIES = 20
STRANGERS = "telegram_strangers"  # counter of the run's status
HELP = (
    "status: whether all is well, and the figures\n"
    "positions: as engine, journal and venue see them\n"
    "kill [all | venue NAME | account NAME | strategy ID] [halt | cancel | flatten]: stop orders"
)
_ACTIONS = tuple(Action)


class _Asked(msgspec.Struct):
    """A kill that waits for its word."""

    kill: KillAsked
    word: str
    until: float
    wrong: int = 0  # words


class Bot:
    """Of one run."""

    def __init__(
        self, sources: Sources, snapshot: Snapshot, settings: Telegram, token: Secret
    ) -> None:
        self._sources = sources
        self._snapshot = snapshot
        self._settings = settings
        self._url = f"{settings.api.rstrip('/')}/bot{token.reveal()}"
        self._control = Control(sources) if settings.kill else None
        self._chats = frozenset(settings.chats)
        self._strangers: set[int] = set()
        self._asked: dict[tuple[int, int], _Asked] = {}
        self._offset = 0
        self._session: aiohttp.ClientSession | None = None
        self._warn = Warner(logger)
        self._failures = 0

    async def run(self) -> None:
        """Until it is cancelled. Never raises anything else."""
        timeout = aiohttp.ClientTimeout(total=POLL_SECS + ANSWER_SECS)
        async with aiohttp.ClientSession(timeout=timeout, trust_env=True) as session:
            self._session = session
            is_new = True
            while True:
                try:
                    await self._poll(is_new=is_new)
                    is_new = False
                    self._failures = 0
                except (BotError, aiohttp.ClientError, OSError, TimeoutError) as error:
                    is_refused = isinstance(error, BotError) and error.is_refused
                    why = f"{type(error).__name__}: {error}"
                    await self._failed(why, is_refused=is_refused)
                except Exception as error:
                    logger.exception("TELEGRAM")
                    await self._failed(f"{type(error).__name__}: {error}")

    async def _failed(self, why: str, *, is_refused: bool = False) -> None:
        text = redact(f"the Telegram bot is not reached: {why}")
        self._warn("poll", f"TELEGRAM: {text}")
        if self._failures % ROW_EVERY == 0:
            now_ns = self._sources.now_ns()
            self._sources.status.problem(now_ns, "TELEGRAM", text, is_bad=is_refused)
        secs = AGAIN_SECS[min(self._failures, len(AGAIN_SECS) - 1)]
        self._failures += 1
        await asyncio.sleep(secs)

    async def _poll(self, *, is_new: bool) -> None:
        """One long poll. The first takes what has waited, and acts upon none of it."""
        body = {"offset": self._offset, "timeout": 0 if is_new else POLL_SECS}
        data = await self._ask("getUpdates", {**body, "allowed_updates": ["message"]})
        late: set[int] = set()
        for update in updates_of(data):
            self._offset = max(self._offset, update.update_id + 1)
            message = update.message
            if message is None:
                continue
            if message.chat.id not in self._chats:
                self._stranger(message.chat.id)
            elif is_new:
                late.add(message.chat.id)
            else:
                await self._answer(message.chat.id, await self._answer_to(message))
        for chat in late:
            await self._answer(chat, "this came before the run was up: ask again")

    def _stranger(self, chat: int) -> None:
        self._sources.status.count(STRANGERS)
        if chat not in self._strangers and len(self._strangers) < STRANGERS_MAX:
            self._strangers.add(chat)
            text = f"chat {chat} is not in observe.telegram.chats: it gets no answer"
            logger.warning("TELEGRAM: %s", text)

    async def _answer(self, chat: int, text: str) -> None:
        """One that can't be answered keeps no other from being heard."""
        body = {"chat_id": chat, "text": shortened(redact(text), TEXT_CHARS_MAX)}
        try:
            await self._ask("sendMessage", body)
        except (BotError, aiohttp.ClientError, OSError, TimeoutError) as error:
            why = redact(f"{type(error).__name__}: {error}")
            self._warn("answer", f"TELEGRAM: chat {chat} was not answered: {why}")

    async def _ask(self, method: str, body: dict[str, Any]) -> bytes:
        assert self._session is not None
        async with self._session.post(f"{self._url}/{method}", json=body) as answer:
            data = b""
            async for chunk in answer.content.iter_any():
                data += chunk
                if len(data) > BODY_BYTES_MAX:
                    raise BotError(f"{method}: an answer of more than {BODY_BYTES_MAX} bytes")
        require_ok(method, answer.status, data)
        return data

    # -- what is asked -------------------------------------------------------------------------

    async def _answer_to(self, message: Said) -> str:
        words = message.text.strip().removeprefix("/").split()
        verb = words[0].partition("@")[0].lower() if words else ""
        try:
            if verb == "status":
                return await self._read(
                    lambda: texts.status(self._sources, self._snapshot, self._snapshot.worth())
                )
            if verb == "positions":
                return await self._read(lambda: texts.positions(self._sources))
            if verb == "kill":
                return self._kill(message, words[1:])
            if verb == "yes":
                return self._confirmed(message, words[1:])
        except FairleadError as error:  # of the journal
            return f"{error.code}: {error.message}"
        return HELP

    async def _read(self, text: Any) -> str:
        """What reads NautilusTrader's cache, which is lent at times."""
        for _try in range(LENT_TRIES):
            try:
                return str(text())
            except RuntimeError:
                await asyncio.sleep(0.01)
        return "busy: ask again"

    def _kill(self, message: Said, words: list[str]) -> str:
        if self._control is None:
            return "this bot does not kill: observe.telegram.kill is false; `fairlead kill` does"
        action: Any = words.pop().lower() if words and words[-1].lower() in _ACTIONS else "cancel"
        scope: Any = words[0].lower() if words else "all"
        key = " ".join(words[1:])
        if scope not in SCOPE_KINDS or (scope == "all") == bool(key):
            return f"{_misread(words, scope)}: nothing was done, expected\n{HELP}"
        reason = f"asked for in Telegram chat {message.chat.id}"
        kill = KillAsked(scope=scope, key=key, action=action, reason=reason)
        try:
            self._control.known(kill.scope, kill.key)
        except Refused as refused:
            return refused.message
        word = f"{secrets.randbelow(10_000):04}"
        now = asyncio.get_running_loop().time()
        self._asked = {who: one for who, one in self._asked.items() if one.until > now}
        self._asked[message.chat.id, message.sender.id] = _Asked(kill, word, now + CONFIRM_SECS)
        does = {
            "halt": "nothing new is created",
            "cancel": "nothing new is created, open orders are cancelled",
            "flatten": "nothing new is created, open orders are cancelled, positions are closed",
        }[kill.action]
        target = f"{scope} {key}".rstrip()
        return (
            f"kill {target}: {does}, until a person clears it.\n"
            f"Within {CONFIRM_SECS:.0f} s answer: yes {word}"
        )

    def _confirmed(self, message: Said, words: list[str]) -> str:
        place = message.chat.id, message.sender.id
        asked = self._asked.get(place)
        now = asyncio.get_running_loop().time()
        if asked is None or self._control is None or now > asked.until:
            self._asked.pop(place, None)
            return "nothing waits for a yes: nothing was done"
        if words != [asked.word]:
            asked.wrong += 1
            told = "another word than the one that was asked for: nothing was done; the kill "
            if asked.wrong < WRONG_WORDS_MAX:
                return f"{told}waits {asked.until - now:.0f} s more for its word"
            del self._asked[place]
            return f"{told}is dropped after {WRONG_WORDS_MAX} wrong words: ask for it again"
        del self._asked[place]
        name = message.sender.username or message.sender.first_name
        who = f"{name} ({message.sender.id}) in Telegram chat {message.chat.id}".strip()
        try:
            return self._control.kill(asked.kill, who)
        except Refused as refused:
            return f"{refused.code}: {refused.message}"


def _misread(words: list[str], scope: str) -> str:
    """What of a kill's words names nothing."""
    if scope not in SCOPE_KINDS:
        return f"kill: unknown word {words[0]!r}"
    return f"kill {scope}: {'it takes no name' if scope == 'all' else 'its name is missing'}"
