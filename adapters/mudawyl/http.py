"""Every endpoint of the gateway, typed, one method each (section 3 and appendix A).

Each method raises VenueError, whose kind says what the failure proves about this request. What
changes something needs a reCAPTCHA token of the user's provider; without one it is not sent. No
change is ever repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal
from urllib.parse import quote, urlencode

import msgspec

from fairlead.adapters.base.clock import VenueClock
from fairlead.adapters.base.decode import Answer
from fairlead.adapters.base.http import Call, Purpose, VenueHttp
from fairlead.adapters.base.limits import READ_LIMITS, ReadLimits
from fairlead.adapters.base.ratelimit import Rate, RateLimiter
from fairlead.adapters.base.transport import HttpRequest, HttpResponse, HttpTransport
from fairlead.adapters.base.venue import VenueError, VenueErrorKind
from fairlead.adapters.mudawyl import errors
from fairlead.adapters.mudawyl import schemas as s
from fairlead.adapters.mudawyl.config import MudawylOptions
from fairlead.adapters.mudawyl.tokens import CaptchaProvider, ReadToken, TokenKeeper
from fairlead.engine.secrets import Secret

PUBLIC, PRIVATE = "public", "private"  # budgets
EXCHANGE = "BINANCE"
MAX_PAGE = 1000
MAX_TARGETS = 25
MAX_LEVERAGE = 125
MAX_KEY_NAME = 24  # the document: less than 25

ACCOUNT = "/v1/priv/account"
KEYS = f"{ACCOUNT}/exchange/key"
STRIPE = f"{ACCOUNT}/subscription/stripe"
EXCHANGES = "/v1/priv/exchange"
FOLLOWS = "/v1/priv/strategy/follow"


class Nothing(Answer[None]):
    """Of a success whose body is empty, or not documented."""

    def __init__(self) -> None:
        super().__init__(type(None))

    def __call__(self, data: bytes | str | msgspec.Raw) -> None:
        return None


class Maybe[T](Answer[T | None]):
    """An empty body is None, too."""

    def __call__(self, data: bytes | str | msgspec.Raw) -> T | None:
        return super().__call__(data) if data else None


_nothing = Nothing()
_ticker = Answer(s.Ticker)
_plans = Answer(s.Page[s.Plan])
_risks = Answer(s.Page[s.RiskProfile])
_strategies = Answer(s.Page[s.Strategy])
_periods = Answer(s.Page[s.StrategyPeriod])
_performance = Answer(s.StrategyPerformance)
_profile = Answer(s.Profile)
_texts = Answer(list[str])
_total = Answer(s.TotalBalance)
_keys = Answer(s.Page[s.ExchangeKey])
_key = Answer(s.ExchangeKey)
_balance = Answer(s.KeyBalance)
_days = Answer(s.Page[s.DayBalance])
_method = Answer(s.NotificationMethod)
_notifications = Answer(s.Notifications)
_subscription = Answer(s.Subscription)
_stripe = Answer(s.StripeSubscription)
_checkout = Answer(s.Checkout)
_bills = Answer(list[s.Bill])
_manual = Answer(s.Page[s.ManualTrade])
_strategy_trades = Answer(s.Page[s.StrategyTrade])
_orders = Answer(list[s.Order])
_trades = Answer(list[s.Trade])
_position: Maybe[s.Position] = Maybe(s.Position | None)  # type: ignore[arg-type]
_follows = Answer(s.Page[s.Follow])
_follow = Answer(s.Follow)


class AccountChangesDisabled(VenueError):
    """The config does not allow the account to be changed; nothing was sent."""

    def __init__(self) -> None:
        super().__init__(
            VenueErrorKind.REFUSED,
            f"{errors.CODE}-ACCOUNT-CHANGES-DISABLED",
            "changes of keys, profile, notifications and billing are off; the option"
            " allow_account_changes turns them on",
            is_sent=False,
        )


class Sending(msgspec.Struct, frozen=True):
    """What `Call.data` is: a body, the proof of a person, and whether it makes orders."""

    body: bytes
    captcha: Secret
    makes_orders: bool


class MudawylHttp(VenueHttp):
    """The gateway's REST API over one transport; private calls need a token."""

    def __init__(
        self,
        options: MudawylOptions,
        transport: HttpTransport,
        read_token: ReadToken | None,
        captcha: CaptchaProvider | None,
        now_ns: Callable[[], int],
        reads: ReadLimits = READ_LIMITS,
    ) -> None:
        self.clock: VenueClock | None = None  # the gateway tells no time, no request holds one
        self._options = options
        self._captcha = captcha
        self._tokens = (
            None
            if read_token is None
            else TokenKeeper(read_token, now_ns, options.token_margin_secs)
        )
        self._token: Secret | None = None
        rate = Rate(options.requests_per_second, 1.0)
        super().__init__(
            code=errors.CODE,
            base_url=options.http_url,
            transport=transport,
            limiter=RateLimiter(
                {PUBLIC: rate, PRIVATE: rate}, options.rate_reserve, options.rate_wait_secs
            ),
            now_ns=now_ns,
            timeout_secs=options.request_timeout_secs,
            is_keyed=self._tokens is not None,
            reads=reads,
        )

    @property
    def has_captcha(self) -> bool:
        """Whether a change can be sent at all."""
        return self._captcha is not None

    # -- public ------------------------------------------------------------------------------------

    async def ticker(
        self, symbol: str, type_: s.TradeType = "FUTURES", exchange_id: str = EXCHANGE
    ) -> s.Ticker:
        """`GET /v1/pub/exchange/ticker`; `symbol` is BASE/QUOTE."""
        query = {"exchangeId": exchange_id, "symbol": symbol, "type": type_}
        return await self._get(_ticker, "/v1/pub/exchange/ticker", query)

    async def plans(self) -> list[s.Plan]:
        """`GET /v1/pub/subscription/list`."""
        return (await self._get(_plans, "/v1/pub/subscription/list")).items

    async def risk_profiles(self) -> list[s.RiskProfile]:
        """`GET /v1/pub/strategy/profile/list`."""
        return (await self._get(_risks, "/v1/pub/strategy/profile/list")).items

    async def strategies(self) -> list[s.Strategy]:
        """`GET /v1/pub/strategy/list`."""
        return (await self._get(_strategies, "/v1/pub/strategy/list")).items

    async def strategy_history(
        self, strategy_id: str, interval: s.Interval = "1d", limit: int = 30
    ) -> list[s.StrategyPeriod]:
        """`GET /v1/pub/strategy/ID/history`, newest first, at most 1000 periods."""
        path = f"/v1/pub/strategy/{_part(strategy_id)}/history"
        return (await self._get(_periods, path, _span(interval, limit))).items

    async def strategy_performance(
        self, strategy_id: str, interval: s.Interval = "1d", limit: int = 30
    ) -> s.StrategyPerformance:
        """`GET /v1/pub/strategy/ID/performance`: one sum of the periods."""
        path = f"/v1/pub/strategy/{_part(strategy_id)}/performance"
        return await self._get(_performance, path, _span(interval, limit))

    # -- account -----------------------------------------------------------------------------------

    async def profile(self) -> s.Profile:
        """`GET /v1/priv/account/profile`."""
        return await self._get(_profile, f"{ACCOUNT}/profile")

    async def update_profile(self, change: s.ProfileChange) -> s.Profile:
        """`PUT /v1/priv/account/profile`. Raises AccountChangesDisabled."""
        self._require_account_changes()
        return await self._change(_profile, "PUT", f"{ACCOUNT}/profile", change)

    async def whitelist(self) -> list[str]:
        """`GET /v1/priv/account/exchange/whitelist/ip`: addresses that the exchange must allow."""
        return await self._get(_texts, f"{ACCOUNT}/exchange/whitelist/ip")

    async def total_balance(self) -> s.TotalBalance:
        """`GET /v1/priv/account/exchange/balance`."""
        return await self._get(_total, f"{ACCOUNT}/exchange/balance")

    async def keys(self) -> list[s.ExchangeKey]:
        """`GET /v1/priv/account/exchange/key/list`."""
        return (await self._get(_keys, f"{KEYS}/list")).items

    async def create_key(
        self,
        name: str,
        trade_type: s.TradeType,
        strategy_type: s.StrategyType,
        api_key: Secret,
        api_secret: Secret,
        *,
        active: bool | None = None,
        exchange_id: str = EXCHANGE,
    ) -> s.ExchangeKey:
        """`POST /v1/priv/account/exchange/key`: hands the exchange's secret to the gateway.

        Give it a key that may trade and not withdraw. Raises AccountChangesDisabled.
        """
        self._require_account_changes()
        body = s.NewExchangeKey(
            exchange_id=exchange_id,
            trade_type=trade_type,
            strategy_type=strategy_type,
            active=msgspec.UNSET if active is None else active,
            name=name,
            api_key=api_key.reveal(),
            api_secret_key=api_secret.reveal(),
        )
        return await self._change(_key, "POST", KEYS, body)

    async def rename_key(self, key_id: str, name: str) -> s.ExchangeKey:
        """`PUT /v1/priv/account/exchange/key/ID`. Raises AccountChangesDisabled."""
        self._require_account_changes()
        return await self._change(_key, "PUT", f"{KEYS}/{_part(key_id)}", s.KeyChange(name=name))

    async def delete_key(self, key_id: str) -> None:
        """`DELETE /v1/priv/account/exchange/key/ID`; its success is not documented.

        Raises AccountChangesDisabled.
        """
        self._require_account_changes()
        await self._change(_nothing, "DELETE", f"{KEYS}/{_part(key_id)}", None)

    async def key_balance(self, key_id: str) -> s.KeyBalance:
        """`GET /v1/priv/account/exchange/key/ID/balance`."""
        return await self._get(_balance, f"{KEYS}/{_part(key_id)}/balance")

    async def key_balance_history(
        self, key_id: str, *, start: str = "", limit: int = 100, next_token: str = ""
    ) -> s.Page[s.DayBalance]:
        """`GET /v1/priv/account/exchange/key/ID/balance/history`, newest day first.

        `start` is YYYY-MM-DD.
        """
        path = f"{KEYS}/{_part(key_id)}/balance/history"
        return await self._get(_days, path, _paging(start, limit, next_token))

    async def notification_method(self) -> s.NotificationMethod:
        """`GET /v1/priv/account/notification/method`."""
        return await self._get(_method, f"{ACCOUNT}/notification/method")

    async def notifications(self) -> s.Notifications:
        """`GET /v1/priv/account/notification`."""
        return await self._get(_notifications, f"{ACCOUNT}/notification")

    async def update_notifications(self, change: s.NotificationChange) -> s.Notifications:
        """`PUT /v1/priv/account/notification`. Raises AccountChangesDisabled."""
        self._require_account_changes()
        return await self._change(_notifications, "PUT", f"{ACCOUNT}/notification", change)

    async def subscription(self) -> s.Subscription:
        """`GET /v1/priv/account/subscription`."""
        return await self._get(_subscription, f"{ACCOUNT}/subscription")

    async def stripe_subscription(self) -> s.StripeSubscription:
        """`GET /v1/priv/account/subscription/stripe`."""
        return await self._get(_stripe, STRIPE)

    async def stripe_checkout(self, subscription_id: str) -> s.Checkout:
        """`POST /v1/priv/account/subscription/stripe/checkout`: a page to pay at.

        Raises AccountChangesDisabled.
        """
        self._require_account_changes()
        body = s.CheckoutRequest(subscription_id=subscription_id)
        return await self._change(_checkout, "POST", f"{STRIPE}/checkout", body)

    async def update_stripe(self, change: s.StripeChange) -> s.StripeSubscription:
        """`PUT /v1/priv/account/subscription/stripe`. Raises AccountChangesDisabled."""
        self._require_account_changes()
        return await self._change(_stripe, "PUT", STRIPE, change)

    async def billing_history(self) -> list[s.Bill]:
        """`GET /v1/priv/account/subscription/stripe/billing/history`."""
        return await self._get(_bills, f"{STRIPE}/billing/history")

    # -- the gateway's own records -----------------------------------------------------------------

    async def strategy_trades(
        self, *, start: str = "", limit: int = 30, next_token: str = ""
    ) -> s.Page[s.StrategyTrade]:
        """`GET /v1/priv/account/trade/strategy/history`; `limit` counts days."""
        path = f"{ACCOUNT}/trade/strategy/history"
        return await self._get(_strategy_trades, path, _paging(start, limit, next_token))

    async def manual_trades(
        self, *, start: str = "", limit: int = 30, next_token: str = ""
    ) -> s.Page[s.ManualTrade]:
        """`GET /v1/priv/account/trade/manual/history`; `limit` counts days."""
        path = f"{ACCOUNT}/trade/manual/history"
        return await self._get(_manual, path, _paging(start, limit, next_token))

    # -- the exchange, through a key ---------------------------------------------------------------

    async def open_orders(self, key_id: str, symbol: str) -> list[s.Order]:
        """`GET /v1/priv/exchange/order/KEY/list`: of one symbol, stops and targets too."""
        path = f"{EXCHANGES}/order/{_part(key_id)}/list"
        return await self._get(_orders, path, {"symbol": symbol})

    async def order_history(self, key_id: str, symbol: str) -> list[s.Order]:
        """`GET /v1/priv/exchange/order/KEY/history`; how far back is not documented."""
        path = f"{EXCHANGES}/order/{_part(key_id)}/history"
        return await self._get(_orders, path, {"symbol": symbol})

    async def trade_history(self, key_id: str, symbol: str) -> list[s.Trade]:
        """`GET /v1/priv/exchange/trade/KEY/history`; how far back is not documented."""
        path = f"{EXCHANGES}/trade/{_part(key_id)}/history"
        return await self._get(_trades, path, {"symbol": symbol})

    async def position(self, key_id: str, symbol: str) -> s.Position | None:
        """`GET /v1/priv/exchange/position/KEY`; None where the answer is empty."""
        path = f"{EXCHANGES}/position/{_part(key_id)}"
        return await self._get(_position, path, {"symbol": symbol})

    async def permit(self, what: str) -> Secret:
        """A person's word for one change, which may take a minute: its `captcha`. `what` (method,
        path) is told to who gives it. Raises VenueError: not sent."""
        if self._captcha is None:
            raise VenueError(
                VenueErrorKind.REFUSED,
                errors.NO_CAPTCHA,
                f"{what} needs a reCAPTCHA token, which proves that a person asks: name"
                " your own provider (options captcha, captcha_command); not sent",
                is_sent=False,
            )
        return await self._captcha.token(what)

    async def create_order(
        self, key_id: str, order: s.NewOrder, captcha: Secret | None = None
    ) -> list[s.Order]:
        """`POST /v1/priv/exchange/order/KEY`: the entry, its targets in order, its stop.

        **It closes the symbol's position and cancels its open orders first** (section 5, 1).
        """
        path = order_path(key_id)
        return await self._change(_orders, "POST", path, order, makes_orders=True, captcha=captcha)

    async def close_position(self, key_id: str, symbol: str, captcha: Secret | None = None) -> None:
        """`DELETE /v1/priv/exchange/position/KEY`: closes it, and cancels all open orders."""
        path, body = position_path(key_id), s.SymbolRequest(symbol=symbol)
        await self._change(
            _nothing, "DELETE", path, body, "cancel", makes_orders=True, captcha=captcha
        )

    async def set_leverage(self, key_id: str, symbol: str, leverage: int) -> None:
        """`PUT /v1/priv/exchange/order/KEY/leverage`, 1 to 125."""
        path = f"{EXCHANGES}/order/{_part(key_id)}/leverage"
        await self._change(
            _nothing, "PUT", path, s.LeverageRequest(symbol=symbol, leverage=leverage)
        )

    async def set_margin_type(self, key_id: str, symbol: str, type_: s.MarginType) -> None:
        """`PUT /v1/priv/exchange/order/KEY/margin`."""
        path = f"{EXCHANGES}/order/{_part(key_id)}/margin"
        await self._change(_nothing, "PUT", path, s.MarginRequest(symbol=symbol, type=type_))

    # -- following a strategy ----------------------------------------------------------------------

    async def follows(self, key_id: str) -> list[s.Follow]:
        """`GET /v1/priv/strategy/follow/exchange/key/KEY`."""
        path = f"{FOLLOWS}/exchange/key/{_part(key_id)}"
        return (await self._get(_follows, path)).items

    async def follow(self, key_id: str, new: s.NewFollow) -> s.Follow:
        """`POST /v1/priv/strategy/follow/exchange/key/KEY`: the gateway trades with the key."""
        path = f"{FOLLOWS}/exchange/key/{_part(key_id)}"
        return await self._change(_follow, "POST", path, new)

    async def update_follow(self, follow_id: str, change: s.FollowChange) -> s.Follow:
        """`PUT /v1/priv/strategy/follow/ID`."""
        return await self._change(_follow, "PUT", f"{FOLLOWS}/{_part(follow_id)}", change)

    # -- sending -----------------------------------------------------------------------------------

    def _require_account_changes(self) -> None:
        if not self._options.allow_account_changes:
            raise AccountChangesDisabled

    async def _get[T](
        self, answer: Answer[T], path: str, query: Mapping[str, str] | None = None
    ) -> T:
        is_private = path.startswith("/v1/priv/")
        budget = PRIVATE if is_private else PUBLIC
        call = Call(path=path, budgets=((budget, 1),), is_signed=is_private, query=query)
        try:
            return await self._ask(answer, call)
        except VenueError as error:
            if not is_private or not self._was_token_refused(error):
                raise
        return await self._ask(answer, call)  # once more, with a token that is read anew

    async def _change[T](
        self,
        answer: Answer[T],
        method: Literal["POST", "PUT", "DELETE"],
        path: str,
        body: object,
        purpose: Purpose = "create",
        *,
        makes_orders: bool = False,
        captcha: Secret | None = None,
    ) -> T:
        """Sent once; without a `captcha` it is asked for first."""
        if captcha is None:
            captcha = await self.permit(f"{method} {path}")
        call = Call(
            method=method,
            path=path,
            budgets=((PRIVATE, 1),),
            purpose=purpose,
            is_signed=True,
            data=Sending(b"" if body is None else s.encoded(body), captcha, makes_orders),
        )
        try:
            return await self._ask(answer, call)
        except VenueError as error:
            self._was_token_refused(error)
            raise

    def _was_token_refused(self, error: VenueError) -> bool:
        if error.code != f"{errors.CODE}-401" or self._tokens is None:
            return False
        self._tokens.forget(self._token)
        return True

    async def _require_key(self, call: Call) -> None:
        await super()._require_key(call)
        assert self._tokens is not None, "a keyed client has tokens"
        self._token = await self._tokens.token()

    def _request(self, call: Call) -> HttpRequest:
        headers: dict[str, str] = {}
        body = b""
        if call.is_signed:
            assert self._token is not None, "a private request has a token"
            word = "Bearer " if self._options.authorization == "bearer" else ""
            headers["Authorization"] = f"{word}{self._token.reveal()}"
        if isinstance(call.data, Sending):
            headers["recaptcha-token-v3"] = call.data.captcha.reveal()
            body = call.data.body
        if body:
            headers["Content-Type"] = "application/json"
        query = f"?{urlencode(call.query)}" if call.query else ""
        return HttpRequest(
            method=call.method,
            url=f"{self._base_url}{call.path}{query}",
            headers=headers,
            body=body,
            timeout_secs=self._timeout_secs,
        )

    def _opened(self, call: Call, response: HttpResponse, wait_secs: float) -> bytes:
        status = response.status
        if 200 <= status < 300:
            return response.body
        sent = call.data if isinstance(call.data, Sending) else None
        raise errors.status_error(
            status,
            response.body,
            wait_secs,
            makes_orders=sent is not None and sent.makes_orders,
            has_captcha=sent is not None,
        )


def order_path(key_id: str) -> str:
    """Raises VenueError, without an id."""
    return f"{EXCHANGES}/order/{_part(key_id)}"


def position_path(key_id: str) -> str:
    """Raises VenueError, without an id."""
    return f"{EXCHANGES}/position/{_part(key_id)}"


def _part(text: str) -> str:
    """An id as one part of a path. Raises VenueError: nothing is sent."""
    if not text:
        raise VenueError(
            VenueErrorKind.REFUSED,
            f"{errors.CODE}-NO-ID",
            "an id is missing (of the exchange key: the option key_id); not sent",
            is_sent=False,
        )
    return quote(text, safe="")


def _span(interval: s.Interval, limit: int) -> dict[str, str]:
    return {"interval": interval, "limit": str(_limited(limit))}


def _paging(start: str, limit: int, next_token: str) -> dict[str, str]:
    query: dict[str, Any] = {"start": start, "limit": str(_limited(limit)), "nextToken": next_token}
    return {name: value for name, value in query.items() if value}


def _limited(limit: int) -> int:
    assert 0 < limit <= MAX_PAGE, f"expected a limit of 1 to {MAX_PAGE}"
    return limit
