"""What NautilusTrader says while a short node looks: of one that failed, in the line that tells."""

from __future__ import annotations

import os

import pytest

from fairlead.engine.processes import speech
from fairlead.engine.run.native.words import Words, kept_back

SAID = (
    "2026-01-01T00:00:00.000000000Z [ERROR] FAIRLEAD-001.BinanceClient: 401 of "
    "http://127.0.0.1:9/fapi/v3/account?timestamp=1&signature=ab12 (Invalid API-key)\n"
)


@pytest.fixture
def apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a run: its own lines go to a descriptor of their own."""
    monkeypatch.setattr(speech, "fd", 99)


def _speaks(words: Words, *, fails: bool) -> None:
    with kept_back(words):
        os.write(1, SAID.encode())
        os.write(2, b"thread panicked\n")
        if fails:
            raise ValueError("no answer")


def test_of_a_look_that_failed_its_last_error_is_told_and_not_shown(
    apart: None, capfd: pytest.CaptureFixture[str]
) -> None:
    words = Words()
    with pytest.raises(ValueError, match="no answer"):
        _speaks(words, fails=True)
    os.write(1, b"after\n")
    assert words.last == (
        "BinanceClient: 401 of http://127.0.0.1:9/fapi/v3/account?... (Invalid API-key)"
    )
    told = capfd.readouterr()
    assert (told.out, told.err) == ("after\n", "thread panicked\n")


def test_of_one_that_did_not_all_is_shown(apart: None, capfd: pytest.CaptureFixture[str]) -> None:
    _speaks(words := Words(), fails=False)
    told = capfd.readouterr()
    assert (told.out, told.err) == ("", SAID + "thread panicked\n")
    assert words.last


def test_where_the_process_has_its_own_lines_there_nothing_is_kept_back(
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert speech.fd == 2
    _speaks(words := Words(), fails=False)
    told = capfd.readouterr()
    assert (told.out, told.err) == (SAID, "thread panicked\n")
    assert not words.last
