"""Names: instrument ids, bar intervals, and the client order ids that go over the wire."""

from __future__ import annotations

import re
from decimal import Decimal

import msgspec

from fairlead.engine.orders.model import TriggerCondition

# Bar length in minutes -> the venue's interval (section 1); MONTH_1 has no fixed length.
INTERVALS: dict[int, str] = {
    1: "MINUTE_1",
    5: "MINUTE_5",
    10: "MINUTE_10",
    15: "MINUTE_15",
    30: "MINUTE_30",
    60: "HOUR_1",
    120: "HOUR_2",
    240: "HOUR_4",
    360: "HOUR_6",
    720: "HOUR_12",
    1440: "DAY_1",
    4320: "DAY_3",
    10080: "WEEK_1",
}
CANDLE_CHANNELS: dict[str, int] = {
    f"candles_{name.lower()}": minutes for minutes, name in INTERVALS.items()
}

SMART = "smart-"  # prefix of venue order ids of smart orders: an id space of their own (trap 18)
MAX_CLIENT_ID = 64
_CLIENT_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SUFFIX = re.compile(r"(?:_(gte|lte))?(?:_r([0-9]{1,8})_f([0-9a-z]{1,16}))?\Z")
_DIGITS36 = "0123456789abcdefghijklmnopqrstuvwxyz"


def instrument_of(symbol: str, venue: str) -> str:
    """`BTC_USDT` -> `BTC_USDT.POLONIEX`."""
    return f"{symbol}.{venue}"


def symbol_of(instrument: str) -> str:
    """`BTC_USDT.POLONIEX` -> `BTC_USDT`."""
    return instrument.rpartition(".")[0]


def candle_channel(minutes: int) -> str:
    """Raises KeyError for a length that the venue has no candles of."""
    return f"candles_{INTERVALS[minutes].lower()}"


def bar_type_text(instrument: str, minutes: int) -> str:
    """NautilusTrader's bar type of a candle channel: last price, aggregated by the venue."""
    for unit, name in ((10080, "WEEK"), (1440, "DAY"), (60, "HOUR"), (1, "MINUTE")):
        if minutes % unit == 0:
            return f"{instrument}-{minutes // unit}-{name}-LAST-EXTERNAL"
    raise AssertionError("unreachable: minutes is an integer")


class WireId(msgspec.Struct, frozen=True, kw_only=True):
    """A client order id as the venue keeps it.

    The venue returns neither the trigger condition of a smart order, nor the link from a
    replacement to what it replaced (sections 6 and 8), so both ride in the client order id, where
    they survive a restart: `ID[_gte|_lte][_rGENERATION_fFILLED]`. `carried` is the quantity that
    was executed before the replacement, in units of the instrument's size increment.
    """

    client_order_id: str
    condition: TriggerCondition | None = None
    generation: str = ""
    carried: int = 0

    def text(self) -> str:
        parts = [self.client_order_id]
        if self.condition is not None:
            parts.append(f"_{self.condition}")
        if self.generation:
            parts.append(f"_r{self.generation}_f{_base36(self.carried)}")
        return "".join(parts)

    def replaced(self, venue_order_id: str, carried: int) -> WireId:
        """The id of what replaces this order: unique, as each venue order is replaced once."""
        generation = venue_order_id.removeprefix(SMART)[-8:]
        return msgspec.structs.replace(self, generation=generation, carried=carried)


def parse_wire_id(text: str) -> WireId:
    """Total: an id that isn't ours has no suffix and comes back as it is."""
    match = _SUFFIX.search(text)
    if match is None or match.start() == 0:
        return WireId(client_order_id=text)
    condition, generation, carried = match.groups()
    return WireId(
        client_order_id=text[: match.start()],
        condition=TriggerCondition(condition) if condition else None,
        generation=generation or "",
        carried=int(carried, 36) if carried else 0,
    )


def client_id_problem(wire: WireId) -> str | None:
    """Why the venue would not keep this id, or None."""
    text = wire.text()
    if not _CLIENT_ID.fullmatch(text):
        return (
            f"expected 1 to {MAX_CLIENT_ID} of A-Z a-z 0-9 _ - with the adapter's suffix, "
            f"received {len(text)} characters"
        )
    if parse_wire_id(text) != wire:
        return "expected an id that does not end like the adapter's own suffixes"
    return None


def units_of(quantity: Decimal, precision: int) -> int:
    """A quantity as a whole number of size increments."""
    return int(quantity.scaleb(precision))


def _base36(value: int) -> str:
    digits = ""
    while value:
        value, rest = divmod(value, 36)
        digits = _DIGITS36[rest] + digits
    return digits or "0"
