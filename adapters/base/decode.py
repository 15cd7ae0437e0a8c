"""JSON of a venue to typed values, within bounds. Pure: any bytes give a value or `ParseError`."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import msgspec

from fairlead.adapters.base.venue import ParseError

MAX_BODY_BYTES = 32 * 1024 * 1024
MAX_EXPONENT = 40
MAX_DETAIL_CHARS = 300
# How a number may be written in a text: ASCII digits, as in JSON but for leading zeros. `Decimal`
# takes more: 1_0, " 1", +1, digits of other scripts. That is no venue's way to write money, and may
# be a number that was damaged: 1_1.5 is not 11.5.
_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]{1,4})?")
# A text that may be such a number: only then is the payload read a second time, as it is written.
_SUSPECT = re.compile(rb'"[-+0-9._eE\s]*[+_\s\\\x80-\xff]')
MISREAD = (msgspec.MsgspecError, ValueError, ArithmeticError, RecursionError, TypeError)


class Answer[T]:
    """A decoder of one type, lax about numbers written as text.

    It is built at its first use: building all costs a tenth of a kill's time to its first cancel.
    """

    def __init__(self, type_: type[T]) -> None:
        self._type = type_
        self._decoder: msgspec.json.Decoder[T] | None = None

    def __call__(self, data: bytes | str | msgspec.Raw) -> T:
        """Raises ParseError, for numbers that can't be money too."""
        decoder = self._decoder
        if decoder is None:
            decoder = self._decoder = msgspec.json.Decoder(self._type, strict=False)
        try:
            value = decoder.decode(data)
            check_numbers(value, data)
            _check_decimals(value)
        except MISREAD as error:
            name = getattr(self._type, "__name__", str(self._type))
            raise ParseError(name, bounded(str(error))) from error
        return value


def bounded(text: str, chars: int = MAX_DETAIL_CHARS) -> str:
    """`text` on one line, at most `chars` long."""
    return " ".join(text.split())[:chars]


def check_numbers(value: Any, data: bytes | str | msgspec.Raw) -> None:
    """Refuse (ValueError) numbers of a decoded payload that its text writes in another way."""
    raw = data.encode() if isinstance(data, str) else bytes(data)
    if _SUSPECT.search(raw) is not None:
        check_written(value, msgspec.json.decode(raw))


def check_written(value: Any, written: Any) -> None:
    """`check_numbers` of a value and the untyped JSON that it was converted from."""
    if isinstance(written, str):
        if isinstance(value, Decimal | int | float) and _NUMBER.fullmatch(written) is None:
            raise ValueError(f"expected a number, received {written[:40]!r}")
    elif isinstance(written, list):
        items = value
        if isinstance(value, msgspec.Struct):  # of those that are arrays
            items = [getattr(value, name) for name in value.__struct_fields__]
        if isinstance(items, list | tuple):
            for item, part in zip(items, written, strict=False):
                check_written(item, part)
    elif isinstance(written, dict) and isinstance(value, msgspec.Struct):
        names = zip(value.__struct_fields__, value.__struct_encode_fields__, strict=True)
        for name, told in names:
            if told in written:
                check_written(getattr(value, name), written[told])
    elif isinstance(written, dict) and isinstance(value, dict):
        for name, part in written.items():
            check_written(value.get(name), part)


def not_negative(value: Decimal, where: str) -> Decimal:
    """`value` if it is 0 or more, else raises ParseError: what is held, or filled."""
    if not value >= 0:
        raise ParseError(where, f"expected 0 or more, received {str(value)[:40]}")
    return value


def above_zero(value: Decimal, where: str) -> Decimal:
    """`value` if it is above 0, else raises ParseError: what is bought, and its price."""
    if not value > 0:
        raise ParseError(where, f"expected more than 0, received {str(value)[:40]}")
    return value


def _check_decimals(value: Any) -> None:
    """Refuse NaN, infinities and absurd exponents anywhere in a decoded payload."""
    if isinstance(value, (list, tuple)):
        for item in value:
            _check_decimals(item)
    elif isinstance(value, dict):
        for item in value.values():
            _check_decimals(item)
    elif isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            field = getattr(value, name)
            if isinstance(field, (Decimal, list, tuple, dict, msgspec.Struct)):
                _check_decimals(field)
    elif isinstance(value, Decimal) and (
        not value.is_finite() or abs(value.adjusted()) > MAX_EXPONENT
    ):
        raise ValueError(f"expected a finite decimal, received {str(value)[:40]}")
