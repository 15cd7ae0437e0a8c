"""What the handlers of the simulated Zerocap work on: `ZerocapState`."""

from __future__ import annotations

import hashlib
import hmac
from decimal import Decimal
from random import Random
from typing import Literal, Unpack
from uuid import UUID

import msgspec

from fairlead.adapters.simulation.exchange import ExchangeOptions
from fairlead.adapters.simulation.market import SECOND_NS
from fairlead.adapters.simulation.numbers import natural
from fairlead.adapters.simulation.orders import NewOrder, Refusal, SimOrder, Status
from fairlead.adapters.simulation.routes import ApiError, RateWindows
from fairlead.adapters.simulation.shell import SimState, Start
from fairlead.adapters.zerocap.config import Dialect
from fairlead.adapters.zerocap.ladder import Tier, levels
from fairlead.adapters.zerocap.simulator_markets import SimMarket, ZerocapSimOptions, ladder
from fairlead.engine.orders.model import Side, Tif

ACCOUNT = "main"


class Deal(msgspec.Struct, kw_only=True):
    """An order as the venue keeps it: done whole, or rejected. `price` is what was asked for."""

    id: str
    client_order_id: str
    symbol: str
    side: Side
    type: Literal["limit", "market"]
    price: Decimal
    amount: Decimal
    ts_ns: int
    status: Literal["closed", "rejected"]
    average: Decimal = Decimal(0)
    trade_id: str = ""
    order_number: int | None = None  # in the ledger; None: it never got there
    error: str = ""

    @property
    def filled(self) -> Decimal:
        return self.amount if self.status == "closed" else Decimal(0)


class FirmQuote(msgspec.Struct, kw_only=True):
    id: str
    symbol: str
    side: Side
    amount: Decimal
    price: Decimal
    expires_ns: int
    is_used: bool = False


