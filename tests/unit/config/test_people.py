"""`[observe.alerts]` and `[observe.telegram]`: what is wrong with them is said before a run."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from fairlead.engine.cli.app import app
from fairlead.engine.config import endpoints
from fairlead.engine.config.problems import ConfigError, ConfigProblem
from fairlead.engine.config.resolved import resolve
from fairlead.engine.run.config import load
from tests.support.people import HOOK_TOKEN, Hook, open_people, secret_file

TEXT = """
name = "test"
[venues.oceanex]
adapter = "oceanex"
instruments = ["BTC_USDT.OCEANEX"]
"""
GOOD = f"json://127.0.0.1:9/{HOOK_TOKEN}"


def found(folder: Path, more: str, mode: Any = "record") -> list[ConfigProblem]:
    """What is wrong with the config; in the mode that needs neither strategies nor keys."""
    path = folder / "test.toml"
    path.write_text(TEXT + more)
    try:
        return list(resolve(load(path), mode).problems)
    except ConfigError as error:
        return list(error.problems)


def codes(folder: Path, more: str, mode: Any = "record") -> list[tuple[str, str]]:
    return [(one.code, one.key) for one in found(folder, more, mode)]


def test_what_is_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_URL", GOOD)
    mail = secret_file(tmp_path, "mail", "mailto://127.0.0.1?from=a@example.com&to=b@example.com")
    more = f"""
[observe.alerts]
endpoints = {{ hook = "env:HOOK_URL", mail = "{mail}" }}
daily = "00:05"
[[observe.alerts.rules]]
to = ["hook"]
about = ["halts", "run"]
level = "bad"
[observe.telegram]
token = "env:HOOK_URL"
chats = [1, -100200300]
"""
    assert found(tmp_path, more) == []


@pytest.mark.parametrize(
    ("more", "code", "key"),
    [
        ('endpoints = { a = "json://h/inline" }', "E-SEC-001", "observe.alerts.endpoints.a"),
        ('endpoints = { a = "env:NOT_SET_5F1C" }', "E-SEC-002", "observe.alerts.endpoints.a"),
        ('endpoints = { a = "file:none" }', "E-SEC-004", "observe.alerts.endpoints.a"),
        ('endpoints = { a = "file:open" }', "E-SEC-006", "observe.alerts.endpoints.a"),
        ('endpoints = { a = "file:bad" }', "E-CFG-073", "observe.alerts.endpoints.a"),
        ('endpoints = { "a b" = "file:good" }', "E-CFG-071", 'observe.alerts.endpoints."a b"'),
        ("endpoints = {}", "E-CFG-024", "observe.alerts.endpoints"),
        ('endpoints = { a = "file:good" }\ndaily = "25:00"', "E-CFG-025", "observe.alerts.daily"),
        (
            'endpoints = { phone = "file:good" }\nrules = [{ to = ["fone"] }]',
            "E-CFG-071",
            "observe.alerts.rules[0].to[0]",
        ),
        (
            'endpoints = { a = "file:good" }\nrules = [{ to = ["a"], about = ["kills"] }]',
            "E-CFG-023",
            "observe.alerts.rules[0].about[0]",
        ),
        ('endpoints = { a = "file:good" }\nrules = [{ to = [] }]', "E-CFG-024", ""),
    ],
)
def test_what_is_wrong_with_alerts(tmp_path: Path, more: str, code: str, key: str) -> None:
    secret_file(tmp_path, "good", "json://127.0.0.1")
    secret_file(tmp_path, "bad", "gopher://the-rest-of-it")
    secret_file(tmp_path, "open", "json://127.0.0.1")
    (tmp_path / "open").chmod(0o644)
    problems = found(tmp_path, f"[observe.alerts]\n{more}\n")
    assert [one.code for one in problems] == [code], [str(one) for one in problems]
    assert not key or problems[0].key == key
    assert problems[0].line > 5
    assert HOOK_TOKEN not in str(problems[0])
    assert "the-rest-of-it" not in str(problems[0])
    assert "inline" not in problems[0].came


def test_a_name_that_is_nearly_right_is_offered(tmp_path: Path) -> None:
    secret_file(tmp_path, "good", GOOD)
    more = '[observe.alerts]\nendpoints = { phone = "file:good" }\nrules = [{ to = ["fone"] }]\n'
    (problem,) = found(tmp_path, more)
    assert "phone" in problem.text
    assert "did you mean" in problem.text


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ('token = "12345:inline"\nchats = [1]', "E-SEC-001"),
        ('token = "env:T"', "E-CFG-010"),
        ('token = "env:T"\nchats = []', "E-CFG-024"),
        ('token = "env:T"\nchats = ["me"]', "E-CFG-020"),
        ('token = "env:T"\nchats = [1]\napi = "http://example.com"', "E-CFG-072"),
        ('token = "env:T"\nchats = [1]\napi = "example.com"', "E-CFG-025"),
    ],
)
def test_what_is_wrong_with_the_bot(
    tmp_path: Path, more: str, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("T", "123456:a-token")
    problems = found(tmp_path, f"[observe.telegram]\n{more}\n")
    assert [one.code for one in problems] == [code]
    assert "inline" not in problems[0].came


def test_the_missing_extra_is_named_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret_file(tmp_path, "good", GOOD)
    monkeypatch.setitem(sys.modules, "apprise", None)
    endpoints.library.cache_clear()
    more = '[observe.alerts]\nendpoints = { a = "file:good", b = "file:good" }\n'
    (problem,) = found(tmp_path, more)
    endpoints.library.cache_clear()
    assert problem.code == "E-CFG-074"
    assert "pip install 'fairlead[observe]'" in problem.text


def test_a_backtest_tells_nobody(tmp_path: Path) -> None:
    more = '[observe.alerts]\nendpoints = { a = "env:NOT_SET_5F1C" }\n'
    assert ("E-SEC-002", "observe.alerts.endpoints.a") not in codes(tmp_path, more, "backtest")


def alert(*words: str) -> Any:
    return CliRunner().invoke(app, ["alert", "test", *words])


def test_a_test_message_is_sent_and_told_of(tmp_path: Path) -> None:
    hook, dead = Hook(), Hook()
    dead.refuses = True
    with open_people(hook, dead):
        secret_file(tmp_path, "a", hook.url)
        secret_file(tmp_path, "b", dead.url)
        path = tmp_path / "test.toml"
        path.write_text(TEXT + '[observe.alerts]\nendpoints = { a = "file:a", b = "file:b" }\n')
        result = alert(str(path), "--to", "a")
        assert (result.exit_code, result.stdout) == (0, "a: sent\n")
        assert hook.titles == ["test: TEST"]
        result = alert(str(path))
        assert result.exit_code == 5
        assert "a: sent" in result.stdout
        assert "503" in result.stdout
        assert HOOK_TOKEN not in result.output
        result = alert(str(path), "--json", "--to", "b")
        assert '"ok":false' in result.stdout.replace(" ", "")
        assert "ALERTS-NAME" in alert(str(path), "--to", "c").output
        path.write_text(TEXT)
        assert alert(str(path)).exit_code == 3
