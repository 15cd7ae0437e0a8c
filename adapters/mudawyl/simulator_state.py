"""What the handlers of the simulated gateway work on: `MudawylState`, and who may ask."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from decimal import Decimal
from random import Random
from typing import Any, Literal, Unpack
from uuid import UUID

import jwt
import msgspec

from fairlead.adapters.mudawyl.simulator_checks import Refusal, external, not_found
from fairlead.adapters.mudawyl.simulator_markets import (
    MS,
    SECOND_NS,
    MudawylSimOptions,
    iso,
)
from fairlead.adapters.mudawyl.simulator_matching import MatchingState
from fairlead.adapters.simulation.routes import RateWindows
from fairlead.adapters.simulation.shell import Start

TradeType = Literal["SPOT", "FUTURES"]
StrategyType = Literal["AUTOMATED", "MANUAL"]
DAY_NS = 86_400 * SECOND_NS


class StoredKey(msgspec.Struct, kw_only=True):
    """An exchange key. `is_authorized` False: the exchange refuses it (1103)."""

    id: str
    trade_type: TradeType
    strategy_type: StrategyType
    name: str
    api_key: str
    ts_created: int
    ts_updated: int
    active: bool = True
    is_authorized: bool = True
    exchange_id: str = "BINANCE"

    def told(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "exchangeId": self.exchange_id,
            "tradeType": self.trade_type,
            "strategyType": self.strategy_type,
            "active": self.active and self.is_authorized,
            "name": self.name,
            "apiKeyStatus": "AUTHORIZED" if self.is_authorized else "UNAUTHORIZED",
            "apiKey": self.api_key,
            "createdAt": iso(self.ts_created),
            "updatedAt": iso(self.ts_updated),
        }


class Strategy(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    name: str
    symbol: str
    active: bool = True
    exchange_id: str = "BINANCE"


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    name: str
    percentage: Decimal


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """`is_sold` False: an old one, which can't be bought (2100)."""

    id: str
    name: str
    price: int
    max_balance: int
    max_keys: int
    automated: bool = True
    is_sold: bool = True


class Followed(msgspec.Struct, kw_only=True):
    id: str
    key_id: str
    strategy: Strategy
    risk: Profile
    active: bool
    ts_created: int
    ts_updated: int


