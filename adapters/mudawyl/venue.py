"""Mudawyl as an adapter: capabilities, connection checks, and the parts put together."""

from __future__ import annotations

import shutil
from decimal import Decimal

from fairlead.adapters.base.listed import ListedAdapter
from fairlead.adapters.base.venue import (
    AdapterContext,
    AdapterSpec,
    Credential,
    MarketData,
    OptionRefused,
    ParseError,
    VenueError,
    VenueErrorKind,
    VenueInstrument,
)
from fairlead.adapters.mudawyl import instruments as instruments_of
from fairlead.adapters.mudawyl import schemas as s
from fairlead.adapters.mudawyl.commands import COMMANDS
from fairlead.adapters.mudawyl.config import MudawylMarket, MudawylOptions
from fairlead.adapters.mudawyl.errors import CODE, ERROR_CODES
from fairlead.adapters.mudawyl.http import MAX_TARGETS, MudawylHttp
from fairlead.adapters.mudawyl.market_data import MudawylMarketData
from fairlead.adapters.mudawyl.orders import BATCH_MAX, BATCH_QUERY_MAX, MudawylOrders
from fairlead.adapters.mudawyl.symbols import instrument_id
from fairlead.adapters.mudawyl.tokens import CaptchaProvider, captcha_of, reader_of
from fairlead.engine.orders.model import Capabilities, Kind, Tif, VenueOrders

__all__ = ["CAPABILITIES", "ERROR_CODES", "SPEC", "MudawylAdapter"]

NAME = "mudawyl"

CAPABILITIES = Capabilities(
    kinds=frozenset(
        {
            Kind.LIMIT,
            Kind.MARKET,
            Kind.STOP_LIMIT,
            Kind.STOP_MARKET,
            Kind.TRAILING_STOP_MARKET,
        }
    ),
    time_in_force=frozenset({Tif.GTC}),
    clears=True,
    bracket_targets=MAX_TARGETS,
    cancels=False,
    pays_positions=True,
    reports_fills=True,
    batch_submit_max=BATCH_MAX,
    batch_query_max=BATCH_QUERY_MAX,
    public_fees=True,
    ticker=True,
    public_trades=False,
)


