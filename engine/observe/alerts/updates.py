"""What Telegram's Bot API answers, as far as a bot reads it: pure, and total.

Source: core.telegram.org/bots/api, "Making requests", "Update", "Message".
"""

from __future__ import annotations

import msgspec

REFUSED = frozenset({401, 404})  # HTTP; 404 for what has not even a token's form


class BotError(Exception):
    """The API did not do what it was asked; without the token. `is_refused`: the token names no
    bot, and no later try will do better."""

    def __init__(self, text: str, *, is_refused: bool = False) -> None:
        super().__init__(text)
        self.is_refused = is_refused


class Chat(msgspec.Struct):
    id: int


class User(msgspec.Struct):
    id: int = 0
    username: str = ""
    first_name: str = ""


class Said(msgspec.Struct):
    """A message to the bot; its text is empty where it is a picture, or somebody came."""

    chat: Chat
    sender: User = msgspec.field(name="from", default_factory=User)
    text: str = ""


class Update(msgspec.Struct):
    """`message` is None for what is none."""

    update_id: int
    message: Said | None = None


class _Number(msgspec.Struct):
    update_id: int


class _Updates(msgspec.Struct):
    result: list[msgspec.Raw]


class _Told(msgspec.Struct):
    ok: bool = False
    description: str = ""


def require_ok(method: str, status: int, data: bytes) -> None:
    """Raises BotError with what the API says of a request that it refuses."""
    try:
        told = msgspec.json.decode(data, type=_Told)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        told = _Told()
    if not told.ok:
        text = f"{method}: {status} {told.description[:300]}".rstrip()
        raise BotError(text, is_refused=status in REFUSED)


def updates_of(data: bytes) -> list[Update]:
    """Those of an answer to getUpdates; one that is no message, or damaged, has its number alone.

    Raises BotError for what is no answer.
    """
    try:
        return [_update(raw) for raw in msgspec.json.decode(data, type=_Updates).result]
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise BotError(f"getUpdates: expected updates, came something else: {error}") from error


def _update(raw: msgspec.Raw) -> Update:
    try:
        return msgspec.json.decode(raw, type=Update)
    except (msgspec.MsgspecError, ValueError):  # it must not be asked for again and again
        return Update(msgspec.json.decode(raw, type=_Number).update_id)
