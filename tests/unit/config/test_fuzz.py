"""Any text gives a config or a ConfigError with places inside the file, and nothing else."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fairlead.engine.config.loader import PROBLEMS_MAX
from fairlead.engine.config.problems import ConfigError
from fairlead.engine.run.config import load
from tests.unit.config_stub import CONFIGS, stub_adapter

FULL = (CONFIGS / "full.toml").read_text()
WORDS = ["5", "1.5", "true", '"x"', "[]", "{}", "[[1]]", "[{}]", "{ a = 1 }", "2026-01-01", "nan"]
QUIET = [HealthCheck.function_scoped_fixture]


@pytest.fixture(autouse=True, scope="module")
def _stub() -> Iterator[None]:
    with stub_adapter():
        yield


def load_text(path: Path, text: str) -> ConfigError | None:
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    try:
        load(path)
    except ConfigError as e:
        return e
    return None


def assert_places(error: ConfigError | None, text: str) -> None:
    if error is None:
        return
    rows = text.split("\n")
    for problem in error.problems:
        assert 1 <= problem.line <= len(rows), problem
        assert 1 <= problem.col <= len(rows[problem.line - 1]) + 2, problem


@settings(max_examples=300, deadline=None, suppress_health_check=QUIET)
@given(
    st.lists(
        st.tuples(
            st.integers(0, len(FULL) - 1),
            st.integers(0, 12),
            st.text(st.sampled_from("abX.09_- \n\t#=[]{},'\"\\é"), max_size=4),
        ),
        min_size=1,
        max_size=3,
    )
)
def test_damaged_text(tmp_path: Path, edits: list[tuple[int, int, str]]) -> None:
    text = FULL
    for start, length, new in edits:
        text = text[:start] + new + text[start + length :]
    assert_places(load_text(tmp_path / "run.toml", text), text)


@settings(max_examples=300, deadline=None, suppress_health_check=QUIET)
@given(st.data())
def test_values_of_any_type_in_any_place(tmp_path: Path, data: st.DataObject) -> None:
    rows = FULL.splitlines()
    for number in data.draw(st.lists(st.integers(0, len(rows) - 1), min_size=1, max_size=3)):
        key, equals, _ = rows[number].partition(" = ")
        if equals:
            rows[number] = f"{key} = {data.draw(st.sampled_from(WORDS))}"
    text = "\n".join(rows)
    assert_places(load_text(tmp_path / "run.toml", text), text)


@pytest.mark.parametrize("depth", [100, 150, 200, 300, 500, 100_000])
def test_brackets_in_each_other(tmp_path: Path, depth: int) -> None:
    text = FULL.replace('"4.0"', "[" * depth + "]" * depth)
    error = load_text(tmp_path / "run.toml", text)
    assert error is None or [problem.code for problem in error.problems] == ["E-CFG-003"]
    assert depth > 100 or error is None


def test_a_file_full_of_mistakes_is_told_in_bounded_time(tmp_path: Path) -> None:
    text = FULL + "[record2]\n[run.x]\n" + "".join(f"[k{n}]\na{n} = 1\n" for n in range(20_000))
    begin = time.process_time()
    error = load_text(tmp_path / "run.toml", text)
    assert error is not None
    assert len(error.problems) == PROBLEMS_MAX
    assert time.process_time() - begin < 20
