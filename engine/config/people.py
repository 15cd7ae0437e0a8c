"""Whom a run tells of itself: the secrets of `[observe]`, read, and each URL tried with apprise."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from fairlead.engine.config.endpoints import Endpoint, EndpointError, MissingExtraError
from fairlead.engine.config.loaded import LoadedConfig
from fairlead.engine.config.problems import ConfigProblem, KeyPath
from fairlead.engine.secrets import Secret, SecretError, read_secret

ALERTS: KeyPath = ("observe", "alerts", "endpoints")
TOKEN: KeyPath = ("observe", "telegram", "token")


class People(msgspec.Struct, frozen=True, kw_only=True):
    """URLs of the endpoints of alerts by name, and the Telegram bot's token; without a problem."""

    endpoints: Mapping[str, Secret] = {}
    token: Secret | None = None


def people_of(loaded: LoadedConfig) -> tuple[People, list[ConfigProblem]]:
    """Read every reference; nothing is sent."""
    observe = loaded.config.observe
    found: dict[str, Secret] = {}
    problems: list[ConfigProblem] = []
    for name, reference in ({} if observe.alerts is None else observe.alerts.endpoints).items():
        url = _read(loaded, reference, (*ALERTS, name), problems)
        if url is not None and _is_usable(loaded, name, url, problems):
            found[name] = url
    token = None
    if observe.telegram is not None:
        token = _read(loaded, observe.telegram.token, TOKEN, problems)
    return People(endpoints=found, token=token), problems


def _read(
    loaded: LoadedConfig, reference: str, path: KeyPath, problems: list[ConfigProblem]
) -> Secret | None:
    try:
        return read_secret(reference, loaded.path.parent)
    except SecretError as error:
        problem = loaded.problem(path, error.code, expected="a usable secret", hint=error.message)
        problems.append(problem)
        return None


def _is_usable(loaded: LoadedConfig, name: str, url: Secret, problems: list[ConfigProblem]) -> bool:
    try:
        Endpoint(url)
    except MissingExtraError as error:
        if all(one.code != "E-CFG-074" for one in problems):
            path: KeyPath = ("observe", "alerts")
            problems.append(loaded.problem(path, "E-CFG-074", expected=str(error)))
    except EndpointError as error:
        problems.append(loaded.problem((*ALERTS, name), "E-CFG-073", expected=str(error)))
    else:
        return True
    return False
