"""`[strategies.params]` -> the strategy's own NautilusTrader StrategyConfig.

StrategyConfig's constructor swallows keyword arguments that it does not know, so the parameters
are compared with the signature of the subclass before anything is built.
"""

from __future__ import annotations

import enum
import inspect
import sys
import traceback
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import msgspec
from nautilus_trader.model import StrategyId
from nautilus_trader.trading import StrategyConfig

from fairlead.engine.config import model
from fairlead.engine.config.problems import (
    STRATEGY_RAISED,
    ConfigProblem,
    KeyPath,
    came_text,
    did_you_mean,
    nearest,
)
from fairlead.engine.config.strategies import told
from fairlead.engine.config.walk import EXACT_HINT, is_exact_decimal
from fairlead.engine.errors import Exit, FairleadError
from fairlead.engine.secrets import redact

if TYPE_CHECKING:
    from fairlead.engine.config.loaded import LoadedConfig

# NautilusTrader's own settings that a config file may set; the rest belong to the engine
NATIVE_PARAMS: Final = frozenset(
    {
        "log_commands",
        "log_events",
        "log_rejected_due_post_only_as_warning",
        "manage_contingent_orders",
        "manage_gtd_expiry",
    }
)
QUANTITY: Final = "quantity"
_NATIVE: Final = frozenset(inspect.signature(StrategyConfig).parameters) - {"_kwargs"}
_ENGINE_PARAMS: Final = _NATIVE - NATIVE_PARAMS


class ParamProblem(msgspec.Struct, frozen=True, kw_only=True):
    """One parameter that does not fit; `name` is empty when the class as a whole does not."""

    code: str
    name: str
    expected: str
    came: str
    hint: str = ""
    traceback: str = ""

    def __str__(self) -> str:
        text = f"{self.code} {self.name}: expected {self.expected}; came {self.came}"
        return f"{text}; {self.hint}" if self.hint else text


class ParamsError(FairleadError):
    """Parameters that do not fit the strategy's config class."""

    exit_code = int(Exit.CONFIG)

    def __init__(self, strategy_id: str, problems: Sequence[ParamProblem]) -> None:
        self.problems = tuple(problems)
        text = "; ".join(map(str, problems))
        traces = "".join(f"\n{one.traceback.rstrip()}" for one in problems if one.traceback)
        raised = all(one.code in STRATEGY_RAISED for one in problems)
        code = Exit.FAULTED if raised else Exit.CONFIG
        super().__init__(problems[0].code, f"strategy {strategy_id}: {text}{traces}", int(code))


class Param(msgspec.Struct, frozen=True):
    """One parameter of a config class: its type (`Any` where not annotated) and default."""

    name: str
    kind: Any
    default: Any = inspect.Parameter.empty

    @property
    def required(self) -> bool:
        return self.default is inspect.Parameter.empty


class Unfit(Exception):
    """A value that does not fit its annotation; the text says what was expected."""


class Configured(msgspec.Struct, frozen=True):
    """A strategy's own StrategyConfig, and every parameter of it with the value in force."""

    config: Any
    params: dict[str, Any]


def build_strategy_config(cls: type[Any], strategy: model.Strategy, **extra: Any) -> Any:
    """The StrategyConfig of one strategy, see `configure`."""
    return configure(cls, strategy, **extra).config


def configure(cls: type[Any], strategy: model.Strategy, **extra: Any) -> Configured:
    """Build the StrategyConfig of one strategy, the same way in every mode.

    Values are converted by annotation: exact decimals from text, identifiers, bar types and the
    like by their `from_str`, enums by name. `extra` are NautilusTrader's own settings (such as
    `external_order_instrument_ids`); client order ids are UUIDs. Raises ParamsError with
    everything that does not fit.
    """
    config_class = config_class_of(cls, strategy)
    params = params_of(config_class)
    values, problems = _convert_all(config_class, params, strategy.params)
    if problems:
        raise ParamsError(strategy.id, problems)
    defaults = {name: param.default for name, param in params.items() if not param.required}
    in_force = {**defaults, **values}
    native: dict[str, Any] = {
        "strategy_id": StrategyId(strategy.id),
        "use_uuid_client_order_ids": True,
        **{name: values.pop(name) for name in NATIVE_PARAMS if name in values},
        **extra,
    }
    try:
        return Configured(_construct(config_class, values, native), in_force)
    except KeyboardInterrupt:
        raise
    except BaseException as e:
        raise ParamsError(strategy.id, [_refused(config_class, e)]) from e


