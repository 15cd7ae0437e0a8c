"""Refusals of the simulated gateway, and the checks of what is asked (section 2)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec

from fairlead.adapters.simulation.orders import ORDER_VALUE_MAX

_SYMBOL = re.compile(r"[A-Z0-9]{1,20}/[A-Z0-9]{1,20}")
_NUMBER = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,20})?")
_DATE = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])")
MISSING = object()

# The texts of 433 (section 2); the code is in the text.
EXTERNAL = {
    "1103": "exchange API authorization failed",
    "1106": "exchange API key type is invalid",
    "1109": "exchange API key already exist",
    "1110": "exchange API key is inactive",
    "1115": "exchange API key type is unsupported",
    "1206": "exchange id does not match",
    "1300": "invalid exchange symbol",
    "1306": "exchange symbol does not match",
    "1309": "exchange symbol already exist",
    "1500": "exchange bad request",
    "2100": "invalid subscription type",
    "2103": "unauthorized subscription features",
    "2129a": "exceed subscription max API key limit",
    "2129b": "exceed subscription max API balance limit",
    "3104": "active stripe subscription does not exist",
    "3109": "active stripe subscription already exist",
}


class Refusal(Exception):
    """An answer that refuses."""

    def __init__(self, status: int, body: object) -> None:
        super().__init__(f"{status}: {body}")
        self.status = status
        self.body = body


def external(code: str) -> Refusal:
    return Refusal(433, {"error": f"{EXTERNAL[code]} ({code})"})


def not_found() -> Refusal:
    return Refusal(404, {"message": "route not found"})


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A request: the path's variables, the query, the body."""

    path: Mapping[str, str]
    query: Mapping[str, str]
    body: Mapping[str, Any]


class Check:
    """Collects every row of a 422, as the gateway does, before it refuses."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.rows: list[dict[str, Any]] = []

    def fail(self, param: str, msg: str, value: Any, location: str) -> None:
        row = {} if value is MISSING else {"value": value}
        self.rows.append({**row, "msg": msg, "param": param, "location": location})

    def end(self) -> None:
        """Raises Refusal (422) if anything failed."""
        if self.rows:
            raise Refusal(422, {"errors": self.rows})

    def id(self, name: str = "id") -> str:
        text = self.call.path[name]
        if not is_uuid(text):
            self.fail(name, "must be UUID", text, "params")
        return text

    def symbol(self, location: str = "query") -> str:
        value = self._source(location).get("symbol", MISSING)
        if not isinstance(value, str) or _SYMBOL.fullmatch(value) is None:
            self.fail("symbol", "must be valid exchange symbol", value, location)
            return ""
        return value

    def choice(
        self, name: str, allowed: Sequence[str], *, default: str = "", location: str = "body"
    ) -> str:
        """One of `allowed`; a default makes it optional."""
        value = self._source(location).get(name, default or MISSING)
        if not isinstance(value, str) or value not in allowed:
            self.fail(name, f"must be one of {', '.join(allowed)}", value, location)
            return ""
        return value

    def number(self, name: str, *, is_needed: bool = True) -> Decimal | None:
        """A number above zero, also as text."""
        value = self.call.body.get(name, MISSING)
        if value is MISSING or value is None:
            if is_needed:
                self.fail(name, "must be a number", value, "body")
            return None
        found = number_of(value)
        if found is None or not 0 < found <= ORDER_VALUE_MAX:
            self.fail(name, "must be a number", value, "body")
            return None
        return found

    def text(self, name: str, is_good: Callable[[str], bool], msg: str) -> str | None:
        """Of the body, optional."""
        value = self.call.body.get(name, MISSING)
        if value is MISSING:
            return None
        if not isinstance(value, str) or not is_good(value):
            self.fail(name, msg, value, "body")
            return None
        return value

    def flag(self, name: str) -> bool | None:
        """Of the body, optional."""
        value = self.call.body.get(name, MISSING)
        if value is MISSING:
            return None
        if not isinstance(value, bool):
            self.fail(name, "must be boolean", value, "body")
            return None
        return value

    def limit(self, default: int, most: int = 1000) -> int:
        text = self.call.query.get("limit", str(default))
        if not (text.isascii() and text.isdigit() and len(text) < 6 and 1 <= int(text) <= most):
            self.fail("limit", f"must be between 1 and {most}", text, "query")
            return default
        return int(text)

    def date(self, name: str) -> str:
        """Of the query, optional."""
        text = self.call.query.get(name, "")
        if text and _DATE.fullmatch(text) is None:
            self.fail(name, "must be valid date", text, "query")
        return text

    def page(self) -> int:
        """Where `nextToken` says that the page begins."""
        text = self.call.query.get("nextToken", "0")
        if not (text.isascii() and text.isdigit() and len(text) < 10):
            self.fail("nextToken", "must be valid token", text, "query")
            return 0
        return int(text)

    def _source(self, location: str) -> Mapping[str, Any]:
        return self.call.body if location == "body" else self.call.query


def number_of(value: object) -> Decimal | None:
    """JSON's number, or its text."""
    if isinstance(value, bool) or not isinstance(value, Decimal | int | str):
        return None
    if isinstance(value, str):
        return Decimal(value) if _NUMBER.fullmatch(value) else None
    found = Decimal(value)
    return found if found.is_finite() and abs(found.adjusted()) < 30 else None


def is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False
