"""Bounds that a random input seldom meets: memory, and texts that only look like numbers."""

from __future__ import annotations

import sqlite3
import tracemalloc
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.adapters.base.book import padded
from fairlead.adapters.base.ratelimit import retry_after_secs
from fairlead.adapters.base.venue import ParseError, VenueErrorKind
from fairlead.adapters.oceanex.errors import RATE_PENALTY_SECS, status_error
from fairlead.engine.config.problems import ConfigError, came_text
from fairlead.engine.orders.journal import Journal, JournalError
from fairlead.engine.orders.model import Intent, Kind, Side
from fairlead.engine.recording.raw import verify
from fairlead.engine.recording.redact import MARK, Redactor
from fairlead.engine.run.config import load
from tests.property.bombs import bombs

MIB = 1 << 20


@pytest.mark.parametrize("name", ["a frame larger than its header says", "magics"])
def test_a_few_bytes_of_recording_do_not_take_gigabytes(tmp_path: Path, name: str) -> None:
    path = tmp_path / "1.fraw.zst"
    path.write_bytes(bombs("raw-file")[name])
    tracemalloc.start()
    try:
        (check,) = verify(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert not check.ok
    assert peak < 160 * MIB  # one block of the largest size, and the faults


@pytest.mark.parametrize("told", ["²", "٣", "1e9", "-1", "", "9" * 5_000, "30"])
def test_retry_after_is_a_number_or_the_default(told: str) -> None:
    error = status_error(429, retry_after_secs({"Retry-After": told}, 0), "")
    assert error.kind is VenueErrorKind.RATE_LIMITED
    assert error.retry_after_secs == (30.0 if told == "30" else RATE_PENALTY_SECS)


@pytest.mark.parametrize("number", ["9" * 400, "9" * 5_000, "0x" + "f" * 10_000, "-1" + "0" * 30])
def test_integers_beyond_64_bits_are_problems_of_the_config(tmp_path: Path, number: str) -> None:
    path = tmp_path / "run.toml"
    path.write_text(f"[run]\nstop_timeout_secs = {number}\n")
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert any(p.code in ("E-CFG-003", "E-CFG-020") for p in caught.value.problems)


@pytest.mark.parametrize("value", ["0x" + "f" * 5_000, "[0x" + "f" * 5_000 + "]"])
@pytest.mark.parametrize("key", ["name", "run.seed", "record.raw"])  # a text, an integer, a boolean
def test_integers_that_python_does_not_write_are_no_crash(
    tmp_path: Path, key: str, value: str
) -> None:
    path = tmp_path / "run.toml"
    path.write_text(f"{key} = {value}\n")
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert any(p.code == "E-CFG-020" and p.key == key for p in caught.value.problems)


def test_a_huge_integer_is_told_by_its_size() -> None:
    assert came_text(1 << 40_000) == "an integer of 40001 bits"
    assert came_text(-5) == "the integer -5"
    assert came_text(True) == "the boolean true"


def intent() -> Intent:
    return Intent(
        client_order_id="c1",
        strategy="s",
        instrument="A.B",
        side=Side.BUY,
        kind=Kind.LIMIT,
        quantity=Decimal(1),
        price=Decimal(1),
    )


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("intent", b'{"client_order_id":"\xff"}'),
        ("intent", b"["),
        ("state", "DONE"),
        ("filled", "NaN"),
        ("cost", "1 000"),
    ],
)
def test_a_corrupt_order_is_a_journal_error(tmp_path: Path, column: str, value: object) -> None:
    path = tmp_path / "orders.db"
    journal = Journal(path, fsync=False, now_ns=lambda: 1)
    journal.intend([intent()])
    with sqlite3.connect(path) as db:
        db.execute(f"UPDATE orders SET {column} = ?", (value,))
    with pytest.raises(JournalError, match="never wrote"):
        journal.open_orders()
    journal.close()


TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJ1aWQiOiJvY2VhbiJ9.c2lnbmF0dXJlX3Nob3VsZF9nbw"


@pytest.mark.parametrize("before", ["", " ", "jwt=", '"', "x-", "a.b ", "eyJ-", "-eyJaaaaa-"])
def test_tokens_are_found_wherever_they_begin(before: str) -> None:
    clean = Redactor().text(f"{before}{TOKEN}&x=1")
    assert "c2lnbmF0dXJl" not in clean
    assert "eyJ1aWQi" not in clean
    assert MARK in clean


def test_parts_of_a_form_are_found_behind_their_headers() -> None:
    body = '--b\r\nContent-Disposition: form-data; name="secret"\r\nX: y\r\n\r\nhush\r\n--b--'
    assert "hush" not in Redactor().text(body)


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60) | st.decimals().map(str), st.integers(0, 16))
def test_padded_numbers_are_the_same_numbers(text: str, precision: int) -> None:
    try:
        out = padded(text, precision)
    except ParseError:
        return
    assert Decimal(out) == Decimal(text)
    assert -Decimal(out).as_tuple().exponent == precision