class MudawylState(MatchingState):
    """The user's account at the gateway, and the tokens that it has given out."""

    def __init__(self, options: MudawylSimOptions | None = None, **start: Unpack[Start]) -> None:
        super().__init__(options, **start)
        now_ns = start["now_ns"]
        self.limits = RateWindows(SECOND_NS)
        self.started_ns = now_ns
        self._uuids = Random(f"{self.seed}/entities")  # noqa: S311 - simulation
        self._captcha_ids = Random(f"{self.seed}/{now_ns}/captchas")  # noqa: S311 - simulation
        self._signing_key = hashlib.sha256(f"mudawyl simulator {self.seed}".encode()).hexdigest()
        self.captchas: dict[str, int] = {}  # given out and not used: when, ns
        self.kept_tokens: set[str] = set()  # of an earlier start
        self.token = self.new_token(now_ns)
        self.plans = self._plans()
        self.plan = self.plans[1]
        self.has_stripe = True
        self.cancels_at_end = False
        self.risks = [
            Profile(id=self.new_id(), name=name, percentage=Decimal(percent))
            for name, percent in (("CONSERVATIVE", "1.5"), ("MODERATE", "2"), ("AGGRESSIVE", "3"))
        ]
        self.strategies = self._strategies()
        self.keys: dict[str, StoredKey] = {}
        self.main = self.store_key("Trading", "FUTURES", "MANUAL")
        self.store_key("Spot", "SPOT", "MANUAL")
        self.store_key("Automated", "FUTURES", "AUTOMATED")
        self.follows: dict[str, Followed] = {}
        self.profile: dict[str, Any] = {
            "lastName": "Doe",
            "firstName": "John",
            "country": "CA",
            "language": "EN",
            "timezone": "America/Toronto",
        }
        self.ts_profile = now_ns
        by_mail = ("weeklyReport", "monthlyReport", "emailNewOrder", "emailTakeProfit")
        by_chat = ("telegramNewOrder", "telegramTakeProfit", "telegramStopLoss")
        self.notifications: dict[str, bool] = dict.fromkeys((*by_mail, "emailStopLoss"), True)
        self.notifications |= dict.fromkeys(by_chat, False)
        self.ts_notifications = now_ns
        self.is_telegram_linked = False
        self.manual_trades: list[dict[str, Any]] = []  # oldest first
        self.strategy_trades: list[dict[str, Any]] = []

    def _plans(self) -> list[Plan]:
        rows = (
            ("BASIC", 20, 2_500, 2),
            ("ADVANCED", 40, 50_000, 5),
            ("PROFESSIONAL", 60, 10**6, 9),
        )
        plans = [
            Plan(id=self.new_id(), name=name, price=price, max_balance=most, max_keys=keys)
            for name, price, most, keys in rows
        ]
        free = Plan(
            id=self.new_id(), name="FREE", price=0, max_balance=0, max_keys=1, automated=False
        )
        return [*plans, msgspec.structs.replace(free, is_sold=False)]

    def _strategies(self) -> list[Strategy]:
        rows = [
            Strategy(id=self.new_id(), name=f"STRATEGY #{number}", symbol=symbol)
            for number, symbol in enumerate([*self.markets, *self.markets], start=1)
        ]
        idle = Strategy(id=self.new_id(), name="OLD", symbol="BTC/USDT", active=False)
        other = Strategy(id=self.new_id(), name="OTHER", symbol="BTC/USDT", exchange_id="KUCOIN")
        return [*rows, idle, other]

    def new_id(self) -> str:
        return str(UUID(int=self._uuids.getrandbits(128), version=4))

    def store_key(
        self, name: str, trade_type: TradeType, strategy_type: StrategyType, api_key: str = ""
    ) -> StoredKey:
        now_ns = self.exchange.now_ns
        key = StoredKey(
            id=self.new_id(),
            trade_type=trade_type,
            strategy_type=strategy_type,
            name=name,
            api_key=api_key or f"{self._uuids.getrandbits(320):x}"[:64],
            ts_created=now_ns,
            ts_updated=now_ns,
        )
        self.keys[key.id] = key
        return key

    # -- who asks ----------------------------------------------------------------------------------

    def new_token(self, now_ns: int) -> str:
        """A token of the user, which expires `token_secs` later."""
        issued = now_ns // SECOND_NS
        claims = {
            "sub": "5b9e7d1c-0000-4000-8000-000000000001",
            "token_use": "id",
            "iat": issued,
            "exp": issued + self.options.token_secs,
        }
        return jwt.encode(claims, self._signing_key, algorithm="HS256")

    def new_captcha(self) -> str:
        """What the website would give a person: good once, for two minutes."""
        text = f"03A{self._captcha_ids.getrandbits(400):x}"
        self.captchas[text] = self.exchange.now_ns
        return text

    def require_token(self, headers: Mapping[str, str]) -> None:
        """Raises Refusal (401)."""
        text = headers.get("authorization", "")
        how = self.options.authorization
        is_bearer = text.startswith("Bearer ")
        if (how == "raw" and is_bearer) or (how == "bearer" and not is_bearer):
            raise Refusal(401, {"message": "Unauthorized"})
        text = text.removeprefix("Bearer ")
        if text in self.kept_tokens:
            return
        try:
            claims = jwt.decode(
                text,
                self._signing_key,
                algorithms=["HS256"],
                options={"verify_exp": False, "verify_iat": False, "verify_nbf": False},
            )
        except (jwt.PyJWTError, ValueError) as e:
            raise Refusal(401, {"message": "Unauthorized"}) from e
        if claims["exp"] * SECOND_NS <= self.exchange.now_ns:
            raise Refusal(401, {"message": "The incoming token has expired"})

    def require_captcha(self, headers: Mapping[str, str]) -> None:
        """Raises Refusal, with a status that is not documented."""
        text = headers.get("recaptcha-token-v3", "")
        if self.options.captcha == "any" and text:
            return
        given_ns = self.captchas.pop(text, None)
        age_ns = self.exchange.now_ns - (given_ns or 0)
        if given_ns is None or age_ns > self.options.captcha_secs * SECOND_NS:
            raise Refusal(self.options.captcha_status, {"message": "Forbidden"})

    def key(self, key_id: str) -> StoredKey:
        """Raises Refusal (404)."""
        found = self.keys.get(key_id)
        if found is None:
            raise not_found()
        return found

    def is_traded(
        self, key_id: str, symbol: str = "", *, futures: bool = True, manual: bool = False
    ) -> bool:
        """Whether a key whose exchange is asked has the account behind it; others hold nothing.

        Raises Refusal (404, 433).
        """
        key = self.key(key_id)
        if futures and key.trade_type != "FUTURES":
            raise external("1106")
        if manual and key.strategy_type != "MANUAL":
            raise external("1115")
        if not key.is_authorized:
            raise external("1103")
        if symbol and symbol not in self.markets:
            raise external("1300")
        return key is self.main

    def millis(self) -> int:
        return self.exchange.now_ns // MS
