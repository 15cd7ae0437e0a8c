"""A number that no run could end with is a usage error, whichever option it is given to."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import pytest
import typer

from fairlead.engine.cli.app import VERBS, LazyVerb, _quietable

NO_NUMBERS = ("nan", "inf", "-inf", "1e400")
ANY = {"--seed", "--but-last"}  # a seed is any number, and nobody has that many runs


def verbs() -> Iterator[tuple[str, Any]]:
    """Each verb, and each of those beneath it, with its function."""
    for verb, (module, line) in VERBS.items():
        command = LazyVerb(verb, module, line)._load()
        beneath = getattr(command, "commands", None) or {"": command}
        for name, one in beneath.items():
            yield f"{verb} {name}".strip(), inspect.unwrap(one.callback)


def options(kind: type) -> Iterator[tuple[str, str, Any]]:
    """Verb, flag and typer's own word of each option that takes a number of this kind."""
    for verb, function in verbs():
        for name, told in get_type_hints(function, include_extras=True).items():
            if get_origin(told) is not Annotated:
                continue
            taken, *marks = get_args(told)
            if taken is kind or kind in get_args(taken):
                (option,) = (one for one in marks if hasattr(one, "param_decls"))
                # In `Annotated` typer takes its first word for a default until it is read
                words = [option.default, *(option.param_decls or ())]
                flags = [one for one in words if isinstance(one, str) and one.startswith("--")]
                flag = flags[0] if flags else f"--{name.replace('_', '-')}"
                yield verb, flag, option


def test_every_option_of_a_number_has_both_limits() -> None:
    found = {kind: list(options(kind)) for kind in (float, int)}
    assert ("live", "--for") in [one[:2] for one in found[float]]
    assert len(found[float]) >= 6, "--for of three verbs, --seconds, --every, --timeout"
    assert len(found[int]) >= 10
    for verb, flag, option in [*found[float], *found[int]]:
        if flag not in ANY:
            assert option.min is not None, f"{verb} {flag}"
            assert option.max is not None, f"{verb} {flag}"


@pytest.mark.parametrize("number", NO_NUMBERS)
def test_what_is_no_finite_number_is_refused_by_name(
    number: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for verb, flag, _ in options(float):
        name, *rest = verb.split()
        command = LazyVerb(name, *VERBS[name])._load()
        place = ["x.toml"] * (name in {"live", "paper", "record", "status"})
        with pytest.raises(SystemExit) as ended:
            command.main([*rest, *place, f"{flag}={number}"], prog_name=name)
        assert ended.value.code == 2, verb
        assert f"Invalid value for '{flag}'" in capsys.readouterr().err


def test_nan_is_refused_where_no_limit_is_compared(capsys: pytest.CaptureFixture[str]) -> None:
    def verb(rate: Annotated[float, typer.Option()] = 1.0) -> None:
        typer.echo(f"rate {rate}")

    app = typer.Typer(add_completion=False)
    app.command()(_quietable(verb))
    for number, code in (("nan", 2), ("inf", 2), ("0.5", 0)):
        with pytest.raises(SystemExit) as ended:
            typer.main.get_command(app).main([f"--rate={number}"], prog_name="verb")
        assert ended.value.code == code
    told = capsys.readouterr()
    assert told.out == "rate 0.5\n"
    assert "expected a finite number, nan came" in told.err


@pytest.mark.parametrize("seeds", ["1..9999999999", "0..1000000", "1" * 5000])
def test_more_seeds_than_there_is_room_for_are_refused(
    seeds: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        LazyVerb("simulate", *VERBS["simulate"])._load().main(
            ["--seeds", seeds], prog_name="simulate"
        )
    assert ended.value.code == 2
    assert "seed" in capsys.readouterr().err