def _refused(config_class: type[Any], error: BaseException) -> ParamProblem:
    """ValueError is how a config class refuses a value; anything else is a fault of its code."""
    is_refusal = isinstance(error, ValueError)
    text = "".join(traceback.format_exception(error))
    return ParamProblem(
        code="E-CFG-057" if is_refusal else "E-CFG-058",
        name="",
        expected=f"parameters that {config_class.__name__} takes",
        came=redact(told(error)),
        traceback="" if is_refusal else redact(text),
    )


def placed(
    loaded: LoadedConfig, position: int, problems: Iterable[ParamProblem]
) -> list[ConfigProblem]:
    """The problems of `strategies[position]` with their places in the config file."""
    found = []
    for one in problems:
        path: KeyPath = ("strategies", position, "params")
        path = (*path, one.name) if one.name else path
        problem = loaded.problem(
            path, one.code, expected=one.expected, came=one.came, hint=one.hint
        )
        found.append(msgspec.structs.replace(problem, traceback=one.traceback))
    return found


def config_class_of(cls: type[Any], strategy: model.Strategy) -> type[Any]:
    """The strategy's config class: attribute `config_class`, or the annotation of `config`.

    A strategy without either takes a plain StrategyConfig, and no parameters.
    """
    declared = getattr(cls, "config_class", None)
    if declared is None:
        declared = _annotated_config(cls)
    if declared is None and not strategy.params:
        return StrategyConfig
    if inspect.isclass(declared) and issubclass(declared, StrategyConfig):
        return declared
    problem = ParamProblem(
        code="E-CFG-053",
        name="",
        expected=f"{cls.__name__}.__init__(self, config: C), C a subclass of StrategyConfig",
        came="no such annotation" if declared is None else repr(declared),
        hint=f"annotate it, or set {cls.__name__}.config_class",
    )
    raise ParamsError(strategy.id, [problem])


def params_of(config_class: type[Any]) -> dict[str, Param]:
    """Parameters that a config class takes, those of its bases included where it passes them on."""
    found: dict[str, Param] = {}
    for owner in config_class.__mro__:
        if owner is StrategyConfig:
            break
        if "__init__" not in vars(owner):
            _annotated_params(owner, found)
            continue
        init = vars(owner)["__init__"]
        passes_on = False
        for name, parameter in list(inspect.signature(init).parameters.items())[1:]:
            if parameter.kind is inspect.Parameter.VAR_KEYWORD:
                passes_on = True
            elif parameter.kind is not inspect.Parameter.VAR_POSITIONAL and name not in _NATIVE:
                kind = _resolve(init, name, parameter)
                found.setdefault(name, Param(name, kind, parameter.default))
        if not passes_on:
            break
    return found


def _annotated_params(owner: type[Any], found: dict[str, Param]) -> None:
    """A class without `__init__`: its annotations are its parameters."""
    for name in inspect.get_annotations(owner):
        kind = _evaluate(inspect.get_annotations(owner)[name], owner.__module__)
        if not name.startswith("_") and typing.get_origin(kind) is not typing.ClassVar:
            default = getattr(owner, name, inspect.Parameter.empty)
            found.setdefault(name, Param(name, kind, default))


def _resolve(init: Any, name: str, parameter: inspect.Parameter) -> Any:
    """The parameter's annotation as a type; a string one is evaluated in its module."""
    if parameter.annotation is inspect.Parameter.empty:
        return Any if parameter.default in (None, inspect.Parameter.empty) else None
    return _evaluate(parameter.annotation, getattr(init, "__module__", ""))


def _evaluate(annotation: Any, module: str) -> Any:
    if not isinstance(annotation, str):
        return annotation
    names = vars(sys.modules[module]) if module in sys.modules else {}
    try:
        return eval(annotation, dict(names))  # noqa: S307 - the user's own code
    except Exception:  # imported for type checkers only: the value is passed on as it came
        return Any


