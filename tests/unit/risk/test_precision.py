"""PRECISION: what is written with an increment's digits is looked at no less than anything else."""

from __future__ import annotations

from decimal import Decimal

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

from fairlead.engine.config.model import Risk
from fairlead.engine.risk.gate import RiskGate
from tests.unit.risk.test_gate import D, View, code, order

INCREMENTS = ("0.01", "0.05", "0.50", "0.5", "1", "2", "10", "1E+1", "25", "0.0001")
# Nothing but the form is looked at: any price and any quantity is near enough, and small enough.
OFF = ["PRICE_COLLAR", "FREE_BALANCE", "SELF_CROSS"]
AMOUNTS = st.decimals(
    min_value=D("0.00001"), max_value=D(100_000), allow_nan=False, allow_infinity=False, places=5
).map(lambda amount: amount.normalize())


@given(st.sampled_from(INCREMENTS), st.sampled_from(INCREMENTS), AMOUNTS, AMOUNTS)
@example("0.05", "1", D("100.03"), D(1))
@example("0.05", "1", D("100.05"), D(1))
@example("0.01", "0.50", D("100.03"), D("0.75"))
@example("0.01", "1E+1", D("100.03"), D("5E+1"))
def test_only_multiples_of_the_increments_pass(
    tick: str, step: str, price: Decimal, quantity: Decimal
) -> None:
    gate = RiskGate(Risk(off=OFF))
    view = View(gate)
    view.facts = msgspec.structs.replace(
        view.facts,
        price_increment=D(tick),
        price_precision=places(D(tick)),
        size_increment=D(step),
        size_precision=places(D(step)),
    )
    for written in (price, price.quantize(D(tick))):
        for amount in (quantity, quantity.quantize(D(step))):
            if written <= 0 or amount <= 0:
                continue
            is_on = not written % D(tick) and not amount % D(step)
            expected = None if is_on else "PRECISION"
            assert code(gate, order(str(written), str(amount)), view) == expected


def places(increment: Decimal) -> int:
    exponent = increment.as_tuple().exponent
    assert isinstance(exponent, int)
    return max(-exponent, 0)
