"""TOML file -> `Config`, or every problem that can be found in one go."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from fairlead.engine.config import model
from fairlead.engine.config.changes import Changes, change, plain
from fairlead.engine.config.loaded import Adapters, AdapterTold, LoadedConfig, problem_at
from fairlead.engine.config.problems import ConfigError, ConfigProblem, KeyPath, did_you_mean
from fairlead.engine.config.rules import RECORDED, check_rules
from fairlead.engine.config.toml_lines import TomlLines
from fairlead.engine.config.walk import BAD, Homes, Walker, convert

CONFIG_BYTES_MAX = 1024 * 1024
PROBLEMS_MAX = 100
NAMED_MAX = 5  # files of a folder that was given in place of one


class _Findings:
    """Collects problems, each place and code once, in the order of the file."""

    def __init__(self, file: str, lines: TomlLines, changed: Sequence[KeyPath]) -> None:
        self._file = file
        self._lines = lines
        self._changed = changed
        self._found: dict[tuple[int, int, str, str], ConfigProblem] = {}

    def __call__(
        self,
        path: KeyPath,
        code: str,
        expected: str = "",
        came: str = "",
        hint: str = "",
        *,
        at_value: bool = True,
    ) -> None:
        problem = problem_at(
            self._file,
            self._lines,
            path,
            code,
            expected=expected,
            came=came,
            hint=hint,
            at_value=at_value,
            changed=self._changed,
        )
        self._found.setdefault((problem.line, problem.col, code, problem.key), problem)

    def add(self, problem: ConfigProblem) -> None:
        self._found[problem.line, problem.col, problem.code, problem.key] = problem

    def raise_if_any(self) -> None:
        if self._found:
            ordered = [self._found[key] for key in sorted(self._found)]
            raise ConfigError(ordered[:PROBLEMS_MAX])


def load(path: Path, adapters: Adapters, changes: Changes | None = None) -> LoadedConfig:
    """Read, check and convert a config; only the `adapters` that it names are looked up.

    `changes` stand in place of the file's values, by key (`fairlead.engine.config.changes`).

    Raises `ConfigError` with up to `PROBLEMS_MAX` problems in the order of the file.
    """
    data, changes = _read(path), plain(changes or {})
    try:
        lines, changed, clean, venues = _examine(path, data, adapters, changes)
    except RecursionError as e:
        raise _failure(path, "E-CFG-003", "TOML", "too many brackets in each other", 1, 1) from e
    config = convert(model.Config, clean)
    return LoadedConfig(
        config=config,
        path=path.absolute(),
        file=str(path),
        sha256=hashlib.sha256(data).hexdigest(),
        options={name: convert(spec.options, table) for name, (spec, table) in venues.items()},
        specs={name: spec for name, (spec, _) in venues.items()},
        adapters=adapters.names(),
        clashes={name: adapters.clash(config.venues[name].adapter) for name in venues},
        lines=lines,
        changes=changes,
        changed=changed,
    )


def _examine(
    path: Path, data: bytes, adapters: Adapters, changes: Changes
) -> tuple[TomlLines, list[KeyPath], Any, dict[str, tuple[AdapterTold, Any]]]:
    """Parse and hold against types and rules; raises `ConfigError` with all that was found."""
    text, raw = _parse(path, data)
    lines = TomlLines(text)
    changed, problems = change(raw, changes)
    findings = _Findings(str(path), lines, changed)
    for problem in problems:
        findings.add(problem)
    told = _told(raw, adapters)
    credentials = (one for name, spec in told.items() for one in _credentials(name, spec))
    clean = Walker(findings, _homes().and_more(credentials)).table(model.Config, raw, ())
    check_rules(raw, adapters.names(), findings)
    venues = _options(raw, told, findings)
    findings.raise_if_any()
    assert clean is not BAD
    return lines, changed, clean, venues


@cache
def _homes() -> Homes:
    return Homes(model.Config)


def _failure(path: Path, code: str, expected: str, came: str, line: int = 0, col: int = 0) -> Any:
    problem = ConfigProblem(
        file=str(path), line=line, col=col, code=code, key="", expected=expected, came=came
    )
    return ConfigError([problem])


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(CONFIG_BYTES_MAX + 1)
    except IsADirectoryError as e:
        came = f"a folder{_in_it(path)}"
        raise _failure(path, "E-CFG-001", "a readable TOML file", came) from e
    except OSError as e:
        reason = e.strerror or type(e).__name__
        raise _failure(path, "E-CFG-001", "a readable TOML file", reason.lower()) from e
    if len(data) > CONFIG_BYTES_MAX:
        raise _failure(path, "E-CFG-004", f"at most {CONFIG_BYTES_MAX} bytes", "more")
    return data


def _in_it(folder: Path) -> str:
    """What was meant, where there is one."""
    names = sorted(one.name for one in folder.glob("*.toml"))
    more = ", ..." if len(names) > NAMED_MAX else ""
    return f", which holds {', '.join(names[:NAMED_MAX])}{more}" if names else ""


def _parse(path: Path, data: bytes) -> tuple[str, dict[str, Any]]:
    try:
        text = data.decode()
    except UnicodeDecodeError as e:
        line = data.count(b"\n", 0, e.start) + 1
        col = e.start - (data.rfind(b"\n", 0, e.start) + 1) + 1
        byte = f"the byte 0x{data[e.start]:02x}"
        raise _failure(path, "E-CFG-002", "UTF-8 text", byte, line, col) from e
    text = text.removeprefix("\ufeff")  # a byte order mark, which some editors write
    try:
        return text, tomllib.loads(text)
    except tomllib.TOMLDecodeError as e:
        reason, line, col = _syntax_place(str(e), text)
        raise _failure(path, "E-CFG-003", "TOML", reason, line, col) from e
    except ValueError as e:  # an integer of thousands of digits; it tells no place
        raise _failure(path, "E-CFG-003", "TOML", _lower(str(e)), 1, 1) from e


def _syntax_place(message: str, text: str) -> tuple[str, int, int]:
    """tomllib says the place at the end of its message."""
    if match := re.search(r" \(at line (\d+), column (\d+)\)$", message):
        return _lower(message[: match.start()]), int(match[1]), int(match[2])
    reason = message.removesuffix(" (at end of document)")
    lines = text.split("\n")
    return f"{_lower(reason)} at the end of the file", len(lines), len(lines[-1]) + 1


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def _told(raw: Mapping[str, Any], adapters: Adapters) -> dict[str, AdapterTold]:
    """What is known of the adapters that the config names, by venue key."""
    known = adapters.names()
    named = ((name, venue.get("adapter")) for name, venue in _venues(raw))
    return {
        name: adapters.spec(adapter)
        for name, adapter in named
        if isinstance(adapter, str) and adapter in known
    }


def _venues(raw: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    venues = raw.get("venues")
    tables = venues.items() if isinstance(venues, dict) else ()
    return ((name, venue) for name, venue in tables if isinstance(venue, dict))


def _credentials(name: str, spec: AdapterTold) -> Iterator[tuple[str, str]]:
    return ((one.name, f"in [venues.{name}.credentials]") for one in spec.credentials)


def _options(
    raw: Mapping[str, Any], told: Mapping[str, AdapterTold], findings: _Findings
) -> dict[str, tuple[AdapterTold, Any]]:
    """Walk each venue's options and credential names against what its adapter has."""
    clean: dict[str, tuple[AdapterTold, Any]] = {}
    for name, venue in _venues(raw):
        if name not in told:
            if venue.get("adapter") == RECORDED:
                _none_of_these(venue, ("venues", name), findings)
            continue
        spec = told[name]
        options = venue.get("options", {})
        if isinstance(options, dict):
            walker = Walker(findings, _homes().and_more(_credentials(name, spec)))
            table = walker.table(spec.options, options, ("venues", name, "options"))
            clean[name] = (spec, table)
        known = [credential.name for credential in spec.credentials]
        credentials = venue.get("credentials")
        for key in credentials if isinstance(credentials, dict) else ():
            if key not in known:
                _unknown_credential(key, ("venues", name, "credentials", key), known, findings)
    return clean


def _unknown_credential(key: str, path: KeyPath, known: list[str], findings: _Findings) -> None:
    expected = f"one of {', '.join(sorted(known))}" if known else "none"
    findings(path, "E-CFG-041", expected, key, did_you_mean(key, known), at_value=False)


def _none_of_these(venue: Mapping[str, Any], path: KeyPath, findings: _Findings) -> None:
    for section in ("options", "credentials"):
        for key in venue[section] if isinstance(venue.get(section), dict) else ():
            here = (*path, section, key)
            hint = "a recorded venue has no adapter"
            findings(here, "E-CFG-014", "no key", key, hint, at_value=False)
