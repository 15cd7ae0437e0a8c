"""JSON of a venue to typed values, within bounds. Pure: any bytes give a value or `ParseError`."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from fairlead.adapters.base.venue import ParseError

MAX_BODY_BYTES = 32 * 1024 * 1024
MAX_EXPONENT = 40
MAX_DETAIL_CHARS = 300
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
            _check_decimals(value)
        except MISREAD as error:
            name = getattr(self._type, "__name__", str(self._type))
            raise ParseError(name, bounded(str(error))) from error
        return value


def bounded(text: str, chars: int = MAX_DETAIL_CHARS) -> str:
    """`text` on one line, at most `chars` long."""
    return " ".join(text.split())[:chars]


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
