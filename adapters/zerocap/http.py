"""Every REST endpoint of the venue's document, typed, one method each (section 3).

Each method raises VenueError, whose kind says what the failure proves about this request. What the
configured dialect does not have is refused before it is sent.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Literal
from urllib.parse import urlencode

import msgspec

from fairlead.adapters.base.clock import VenueClock
from fairlead.adapters.base.decode import Answer
from fairlead.adapters.base.http import Call, Purpose, VenueHttp
from fairlead.adapters.base.limits import READ_LIMITS, ReadLimits
from fairlead.adapters.base.ratelimit import Rate, RateLimiter
from fairlead.adapters.base.transport import HttpRequest, HttpResponse, HttpTransport
from fairlead.adapters.base.venue import ParseError, VenueError, VenueErrorKind
from fairlead.adapters.zerocap import errors, parse
from fairlead.adapters.zerocap import schemas as s
from fairlead.adapters.zerocap.config import Dialect, ZerocapOptions
from fairlead.adapters.zerocap.signing import Signer

MAX_PAGE = 500
CLOCK_TOLERANCE_NS = 30 * 1_000_000_000
BOTH: tuple[Dialect, ...] = ("A", "C")
TODAY: tuple[Dialect, ...] = ("C",)
_JSON = {"Content-Type": "application/json"}

# Each endpoint is counted alone.
PATHS = (
    *("/orders/api_key_signature_valid", "/orders/create_order", "/orders/fetch_order"),
    *("/orders/fetch_orders", "/orders/get_instruments", "/orders/get_balances"),
    *("/orders/request_for_quote", "/orders/request_for_firm_quote", "/orders/accept_quote"),
    *("/orders/get_risk", "/orders/get_transfers", "/systems/get_time"),
    *("/accounts/get_external_wallets", "/accounts/initiate_withdrawal"),
    "/accounts/initiate_transfer",
)

_proof = parse.Reader(s.KeyProof)
_order = parse.Reader(s.OrderRow)
_page = parse.Reader(s.OrderPage)
_instruments = parse.Reader(s.Instruments)
_balances = parse.BalancesReader()
_quote = parse.Reader(s.Quote)
_firm_quote = parse.Reader(s.FirmQuote)
_risk = parse.Reader(s.Risk)
_transactions = parse.Reader(s.Transactions)
_time = parse.Reader(s.ServerTime)
_wallets = parse.Reader(s.ExternalWallets)
_moved = parse.Reader(s.Moved)

SideText = Literal["buy", "sell"]


class WithdrawalsDisabled(VenueError):
    """The config doesn't allow funds to be moved; nothing was sent."""

    def __init__(self) -> None:
        super().__init__(
            VenueErrorKind.REFUSED,
            f"{errors.CODE}-WITHDRAWALS-DISABLED",
            "transfers and withdrawals are off; the option allow_withdrawals turns them on",
            is_sent=False,
        )


class NewOrder(msgspec.Struct, frozen=True, kw_only=True):
    """The body of `create_order`: all text, `price` "0" for a market order."""

    symbol: str
    side: SideText
    type: Literal["limit", "market"]
    amount: str
    price: str
    client_order_id: str


