"""Parameters of a strategy: from TOML values to its own StrategyConfig."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Any

import pytest
from msgspec import Meta
from nautilus_trader.model import BarType, InstrumentId, StrategyId
from nautilus_trader.trading import StrategyConfig

from fairlead.engine.config.model import Strategy
from fairlead.engine.config.strategy_params import (
    ParamsError,
    build_strategy_config,
    config_class_of,
    params_of,
)
from tests.unit.config_stub import CONFIGS

IID = "BTC_USDT.STUBEX"
NEEDED = {"instrument_id": IID, "order_quantity": "0.002"}


@pytest.fixture
def module() -> Iterator[Any]:
    sys.path.insert(0, str(CONFIGS))
    try:
        import sample_strategies

        yield sample_strategies
    finally:
        sys.path.remove(str(CONFIGS))


def strategy(**params: Any) -> Strategy:
    return Strategy(id="maker-1", path="m:C", params=params)


def problems(cls: type, **params: Any) -> dict[str, tuple[str, str]]:
    """Parameter -> code and text of what is refused."""
    with pytest.raises(ParamsError) as caught:
        build_strategy_config(cls, strategy(**params))
    assert caught.value.exit_code == 3
    return {found.name: (found.code, str(found)) for found in caught.value.problems}


def test_values_are_converted_by_annotation(module: Any) -> None:
    config = build_strategy_config(
        module.Maker,
        strategy(
            **NEEDED,
            half_spread_bps=4,
            levels=3,
            style="improve",
            post_only=True,
            note="x",
            bar_type=f"{IID}-1-MINUTE-LAST-INTERNAL",
            offsets=["0.1", 2],
            weights={"a": "0.25"},
            threshold="0.75",
            guess=4,
        ),
    )
    assert isinstance(config, module.MakerConfig)
    assert config.instrument_id == InstrumentId.from_str(IID)
    assert config.order_quantity == Decimal("0.002")
    assert (config.half_spread_bps, config.levels, config.style) == (Decimal(4), 3, "improve")
    assert (config.post_only, config.note, config.guess) == (True, "x", 4)
    assert config.bar_type == BarType.from_str(f"{IID}-1-MINUTE-LAST-INTERNAL")
    assert config.offsets == (Decimal("0.1"), Decimal(2))
    assert config.weights == {"a": Decimal("0.25")}
    assert config.threshold == 0.75


def test_the_engines_settings_arrive_in_nautilus(module: Any) -> None:
    claimed = [InstrumentId.from_str(IID)]
    config = build_strategy_config(
        module.Maker, strategy(**NEEDED, log_events=False), external_order_instrument_ids=claimed
    )
    assert config.strategy_id == StrategyId("maker-1")
    assert config.use_uuid_client_order_ids is True
    assert config.external_order_instrument_ids == claimed
    assert config.log_events is False


def test_a_dataclass_config_takes_the_same(module: Any) -> None:
    config = build_strategy_config(module.Trend, strategy(instrument_id=IID))
    assert (config.instrument_id, config.fast) == (InstrumentId.from_str(IID), 10)
    assert config.strategy_id == StrategyId("maker-1")
    assert config.use_uuid_client_order_ids is True


def test_a_strategy_without_a_config_class_takes_a_plain_one(module: Any) -> None:
    config = build_strategy_config(module.Plain, strategy())
    assert type(config) is StrategyConfig
    assert config.strategy_id == StrategyId("maker-1")
    assert problems(module.Plain, size=1)[""][0] == "E-CFG-053"


def test_a_config_class_of_annotations_only() -> None:
    class Fields(StrategyConfig):
        size: Decimal
        levels: int = 2

    class Sample:
        config_class = Fields

    config = build_strategy_config(Sample, strategy(size="0.5"))
    assert (config.size, config.levels) == (Decimal("0.5"), 2)
    assert problems(Sample)["size"][0] == "E-CFG-055"


@pytest.mark.parametrize(
    ("kind", "good", "bad", "expected"),
    [
        (Annotated[int, Meta(ge=5)], 5, 4, "`int` >= 5"),
        (Annotated[str, Meta(max_length=2)], "ab", "abc", "`str` of length <= 2"),
        (Annotated[list[Decimal], Meta(min_length=1)], ["1.5"], [], "`array` of length >= 1"),
        (Annotated[InstrumentId, Meta(description="of the market")], IID, 1, "an instrument id"),
        (Annotated[int | None, "in seconds"], 3, "x", "a whole number"),
        (Decimal, "0.5", "1e-3", 'came "1e-3"; no exponent, separator, unit or blank'),
    ],
)
def test_limits_of_an_annotation_hold(kind: Any, good: Any, bad: Any, expected: str) -> None:
    class Sample:
        config_class = type("Fields", (StrategyConfig,), {"__annotations__": {"size": kind}})

    assert build_strategy_config(Sample, strategy(size=good)) is not None
    code, text = problems(Sample, size=bad)["size"]
    assert code == "E-CFG-056"
    assert expected in text


def test_a_config_named_in_an_optional_annotation(module: Any) -> None:
    class Sample:
        def __init__(self, config: module.TrendConfig | None = None) -> None: ...

    Sample.__init__.__annotations__["config"] = module.TrendConfig | None
    assert config_class_of(Sample, strategy()) is module.TrendConfig


def test_the_config_class_of_a_wrapped_strategy(module: Any) -> None:
    class Guard:
        def __init__(self, config: Any) -> None:
            super().__init__(config)  # type: ignore[call-arg]

    wrapped = type("Wrapped", (Guard, module.Maker), {})
    assert config_class_of(wrapped, strategy()) is module.MakerConfig


def test_parameters_of_the_bases_count_where_they_are_passed_on(module: Any) -> None:
    params = params_of(module.MakerConfig)
    assert "instrument_id" in params
    assert {name for name, param in params.items() if param.required} == set(NEEDED)
    assert "native" not in params


def test_unknown_and_missing_parameters_are_told_together(module: Any) -> None:
    found = problems(module.Maker, instrument_id=IID, order_quantty="1", levles=2)
    assert {name: code for name, (code, _) in found.items()} == {
        "order_quantty": "E-CFG-054",
        "levles": "E-CFG-054",
        "order_quantity": "E-CFG-055",
    }
    assert "did you mean order_quantity?" in found["order_quantty"][1]
    assert "did you mean levels?" in found["levles"][1]


@pytest.mark.parametrize("name", ["strategy_id", "manage_stop", "use_uuid_client_order_ids"])
def test_settings_of_the_engine_are_not_parameters(module: Any, name: str) -> None:
    code, text = problems(module.Maker, **NEEDED, **{name: True})[name]
    assert code == "E-CFG-054"
    assert "the engine sets it" in text


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("order_quantity", "1,5", "an exact decimal"),
        ("order_quantity", True, "an exact decimal"),
        ("order_quantity", "NaN", "an exact decimal"),
        ("order_quantity", "-0.013", "a quantity of 0 or more"),
        ("levels", "3", "a whole number"),
        ("levels", True, "a whole number"),
        ("post_only", "true", "true or false"),
        ("note", 5, "a text in quotes"),
        ("style", "jion", "one of join, improve"),
        ("instrument_id", "BTC_USDT", "an instrument id"),
        ("instrument_id", 7, "an instrument id"),
        ("bar_type", "BTC_USDT.STUBEX-1", "a bar type"),
        ("offsets", "0.1", "a list"),
        ("offsets", ["0.1", "x"], "an exact decimal"),
        ("weights", ["a"], "a table"),
        ("threshold", "high", "an exact decimal"),
        ("guess", "3", "a whole number"),
    ],
)
def test_a_value_that_does_not_fit(module: Any, name: str, value: Any, expected: str) -> None:
    code, text = problems(module.Maker, **{**NEEDED, name: value})[name]
    assert code == "E-CFG-056"
    assert f"expected {expected}" in text


def test_what_the_config_class_itself_refuses(module: Any) -> None:
    code, text = problems(module.Maker, **{**NEEDED, "order_quantity": "0"})[""]
    assert code == "E-CFG-057"
    assert "order_quantity: expected above 0, received 0" in text