class Transaction(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    asset: str
    amount: Decimal
    type: str
    source: str
    target: str
    note: str
    ts_ns: int


class ZerocapState(SimState[ZerocapSimOptions]):
    """The dealer's orders and quotes, the account's key, and who may ask."""

    def __init__(self, options: ZerocapSimOptions | None = None, **start: Unpack[Start]) -> None:
        options = options or ZerocapSimOptions()
        listed = [(market.spec, market.start_price) for market in options.markets]
        super().__init__(options, ACCOUNT, listed, ExchangeOptions(), **start)
        self.markets = {market.symbol: market for market in options.markets}
        self.limits = RateWindows(SECOND_NS)
        self.deals: dict[str, Deal] = {}  # by id, oldest first
        self.told: list[Deal] = []  # what the sockets are still to tell
        self.quotes: dict[str, FirmQuote] = {}
        self.transactions: list[Transaction] = []
        self.custody = dict(options.custody)
        self.is_price_up = True
        self._ids = Random(f"{self.seed}/{start.get('ids_from', 0)}")  # noqa: S311 - simulation

    def new_id(self) -> str:
        return str(UUID(int=self._ids.getrandbits(128), version=4))

    def ledger_id(self, venue_order_id: str) -> int:
        deal = self.deals.get(venue_order_id)
        if deal is None:
            raise ValueError(f"no order {venue_order_id[:60]}")
        return deal.order_number or 0

    def told_book(self, market: str) -> tuple[dict[Decimal, Decimal], dict[Decimal, Decimal]]:
        """The tiers as a book, rounded against the client as the market's precisions are."""
        spec = self.markets[market]
        bids, asks = self.ladders(spec)
        precisions = spec.price_precision, spec.quantity_precision
        return (
            {Decimal(p): Decimal(q) for p, q in levels(bids, Side.BUY, *precisions)},
            {Decimal(p): Decimal(q) for p, q in levels(asks, Side.SELL, *precisions)},
        )

    def trade_by_hand(self, new: NewOrder, now_ns: int) -> SimOrder | None:
        assert new.quantity is not None, "people deal in base units"
        number = self.deal_by_hand(new.market, new.side, new.quantity).order_number
        return None if number is None else self.exchange.order(self.account, number)

    def deal_by_hand(self, symbol: str, side: Side, amount: Decimal) -> Deal:
        """Of another client of the account, without an id of its own, at the market."""
        asked = Deal(
            id=self.new_id(),
            client_order_id="",
            symbol=symbol,
            side=side,
            type="market",
            price=Decimal(0),
            amount=amount,
            ts_ns=self.exchange.now_ns // SECOND_NS * SECOND_NS,
            status="rejected",
        )
        market = self.markets[symbol]
        self.deal(asked, market, self.price_of(market, side, amount), is_quoted=False)
        return asked

    # -- who asks --------------------------------------------------------------------------------

    def signature(self, message: str) -> str:
        secret = self.options.api_secret.encode()
        return hmac.new(secret, message.encode(), hashlib.sha256).hexdigest()

    def authenticated(
        self, key: str, signature: str, timestamp: str | None, remote: str
    ) -> Dialect:
        """The dialect in which the caller may go on. Raises ApiError with the document's words."""
        options = self.options
        dialect: Dialect = "A" if timestamp is None else "C"
        if dialect not in options.dialects or key != options.api_key or not signature:
            raise ApiError(401, "Unauthorized.")
        stamp = natural(timestamp)
        if timestamp is not None and stamp is None:
            raise ApiError(401, "invalid timestamp")
        message = options.api_key if timestamp is None else timestamp
        if not hmac.compare_digest(self.signature(message), signature):
            raise ApiError(401, "encryption check is fail")
        if options.allowed_ips and remote not in options.allowed_ips:
            raise ApiError(401, "Unauthorized IP address.")
        if stamp is not None:
            skew = abs(stamp - self.exchange.now_ns // SECOND_NS)
            if skew > options.clock_tolerance_secs:
                raise ApiError(408, f"timestamp is {skew} s off")
        return dialect

    # -- the dealer ------------------------------------------------------------------------------

    def ladders(self, market: SimMarket) -> tuple[tuple[Tier, ...], tuple[Tier, ...]]:
        """What a client's sells get, and what its buys cost."""
        book, margin = self.exchange.markets[market.symbol].book, self.options.margin_bps
        return ladder(book.bids, market, margin), ladder(book.asks, market, margin)

    def price_of(self, market: SimMarket, side: Side, amount: Decimal) -> Decimal | None:
        """The first tier that covers the amount."""
        bids, asks = self.ladders(market)
        tiers = asks if side is Side.BUY else bids
        return next((tier.price for tier in tiers if tier.size >= amount), None)

    def deal(
        self, asked: Deal, market: SimMarket | None, price: Decimal | None, *, is_quoted: bool
    ) -> None:
        """Fill what was asked for whole at the dealer's `price`, or reject it; it is kept.

        The price of a quote that is accepted has more decimals than a limit may have.
        """
        self.deals[asked.id] = asked
        self.told.append(asked)
        asked.error = self._objection(asked, market)
        if price is None and asked.type == "market":
            asked.error = asked.error or "no price for the amount"
        if asked.error:
            return
        limit = None if is_quoted or asked.type == "market" else asked.price
        new = NewOrder(
            market=asked.symbol,
            side=asked.side,
            quantity=asked.amount,
            price=limit,
            time_in_force=Tif.FOK,
            # The venue's own: that the client's is unique is not documented.
            client_order_id=asked.id,
        )
        done = self.exchange.deal(ACCOUNT, new, price, self.exchange.now_ns)
        if isinstance(done, Refusal):
            asked.error = done.message
            return
        asked.order_number = done.id
        self._settle(asked, done)

    def _settle(self, asked: Deal, done: SimOrder) -> None:
        if done.status is not Status.FILLED:
            asked.error = "order can not be filled at the price"
            return
        assert done.avg_price is not None
        asked.status, asked.average, asked.trade_id = "closed", done.avg_price, self.new_id()

    @staticmethod
    def _objection(asked: Deal, market: SimMarket | None) -> str:
        if market is None or not market.is_tradable:
            return f"{asked.symbol} is not tradable"
        if not market.min_quantity <= asked.amount <= market.max_quantity:
            return f"amount is not within {market.min_quantity} and {market.max_quantity}"
        return ""
