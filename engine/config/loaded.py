"""A valid config: what the file says, where each key stands, where its accounts keep files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec

from fairlead.engine.config import model
from fairlead.engine.config.changes import Changes, key_path
from fairlead.engine.config.problems import ConfigProblem, KeyPath, key_text
from fairlead.engine.config.toml_lines import TomlLines
from fairlead.engine.orders.files import PAPER, AccountFiles
from fairlead.engine.orders.model import Capabilities
from fairlead.engine.secrets import CredentialSpec


class OptionTold(Protocol):
    """Why an account can't be traded with its options (an adapter's `OptionRefused`)."""

    @property
    def code(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def option(self) -> str | None: ...


class AdapterTold(Protocol):
    """What a config has to know of an adapter (`fairlead.adapters.base.venue.AdapterSpec`)."""

    @property
    def options(self) -> type: ...
    @property
    def credentials(self) -> Sequence[CredentialSpec]: ...
    @property
    def capabilities(self) -> Capabilities: ...
    @property
    def keyed_data(self) -> bool: ...
    @property
    def uses_keys(self) -> bool: ...
    @property
    def has_desk(self) -> bool: ...
    @property
    def refuses(self) -> Callable[[Any, int], OptionTold | None]: ...
    @property
    def notes(self) -> Callable[[Any], Sequence[str]]: ...


class Adapters(Protocol):
    """Which adapters there are, by name (`fairlead.adapters.registry`)."""

    def names(self) -> tuple[str, ...]: ...
    def spec(self, name: str, /) -> AdapterTold: ...
    def clash(self, name: str, /) -> str: ...


class LoadedConfig(msgspec.Struct, frozen=True, kw_only=True):
    """A valid config and where it came from.

    `sha256` is the hex digest of the file's bytes, `file` its path as it was given (for messages).
    `options` are the adapters' own option structs by venue key, and `specs` what else is known of
    them (none for recorded venues); `adapters` are the names of all that there are, and
    `clashes` tells by venue key who else offers the adapter's name. `changes` are values that stand
    in place of the file's, by key, and `changed` the same keys as paths.
    """

    config: model.Config
    path: Path
    file: str
    sha256: str
    options: Mapping[str, Any]
    specs: Mapping[str, AdapterTold]
    adapters: tuple[str, ...]
    clashes: Mapping[str, str]
    lines: TomlLines
    changes: Changes = {}
    changed: Sequence[KeyPath] = ()

    def resolve(self, relative: str) -> Path:
        """A path of the config: relative ones are relative to the config file's folder.

        Raises nothing for a folder that the config names: `load` has refused what can't be one.
        """
        return self.path.parent.joinpath(Path(relative).expanduser()).resolve()

    @property
    def state_dir(self) -> Path:
        return self.resolve(self.config.run.state_dir)

    @property
    def traded(self) -> tuple[str, ...]:
        """Keys of the venues that have an account: orders can go there."""
        return tuple(key for key, venue in self.config.venues.items() if not venue.data_only)

    @property
    def paid(self) -> tuple[str, ...]:
        """NautilusTrader venues that tell balances as if positions had been paid for."""
        return tuple(
            key.upper()
            for key in self.traded
            if key in self.specs and self.specs[key].capabilities.pays_positions
        )

    @property
    def tells_positions(self) -> bool:
        """Whether NautilusTrader is told the positions of every account of a live run."""
        venues = self.config.venues
        return all(
            venues[key].account_type == "margin" or self.specs[key].has_desk
            for key in self.traded
            if key in self.specs
        )

    def line_of(self, path: str | Sequence[str | int]) -> int | None:
        """Line of a key, from 1; None when the file does not have it.

        `path` is a sequence (`("strategies", 0, "id")`) or text (`"strategies[0].id"`).
        """
        place = self.lines.key(parse_key_path(path))
        return place[0] if place else None

    def problem(
        self,
        path: Sequence[str | int],
        code: str,
        *,
        expected: str = "",
        came: str = "",
        hint: str = "",
    ) -> ConfigProblem:
        """A finding at a key of this file, for checks that need more than the file."""
        return problem_at(
            self.file,
            self.lines,
            tuple(path),
            code,
            expected=expected,
            came=came,
            hint=hint,
            changed=self.changed,
        )


def problem_at(
    file: str,
    lines: TomlLines,
    path: KeyPath,
    code: str,
    *,
    expected: str = "",
    came: str = "",
    hint: str = "",
    at_value: bool = True,
    changed: Sequence[KeyPath] = (),
) -> ConfigProblem:
    """A finding at a key, or at its value; of credentials what came is not shown.

    `changed` are keys whose values are not the file's.
    """
    if any(path[: len(one)] == one for one in changed):
        file, line, col = "--set", 0, 0
    else:
        place = lines.value(path) if at_value else lines.key(path)
        line, col = place or lines.nearest(path)
    if came and _holds_secrets(path):
        came = "something else (not shown)"
    return ConfigProblem(
        file=file,
        line=line,
        col=col,
        code=code,
        key=key_text(path),
        expected=expected,
        came=came,
        hint=hint,
    )


def _holds_secrets(path: KeyPath) -> bool:
    """Where a reference stands; a person may have written the secret itself there."""
    return (len(path) >= 3 and path[0] == "venues" and path[2] == "credentials") or path[:3] in (
        ("observe", "alerts", "endpoints"),
        ("observe", "telegram", "token"),
    )


def folders_of(loaded: LoadedConfig) -> list[Path]:
    """That runs write to: the state folder first."""
    record = loaded.config.record
    return [loaded.state_dir, *([] if record is None else [loaded.resolve(record.dir)])]


def account_files(loaded: LoadedConfig, key: str, *, paper: bool = False) -> AccountFiles:
    """Of the venue `key` of the config; raises KeyError where it has none."""
    account = PAPER if paper else loaded.config.venues[key].account
    return AccountFiles(loaded.state_dir, f"{key}-{account}")


def parse_key_path(path: str | Sequence[str | int]) -> KeyPath:
    """`strategies[0].id` as a tuple; a quoted part may hold dots."""
    return key_path(path) if isinstance(path, str) else tuple(path)
