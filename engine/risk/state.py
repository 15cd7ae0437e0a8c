"""What the gate remembers of an account across restarts: halt, losses, counters, in a JSON file."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import msgspec

from fairlead.engine.files import make_folder, write_whole


class Halt(msgspec.Struct, frozen=True, kw_only=True):
    """A refusal of everything, until a person clears it. `ts_ns` is when it began.

    `code` is the check whose limit was broken, empty for a halt from elsewhere.
    """

    reason: str
    ts_ns: int
    code: str = ""


class Counter(msgspec.Struct, kw_only=True):
    """One check over its lifetime. `nearest` is the largest fraction of the limit used."""

    evaluated: int = 0
    refused: int = 0
    nearest: float = 0.0


class DayFlow(msgspec.Struct, kw_only=True):
    """Orders of one venue on one UTC day (days since 1970): approved, cancelled, with a fill."""

    day: int = 0
    orders: int = 0
    cancels: int = 0
    fills: int = 0


class Held(msgspec.Struct, kw_only=True):
    """A position as it was last valued: signed base units, and the price of it."""

    quantity: Decimal
    mark: Decimal
    currency: str
    multiplier: Decimal = Decimal(1)
    inverse: bool = False


class CurrencyEquity(msgspec.Struct, kw_only=True):
    """The result in one currency since the file began, fees counted.

    `cash` is what fills paid and received; with the positions' worth it is the equity. `day_start`
    is the equity at the start of the UTC day `day` (days since 1970), `peak` the highest.
    """

    cash: Decimal = Decimal(0)
    day: int = 0
    day_start: Decimal = Decimal(0)
    peak: Decimal = Decimal(0)


class Trip(msgspec.Struct, kw_only=True):
    """A round trip that is under way: signed base units, and the money paid and received.

    `known` is False when its beginning was not seen; its result does not count. `is_open`: more
    was held than is flat; until then it is what a trip before has left.
    """

    quantity: Decimal = Decimal(0)
    cash: Decimal = Decimal(0)
    known: bool = True
    is_open: bool = False


class Counted(msgspec.Struct, kw_only=True):
    """Which executions of the account's journal are in the results: all up to the record `seq`,
    which has this CRC-32, and of each order so much more, base units by client order id.
    """

    seq: int = 0
    crc: int = 0
    more: dict[str, Decimal] = {}


class RiskState(msgspec.Struct, kw_only=True):
    """The file's content. `counters` are by denial code, `flow` by venue, `equity` by currency,
    `held` by instrument, `trips` by strategy and instrument; `losses` are the ends of losing round
    trips by strategy and `cooldowns` the ends of pauses, both ns. `counted` is None where no run
    has kept it.
    """

    version: int = 1
    halt: Halt | None = None
    counters: dict[str, Counter] = {}
    flow: dict[str, DayFlow] = {}
    equity: dict[str, CurrencyEquity] = {}
    held: dict[str, Held] = {}
    trips: dict[str, dict[str, Trip]] = {}
    losses: dict[str, list[int]] = {}
    cooldowns: dict[str, int] = {}
    counted: Counted | None = None


class RiskStateError(Exception):
    """The state file can't be read or written; no order may be created without it."""


class RiskStateFile:
    """Reads and replaces the file whole, so that a crash leaves the old or the new one."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def load(self) -> RiskState:
        """The state, fresh when there is no file. Raises RiskStateError."""
        try:
            raw = self.path.read_bytes()
        except FileNotFoundError:
            return RiskState()
        except OSError as error:
            raise RiskStateError(f"{self.path}: can't be read ({error.strerror})") from error
        try:
            state = msgspec.json.decode(raw, type=RiskState)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise RiskStateError(
                f"{self.path}: expected the gate's state as JSON ({error}); look whether a halt "
                "was in force, then move the file away"
            ) from error
        if state.version != 1:
            raise RiskStateError(
                f"{self.path}: expected version 1, {state.version} came; "
                "it was written by another version of this program"
            )
        return state

    def write(self, content: bytes) -> None:
        """An encoded state, written whole over the old one. Raises RiskStateError."""
        try:
            make_folder(self.path.parent)
            temporary = self.path.with_name(self.path.name + ".new")
            write_whole(self.path, content, temporary=temporary)
        except OSError as error:
            raise RiskStateError(f"{self.path}: can't be written ({error.strerror})") from error


def encoded(state: RiskState) -> bytes:
    """The file's bytes."""
    return msgspec.json.format(msgspec.json.encode(state), indent=2)
