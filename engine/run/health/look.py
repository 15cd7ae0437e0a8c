"""All looks, in the order in which a person would have the answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from fairlead.engine.config.loaded import folders_of
from fairlead.engine.config.problems import ConfigError
from fairlead.engine.errors import Exit
from fairlead.engine.run.at_rest import AtRest
from fairlead.engine.run.config import load
from fairlead.engine.run.health import kernel, locks, machine, page, state, venues
from fairlead.engine.run.health.found import Check, Trouble, check
from fairlead.engine.run.up import up_of


def look(config: Path | None, *, asks: bool, tell: Callable[[str], None]) -> Iterator[Check]:
    """`asks`: the venues, too; else nothing leaves this machine. Nothing is written."""
    loaded, problems = None, []
    if config is not None:
        try:
            loaded = load(config)
        except ConfigError as error:
            problems = [
                Trouble(
                    code=one.code,
                    text=str(one),
                    remedy=one.hint or _explain(one.key),
                    exit_code=int(Exit.CONFIG),
                )
                for one in error.problems
            ]
    yield from machine.look([] if loaded is None else folders_of(loaded))
    tell("trying NautilusTrader")
    yield kernel.look()
    if config is not None:
        yield check("config", str(config), problems)
    if loaded is None:
        return
    up = up_of(loaded)
    yield from state.look(loaded, AtRest(loaded, up))
    checks, secrets = venues.keys(loaded)
    yield from checks
    yield from locks.look(loaded, secrets)
    yield from page.look(loaded, up)
    if asks:
        tell("asking the venues")
        yield from venues.look(loaded, secrets)


def _explain(key: str) -> str:
    return f"put it right; `fairlead config --explain {key}` tells of it" if key else "put it right"