class MudawylAdapter(ListedAdapter):
    """One exchange key of an account at the gateway (`Adapter`)."""

    name = NAME
    capabilities = CAPABILITIES
    http: MudawylHttp

    def __init__(self, context: AdapterContext, captcha: CaptchaProvider | None = None) -> None:
        """`captcha` stands in for the provider that the options name."""
        super().__init__(context, CODE)
        options: MudawylOptions = context.options
        self._options = options
        self._leverages: dict[str, Decimal] = {}  # by symbol, as the exchange has them
        self.http = MudawylHttp(
            options,
            context.http,
            reader_of(options, context.secrets),
            captcha or context.person or captcha_of(options),
            context.now_ns,
            context.reads,
        )
        self.market_data: MarketData = MudawylMarketData(self.http, self.instruments)
        self.trading = MudawylOrders(self.http, options, self.instruments)
        self.orders: VenueOrders = self.trading

    @property
    def key_id(self) -> str:
        return self._options.key_id

    def configured(self) -> list[VenueInstrument]:
        """The config's markets, also before it is connected. Raises VenueError."""
        now_ns = self._now_ns()
        try:
            return [
                instruments_of.instrument(
                    market, self.venue, now_ns, self._leverages.get(market.symbol)
                )
                for market in self._options.markets
            ]
        except ParseError as e:
            raise _refused("MARKET", str(e)) from e

    async def connect(self, *, trading: bool) -> None:
        """Take the markets; for trading, prove the key, and set leverage and margin type.

        Raises VenueError: `MUDAWYL-KEY` for a key that can't trade, `MUDAWYL-FOLLOWED` for one that
        a strategy of the gateway's trades with, `MUDAWYL-NO-CAPTCHA` where something is to be set
        and nobody gives a reCAPTCHA token.
        """
        await self.refresh_instruments()
        self._require_named("; the option markets names them")
        if trading:
            await self._prove_key()
            for market in self._options.markets:
                if not self._named or instrument_id(market.symbol, self.venue) in self._named:
                    await self._set_up(market)
            await self.refresh_instruments()

    async def _prove_key(self) -> None:
        keys = {key.id: key for key in await self.http.keys()}
        key = keys.get(self._options.key_id)
        if key is None:
            names = ", ".join(f"{each.id} ({each.name})" for each in keys.values())
            raise _refused("KEY", f"option key_id: no such key; stored are {names or 'none'}")
        if (key.trade_type, key.strategy_type) != ("FUTURES", "MANUAL"):
            kinds = f"{key.trade_type} and {key.strategy_type}"
            raise _refused(
                "KEY", f"expected a key that is FUTURES and MANUAL, {key.name} is {kinds}"
            )
        if not key.active or key.api_key_status != "AUTHORIZED":
            status = f"{key.api_key_status}, active: {key.active}"
            raise _refused("KEY", f"the exchange does not take the key {key.name} ({status})")
        follows = [f.strategy.symbol for f in await self.http.follows(key.id) if f.active]
        if follows:
            text = (
                f"a strategy of the gateway's trades {', '.join(follows)} with the key {key.name}"
            )
            raise _refused("FOLLOWED", f"{text}; end that first")

    async def _set_up(self, market: MudawylMarket) -> None:
        """Set what the config says; leverage that it does not is read: it tells the margin."""
        key = self._options.key_id
        if market.margin_type is not None:
            kind: s.MarginType = market.margin_type
            await self.http.set_margin_type(key, market.symbol, kind)
        if market.leverage is not None:
            await self.http.set_leverage(key, market.symbol, market.leverage)
            return
        row = await self.http.position(key, market.symbol)
        leverage = None if row is None else s.told(row.leverage)
        if leverage is not None and leverage >= 1:
            self._leverages[market.symbol] = leverage

    async def refresh_instruments(self) -> None:
        """The config's markets: nothing tells them. Raises VenueError; then nothing changes."""
        found = self.configured()
        if not found:
            raise _refused("NO-MARKETS", "the gateway tells no markets: name them, option markets")
        self._list({each.id: each for each in found})


def _refused(code: str, text: str) -> VenueError:
    return VenueError(VenueErrorKind.REFUSED, f"{CODE}-{code}", text, is_sent=False)


def refuses(options: MudawylOptions, now_ns: int) -> OptionRefused | None:
    """What `fairlead check` and a start refuse alike: a provider that can give nothing."""
    if options.captcha == "command" and not options.captcha_command:
        text = 'captcha = "command" needs the option captcha_command: what prints a token'
        return OptionRefused(f"{CODE}-PROVIDER", text)
    asked = {"token_command": options.token_command}
    if options.captcha == "command":
        asked["captcha_command"] = options.captcha_command
    for option, command in asked.items():
        if command and shutil.which(command[0]) is None:
            text = f"expected {option} to be a program that can be run, received {command[0]!r}"
            return OptionRefused(f"{CODE}-PROVIDER", text)
    return None


def notes(options: MudawylOptions) -> tuple[str, ...]:
    """What such options mean for who trades."""
    if options.captcha != "none":
        return ()
    return (
        'captcha = "none": no order can be sent, cancelled or closed, since each change needs a '
        'reCAPTCHA token of a person; "prompt" asks one, "command" runs captcha_command',
    )


SPEC = AdapterSpec(
    name=NAME,
    options=MudawylOptions,
    credentials=(Credential("token", required=False),),
    capabilities=CAPABILITIES,
    create=MudawylAdapter,
    commands=COMMANDS,
    refuses=refuses,
    notes=notes,
)
