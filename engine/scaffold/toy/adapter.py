"""The adapter of Toy: what the venue says, in the words of fairlead, and nothing more."""

import hashlib
import hmac
from collections.abc import Iterator, Mapping

import msgspec

from fairlead import venues as fl

CAPABILITIES = fl.Capabilities(
    kinds=frozenset({fl.Kind.LIMIT, fl.Kind.MARKET}),
    time_in_force=frozenset({fl.Tif.GTC, fl.Tif.IOC}),
    post_only=True,
    client_order_ids=True,
    reports_fills=True,
    public_fees=True,
)
STATES = {
    "open": fl.OrderState.OPEN,
    "cancelling": fl.OrderState.CANCELLING,
    "filled": fl.OrderState.FILLED,
    "canceled": fl.OrderState.CANCELED,
}
_, MARKETS = fl.decoders(fl.MarketRow, symbol="id", min_quantity="min_size")
ORDER, ORDERS = fl.decoders(
    fl.OrderRow, venue_order_id="id", client_order_id="client_id", quantity="size"
)
TRADE, FILLS = fl.decoders(fl.FillRow, trade_id="id", quantity="size")
BALANCES, TIME = fl.Answer(list[fl.VenueBalance]), fl.Answer(int)


class Options(fl.KitOptions, frozen=True, kw_only=True):
    http_url: str = "https://toy.example"
    ws_url: str = "wss://toy.example/stream"


class Frame(msgspec.Struct):
    market: str
    ms: int
    bids: list[tuple[str, str]] = []
    asks: list[tuple[str, str]] = []
    trade: msgspec.Raw = msgspec.Raw()


FRAME = fl.Answer(Frame)


class Http(fl.JsonHttp):
    async def server_ns(self) -> int:
        return fl.ns_of(await self.ask(TIME, "/time", is_signed=False))

    def headers(self, method: str, target: str, body: bytes) -> Mapping[str, str]:
        at = str(self.clock.now_ns() // fl.MS)
        secret = self.secrets["secret"].reveal().encode()
        sign = hmac.new(secret, f"{at}{method}{target}".encode() + body, hashlib.sha256)
        return {"x-key": self.secrets["key"].reveal(), "x-time": at, "x-sign": sign.hexdigest()}


class Orders(fl.KitOrders[Http]):
    async def create(self, intent: fl.Intent, market: fl.VenueInstrument) -> fl.VenueOrder:
        data = {
            "client_id": intent.sent_id,
            "market": market.symbol,
            "side": intent.side,
            "price": intent.price,
            "size": intent.quantity,
            "tif": intent.time_in_force,
            "post_only": intent.post_only,
        }
        row = await self.http.ask(ORDER, "/orders", method="POST", data=data, purpose="create")
        return row.order(market, STATES)

    async def end(self, ref: fl.OrderRef, market: fl.VenueInstrument) -> None:
        path = f"/orders/{ref.client_order_id}"
        await self.http.ask(ORDER, path, method="DELETE", purpose="cancel")

    async def look(self, ref: fl.OrderRef, market: fl.VenueInstrument) -> fl.VenueOrder:
        row = await self.http.ask(ORDER, f"/orders/{ref.client_order_id}")
        return row.order(market, STATES)

    async def listed(self, market: fl.VenueInstrument) -> list[fl.VenueOrder]:
        rows = await self.http.ask(ORDERS, "/orders", query={"market": market.symbol})
        return [row.order(market, STATES) for row in rows]

    async def executions(self, ref: fl.OrderRef, market: fl.VenueInstrument) -> list[fl.VenueFill]:
        rows = await self.http.ask(FILLS, f"/orders/{ref.client_order_id}/fills")
        return [row.fill(ref, market) for row in rows]

    async def purse(self) -> list[fl.VenueBalance]:
        return await self.http.ask(BALANCES, "/balances")


class Stream(fl.KitStream):
    def command(self, feed: fl.Feed, symbol: str, *, is_wanted: bool) -> str:
        if feed.kind not in (fl.FeedKind.BOOK, fl.FeedKind.TRADES):
            raise fl.VenueError(fl.VenueErrorKind.REFUSED, "TOY-NO-FEED", f"no {feed.kind}")
        told = {"topic": f"{feed.kind}:{symbol}", "wanted": is_wanted}
        return msgspec.json.encode(told).decode()

    def news(self, frame: bytes | str) -> Iterator[fl.News]:
        told = FRAME(frame)
        if not bytes(told.trade):
            yield fl.BookNews(told.market, told.bids, told.asks, fl.ns_of(told.ms))
        else:
            yield TRADE(told.trade).trade(told.market)


class Adapter(fl.KitAdapter[Http]):
    name, capabilities, rate = "toy", CAPABILITIES, fl.Rate(40, 1.0)
    parts = Http, Orders, Stream

    async def markets(self) -> list[fl.VenueInstrument]:
        rows = await self.http.ask(MARKETS, "/markets", is_signed=False)
        return [row.instrument(self.venue, self.context.now_ns()) for row in rows]


SPEC = fl.AdapterSpec(
    name="toy",
    options=Options,
    credentials=(fl.Credential("key"), fl.Credential("secret")),
    capabilities=CAPABILITIES,
    create=Adapter,
)