def _annotated_config(cls: type[Any]) -> type[Any] | None:
    """The first config class in the `__init__` signatures, from the class towards its bases."""
    for owner in cls.__mro__:
        init = vars(owner).get("__init__")
        if not inspect.isfunction(init):
            continue
        for name, parameter in list(inspect.signature(init).parameters.items())[1:]:
            if (found := _config_in(_resolve(init, name, parameter))) is not None:
                return found
    return None


def _config_in(annotation: Any) -> type[Any] | None:
    """The StrategyConfig subclass in `C`, `C | None` or `Optional[C]`."""
    for option in (annotation, *typing.get_args(annotation)):
        if inspect.isclass(option) and issubclass(option, StrategyConfig):
            return option
    return None


def _convert_all(
    config_class: type[Any], params: Mapping[str, Param], given: Mapping[str, Any]
) -> tuple[dict[str, Any], list[ParamProblem]]:
    values: dict[str, Any] = {}
    problems: list[ParamProblem] = []
    for name, value in given.items():
        param = params.get(name) or (Param(name, bool) if name in NATIVE_PARAMS else None)
        if param is None:
            problems.append(_unknown(config_class, name, params))
            continue
        try:
            values[name] = _quantity(name, convert_param(value, param))
        except Unfit as e:
            is_form = isinstance(value, str) and str(e).startswith("an exact decimal")
            hint = EXACT_HINT if is_form else ""
            problems.append(
                ParamProblem(
                    code="E-CFG-056",
                    name=name,
                    expected=str(e),
                    came=came_text(value),
                    hint=hint,
                )
            )
    for name, param in params.items():
        if param.required and name not in given:
            expected = f"a value, {_kind_doc(param.kind)}"
            problems.append(
                ParamProblem(code="E-CFG-055", name=name, expected=expected, came="nothing")
            )
    return values, problems


def _quantity(name: str, value: Any) -> Any:
    """What is named a quantity has no sign, as NautilusTrader's have none: a side tells it."""
    if name == QUANTITY or name.endswith(f"_{QUANTITY}"):
        is_number = isinstance(value, Decimal | float | int) and not isinstance(value, bool)
        if is_number and value < 0:
            raise Unfit("a quantity of 0 or more")
    return value


def _unknown(config_class: type[Any], name: str, params: Mapping[str, Param]) -> ParamProblem:
    if name in _ENGINE_PARAMS:
        hint = "the engine sets it"
    else:
        hint = did_you_mean(name, list(params)) or "it takes none"
    expected = f"a parameter of {config_class.__name__}"
    return ParamProblem(code="E-CFG-054", name=name, expected=expected, came=name, hint=hint)


def convert_param(value: Any, param: Param) -> Any:
    """Convert one value by the parameter's annotation, or by its default's type without one."""
    kind = param.kind
    if kind is None:
        kind = type(param.default)
    return _convert(value, kind)


def _convert(value: Any, kind: Any) -> Any:
    if kind is Any or kind is object:
        return value
    origin = typing.get_origin(kind)
    if origin is typing.Annotated:
        inner, *told = typing.get_args(kind)
        converted = _convert(value, inner)
        limited = any(isinstance(one, msgspec.Meta) for one in told)
        return _within(converted, kind) if limited else converted
    if origin in (typing.Union, types.UnionType):
        return _convert_union(value, kind)
    if origin is typing.Literal:
        if value in typing.get_args(kind):
            return value
        raise Unfit(f"one of {', '.join(map(str, typing.get_args(kind)))}")
    if origin is not None or kind in (list, tuple, set, frozenset, dict):
        return _convert_many(value, kind, origin or kind)
    if scalar := _SCALARS.get(kind):
        return scalar(value)
    return _convert_object(value, kind)


def _within(value: Any, kind: Any) -> Any:
    """The limits of a `msgspec.Meta` hold; one on what can't have it is said, not passed over."""
    try:
        return msgspec.convert(value, kind)
    except (msgspec.ValidationError, TypeError) as e:
        raise Unfit(str(e).removeprefix("Expected ")) from e


