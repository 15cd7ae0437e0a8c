"""What the strategies on bars say of a bar specification that is none, before a run begins."""

from __future__ import annotations

from nautilus_trader.model import BarSpecification


def require_bar(bar: str) -> None:
    """Raises ValueError of what NautilusTrader makes no bars of. A minus in front would be taken
    for a part of the instrument's name, whose bars never come."""
    try:
        BarSpecification.from_str(bar)
    except ValueError as error:
        raise ValueError(
            f"bar: expected STEP-AGGREGATION-PRICE such as 5-SECOND-LAST, received {bar} ({error})"
        ) from error
