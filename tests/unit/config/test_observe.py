"""Where the page may be served: on this machine, unless a person decides otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairlead.engine.config.problems import ConfigError
from fairlead.engine.run.config import load

TEXT = """
name = "test"
[venues.oceanex]
adapter = "oceanex"
instruments = ["BTC_USDT.OCEANEX"]
[observe]
page = "{page}"
"""


def loaded(folder: Path, page: str, more: str = "") -> set[str]:
    """Codes of what is wrong with it."""
    path = folder / "test.toml"
    path.write_text(TEXT.format(page=page) + more)
    try:
        assert load(path).config.observe.page == page
    except ConfigError as error:
        return {one.code for one in error.problems}
    return set()


@pytest.mark.parametrize("page", ["127.0.0.1:8787", "localhost:0", "[::1]:8787", "127.1.2.3:65535"])
def test_loopback(tmp_path: Path, page: str) -> None:
    assert loaded(tmp_path, page) == set()


@pytest.mark.parametrize("page", ["0.0.0.0:8787", "[::]:8787", "10.0.0.1:80", "host.example:80"])
def test_what_others_reach_is_a_decision(tmp_path: Path, page: str) -> None:
    assert loaded(tmp_path, page) == {"E-CFG-048"}
    assert loaded(tmp_path, page, "remote = true\n") == set()


@pytest.mark.parametrize(
    ("page", "code"),
    [
        ("127.0.0.1:65536", "E-CFG-048"),
        ("127.0.0.1:99999", "E-CFG-048"),
        ("127.0.0.1", "E-CFG-025"),
        ("http://127.0.0.1:8787", "E-CFG-025"),
        (":8787", "E-CFG-025"),
    ],
)
def test_what_is_no_address(tmp_path: Path, page: str, code: str) -> None:
    assert loaded(tmp_path, page) == {code}