def _convert_union(value: Any, kind: Any) -> Any:
    options = [option for option in typing.get_args(kind) if option is not type(None)]
    expected = []
    for option in options:
        try:
            return _convert(value, option)
        except Unfit as e:
            expected.append(str(e))
    raise Unfit(" or ".join(expected))


def _convert_many(value: Any, kind: Any, origin: Any) -> Any:
    arguments = typing.get_args(kind)
    if inspect.isclass(origin) and issubclass(origin, Mapping):
        if not isinstance(value, dict):
            raise Unfit("a table")
        inner = arguments[1] if len(arguments) == 2 else Any
        key = arguments[0] if arguments else Any
        return {_convert(name, key): _convert(item, inner) for name, item in value.items()}
    if not isinstance(value, list):
        raise Unfit("a list")
    inner = arguments[0] if arguments else Any
    items = [_convert(item, inner) for item in value]
    makers: dict[Any, Callable[[list[Any]], Any]] = {
        tuple: tuple,
        set: set,
        frozenset: frozenset,
    }
    return makers.get(origin, list)(items)


def _decimal(value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise Unfit('an exact decimal as a string, e.g. "0.002"')
    if isinstance(value, str) and not is_exact_decimal(value):
        raise Unfit('an exact decimal as a string, e.g. "0.002"')
    return Decimal(value)


def _float(value: Any) -> float:
    return float(_decimal(value))  # a plain strategy may want one; the file never holds one


def _int(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise Unfit("a whole number, without quotes")
    return value


def _bool(value: Any) -> bool:
    if not isinstance(value, bool):
        raise Unfit("true or false, without quotes")
    return value


def _str(value: Any) -> str:
    if not isinstance(value, str):
        raise Unfit("a text in quotes")
    return value


_SCALARS: dict[Any, Callable[[Any], Any]] = {
    Decimal: _decimal,
    float: _float,
    int: _int,
    bool: _bool,
    str: _str,
}


def _convert_object(value: Any, kind: Any) -> Any:
    """Enums by name or value; NautilusTrader's values by their `from_str` or constructor."""
    if inspect.isclass(kind) and isinstance(value, kind):
        return value
    if not isinstance(value, str):
        raise Unfit(_kind_doc(kind))
    if inspect.isclass(kind) and issubclass(kind, enum.Enum):
        for member in kind:
            if value in (member.name, member.value):
                return member
        names = [member.name for member in kind]
        near = nearest(value, names)
        raise Unfit(f"one of {', '.join(names)}" + (f" (did you mean {near}?)" if near else ""))
    maker = getattr(kind, "from_str", kind)
    try:
        return maker(value)
    except Exception as e:
        raise Unfit(f"{_kind_doc(kind)} ({e})") from e


def _kind_doc(kind: Any) -> str:
    examples = {
        "InstrumentId": 'an instrument id, e.g. "BTC_USDT.VENUE"',
        "BarType": 'a bar type, e.g. "BTC_USDT.VENUE-1-MINUTE-LAST-INTERNAL"',
        "Decimal": 'an exact decimal as a string, e.g. "0.002"',
        "int": "a whole number",
        "bool": "true or false",
        "str": "a text in quotes",
    }
    name = getattr(kind, "__name__", str(kind))
    return examples.get(name, f"a {name}" if kind is not Any else "of any type")


def _construct(config_class: type[Any], values: dict[str, Any], native: dict[str, Any]) -> Any:
    """Make the config in two steps: `__new__` takes NautilusTrader's settings, `__init__` ours.

    A dataclass's `__init__` refuses `strategy_id` and the like, which `__new__` has already taken.
    """
    make: Callable[..., Any] = config_class.__new__
    config = make(config_class, **values, **native)
    if config_class.__init__ is object.__init__:
        for name, param in params_of(config_class).items():
            setattr(config, name, values.get(name, param.default))
        return config
    parameters = inspect.signature(config_class.__init__).parameters.values()
    takes_all = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters)
    taken = {parameter.name for parameter in parameters}
    passed = {name: value for name, value in native.items() if takes_all or name in taken}
    config_class.__init__(config, **values, **passed)
    return config