class ZerocapHttp(VenueHttp):
    """The venue's REST API over one transport; all but the time needs a signer."""

    def __init__(
        self,
        options: ZerocapOptions,
        transport: HttpTransport,
        make_signer: Callable[[Callable[[], int]], Signer | None] = lambda now_ns: None,
        limiter: RateLimiter | None = None,
        now_ns: Callable[[], int] = time.time_ns,
        reads: ReadLimits = READ_LIMITS,
    ) -> None:
        """`make_signer` gets the venue's clock, as far as it is known."""
        self._options = options
        self.clock = VenueClock(
            self._server_ns,
            code=errors.CODE,
            now_ns=now_ns,
            resolution_ns=parse.NS_PER_SEC,
            tolerance_ns=CLOCK_TOLERANCE_NS,
        )
        self.signer = make_signer(self.clock.now_ns)
        rate = Rate(options.requests_per_sec, 1.0)
        limits = dict.fromkeys(PATHS, rate)
        super().__init__(
            code=errors.CODE,
            base_url=options.http_url,
            transport=transport,
            limiter=limiter or RateLimiter(limits, options.rate_reserve, options.rate_wait_secs),
            now_ns=now_ns,
            timeout_secs=options.request_timeout_secs,
            is_keyed=self.signer is not None,
            reads=reads,
            clock=self.clock if options.dialect == "C" else None,  # A signs no time
        )

    # -- key and clock -----------------------------------------------------------------------------

    async def verify_key(self) -> None:
        """`POST /orders/api_key_signature_valid`, dialect A. Raises VenueError (AUTH) for 401."""
        if self.signer is None:
            raise self._keyless("/orders/api_key_signature_valid")
        answer = await self._post(
            _proof, "/orders/api_key_signature_valid", self.signer.proof(), ("A",), is_signed=False
        )
        if answer.status_code != 200:
            raise errors.code_error(answer.status_code, "the venue does not know key or signature")

    async def server_time(self) -> int:
        """`GET /systems/get_time`, dialect C: epoch seconds; asked for without a key."""
        return (await self._get(_time, "/systems/get_time", {}, is_signed=False)).server_time

    # -- orders ------------------------------------------------------------------------------------

    async def create_order(self, order: NewOrder) -> s.OrderRow:
        """`POST /orders/create_order`: done when it answers, or rejected; sent once."""
        data = msgspec.to_builtins(order)
        return await self._post(_order, "/orders/create_order", data, purpose="create")

    async def fetch_order(self, order_id: str) -> s.OrderRow | None:
        """`/orders/fetch_order`: POST and a list in dialect A, GET and flat in C. None: no such."""
        path, data = "/orders/fetch_order", {"id": order_id}
        if self._options.dialect == "C":
            return await self._get(_order, path, data)
        rows = (await self._post(_page, path, data)).order_list
        return rows[0] if rows else None

    @property
    def first_page(self) -> int:
        """How the dialect's document counts pages (section 3)."""
        return 0 if self._options.dialect == "A" else 1

    async def fetch_orders(
        self,
        *,
        start_ms: int = 0,
        end_ms: int = 0,
        symbol: str = "",
        page: int | None = None,
        limit: int = MAX_PAGE,
        ids: str = "",
        status: str = "",
        sort_order: Literal["", "asc", "desc"] = "desc",
        order_type: str = "",
        side: Literal["", "buy", "sell"] = "",
    ) -> s.OrderPage:
        """`POST /orders/fetch_orders`: created from `start_ms` to before `end_ms`; 0 is no bound.

        `page` None is the first: 0 in dialect A, 1 in C. `ids` are joined by commas.
        `total` of the answer counts the orders of all pages.
        """
        data = {
            "symbol": symbol,
            "start_datetime": start_ms,
            "end_datetime": end_ms,
            "page": self.first_page if page is None else page,
            "ids": ids,
            "status": status,
            "sort_order": sort_order,
            "order_type": order_type,
            "side": side,
            "limit": limit,
        }
        return await self._post(_page, "/orders/fetch_orders", data)

    # -- quotes, dialect C -------------------------------------------------------------------------

    async def request_for_quote(
        self,
        symbol: str,
        side: SideText,
        amount: Decimal,
        *,
        currency: str = "",
        client_order_id: str = "",
    ) -> s.Quote:
        """`POST /orders/request_for_quote`: an indicative price, which can't be accepted."""
        data = _quoting(symbol, side, amount, currency, client_order_id)
        return await self._post(_quote, "/orders/request_for_quote", data, TODAY)

    async def request_for_firm_quote(
        self,
        symbol: str,
        side: SideText,
        amount: Decimal,
        *,
        currency: str = "",
        client_order_id: str = "",
    ) -> s.FirmQuote:
        """`POST /orders/request_for_firm_quote`: a price that holds until `expires_at`.

        Sent once: the venue stands to each quote that it gives.
        """
        data = _quoting(symbol, side, amount, currency, client_order_id)
        path = "/orders/request_for_firm_quote"
        return await self._post(_firm_quote, path, data, TODAY, purpose="create")

    async def accept_quote(self, quote_id: str, client_order_id: str = "") -> s.OrderRow:
        """`POST /orders/accept_quote`: a fill-or-kill order at the quote's price; sent once."""
        data = {"quote_id": quote_id, "client_order_id": client_order_id}
        return await self._post(_order, "/orders/accept_quote", data, TODAY, purpose="create")

    # -- account, dialect C ------------------------------------------------------------------------

    async def instruments(self) -> s.Instruments:
        """`GET /orders/get_instruments`."""
        return await self._get(_instruments, "/orders/get_instruments", {})

    async def balances(self) -> s.Balances:
        """`GET /orders/get_balances`."""
        return await self._get(_balances, "/orders/get_balances", {})

    async def risk(self) -> s.Risk:
        """`GET /orders/get_risk`."""
        return await self._get(_risk, "/orders/get_risk", {})

    async def transfers(
        self,
        *,
        start_ms: int = 0,
        end_ms: int = 0,
        asset_id: str = "",
        type_: str = "",
        page: int = 1,
        limit: int = 20,
        sort_order: Literal["asc", "desc"] = "desc",
    ) -> s.Transactions:
        """`POST /orders/get_transfers`; `asset_id` and `type_` are lists joined by commas."""
        data = {
            "start_datetime": start_ms,
            "end_datetime": end_ms,
            "asset_id": asset_id,
            "type": type_,
            "page": page,
            "limit": limit,
            "sort_order": sort_order,
        }
        return await self._post(_transactions, "/orders/get_transfers", data, TODAY)

    async def external_wallets(self) -> s.ExternalWallets:
        """`GET /accounts/get_external_wallets`. Raises WithdrawalsDisabled."""
        self._require_withdrawals()
        return await self._get(_wallets, "/accounts/get_external_wallets", {})

    async def withdraw(
        self,
        asset_id: str,
        amount: Decimal,
        external_wallet_id: str,
        from_account: Literal["trading", "custody"],
        note: str = "",
    ) -> s.Moved:
        """`POST /accounts/initiate_withdrawal`; not idempotent. Raises WithdrawalsDisabled."""
        self._require_withdrawals()
        data = {
            "asset_id": asset_id,
            "amount": f"{amount:f}",
            "note": note,
            "external_wallet_id": external_wallet_id,
            "from_account": from_account,
        }
        path = "/accounts/initiate_withdrawal"
        return await self._post(_moved, path, data, TODAY, purpose="create")

    async def transfer(
        self,
        asset_id: str,
        amount: Decimal,
        from_account: Literal["trading", "custody"],
        note: str = "",
    ) -> s.Moved:
        """`POST /accounts/initiate_transfer`: to the other one of trading and custody.

        Not idempotent. Raises WithdrawalsDisabled.
        """
        self._require_withdrawals()
        data = {
            "asset_id": asset_id,
            "amount": f"{amount:f}",
            "note": note,
            "from_account": from_account,
        }
        path = "/accounts/initiate_transfer"
        return await self._post(_moved, path, data, TODAY, purpose="create")

    def _require_withdrawals(self) -> None:
        if not self._options.allow_withdrawals:
            raise WithdrawalsDisabled

    # -- sending -----------------------------------------------------------------------------------

    async def _server_ns(self) -> int:
        return await self.server_time() * parse.NS_PER_SEC

    async def _get[T](
        self, answer: Answer[T], path: str, query: Mapping[str, str], *, is_signed: bool = True
    ) -> T:
        self._require_dialect(path, TODAY)
        call = Call(path=path, budgets=((path, 1),), is_signed=is_signed, query=query)
        return await self._ask(answer, call)

    async def _post[T](
        self,
        answer: Answer[T],
        path: str,
        data: Mapping[str, Any],
        dialects: tuple[Dialect, ...] = BOTH,
        *,
        purpose: Purpose = "read",
        is_signed: bool = True,
    ) -> T:
        self._require_dialect(path, dialects)
        call = Call(
            method="POST",
            path=path,
            budgets=((path, 1),),
            purpose=purpose,
            is_signed=is_signed,
            data=data,
        )
        return await self._ask(answer, call)

    def _require_dialect(self, path: str, dialects: tuple[Dialect, ...]) -> None:
        if self._options.dialect not in dialects:
            raise VenueError(
                VenueErrorKind.REFUSED,
                f"{errors.CODE}-DIALECT",
                f"dialect {self._options.dialect} has no {path}; not sent",
                is_sent=False,
            )

    def _keyless(self, path: str) -> VenueError:
        text = f"{path} needs credentials; this adapter was made without"
        return VenueError(VenueErrorKind.AUTH, f"{errors.CODE}-NO-KEY", text, is_sent=False)

    def _request(self, call: Call) -> HttpRequest:
        headers: dict[str, str] = {}
        if call.is_signed:
            assert self.signer is not None, "a signed request has a key"
            headers = self.signer.headers()
        if call.purpose == "create" and self._options.dialect == "A":
            headers["customer-id"] = self._options.customer_id
        query = f"?{urlencode(call.query)}" if call.query else ""
        body = b"" if call.data is None else msgspec.json.encode(call.data)
        return HttpRequest(
            method=call.method,
            url=f"{self._base_url}{call.path}{query}",
            headers=headers | (_JSON if body else {}),
            body=body,
            timeout_secs=self._timeout_secs,
        )

    def _opened(self, call: Call, response: HttpResponse, wait_secs: float) -> bytes:
        """The body of a 200, which is no success where it holds an error's code."""
        if response.status != 200:
            raise errors.status_error(response.status, response.body, wait_secs)
        if not response.body:
            raise ParseError("answer", "expected a body, received none")
        if b"error_code" in response.body[:4096]:
            code, message = errors.described(response.body)
            if code is not None:
                raise errors.code_error(code, message, wait_secs)
        return response.body


def _quoting(
    symbol: str, side: SideText, amount: Decimal, currency: str, client_order_id: str
) -> dict[str, str]:
    return {
        "symbol": symbol,
        "side": side,
        "amount": f"{amount:f}",
        "currency": currency,
        "client_order_id": client_order_id,
    }
