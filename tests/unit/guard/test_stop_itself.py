"""A strategy that ends itself is told, and told how to end the run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fairlead.engine.recording.catalog import utc
from tests.data import stopping
from tests.unit.backtest_kit import perpetual, run, write_catalog

PERP = "BTCUSDT.TEST"


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("stopping") / "catalog"
    return write_catalog(root, perpetual(PERP), seconds=2, seed=11)


def ended(
    folder: Path, catalog: Path, where: str, how: str, reason: str = "", cls: str = "Stopping"
) -> Any:
    params = {"instrument_id": PERP, "where": where, "how": how, "reason": reason}
    result = run(folder, catalog, f"tests.data.stopping:{cls}", params)
    result.dispose()
    return result


def test_stop_before_there_is_anything_to_stop_names_the_line_and_the_way(
    tmp_path: Path, catalog: Path
) -> None:
    result = ended(tmp_path, catalog, "on_start", "stop")
    assert result.exit_code == 10
    (fault,) = result.summary.faults
    assert fault.place.startswith(f"{stopping.__file__}:")
    assert "self.stop() came before the end of on_start" in fault.message
    assert "self.shutdown_system(reason) ends the run in order" in fault.message


def test_a_strategy_that_stops_itself_is_told_of_a_run_that_goes_on(
    tmp_path: Path, catalog: Path
) -> None:
    result = ended(tmp_path, catalog, "on_book_deltas", "stop")
    assert result.exit_code == 0
    (told,) = [line for line in result.summary.notes if "STRATEGY-STOPPED" in line]
    assert told.startswith("STRATEGY-STOPPED: Test-001 was stopped by its stop(): it hears nothing")
    assert not told.endswith("times)")


@pytest.mark.parametrize("where", ["on_start", "on_book_deltas", "nowhere"])
def test_a_run_that_is_ended_or_over_is_not_told_so(
    tmp_path: Path, catalog: Path, where: str
) -> None:
    result = ended(tmp_path, catalog, where, "shutdown_system")
    told = result.summary
    assert not [line for line in told.notes if "STRATEGY-STOPPED" in line]
    assert not told.faults


@pytest.mark.parametrize("where", ["on_start", "on_book_deltas"])
@pytest.mark.parametrize("reason", ["", "enough of it"])
def test_a_backtest_that_its_strategy_ends_is_told_with_the_reason_and_the_time_that_it_covers(
    tmp_path: Path, catalog: Path, where: str, reason: str
) -> None:
    whole = ended(tmp_path, catalog, "nowhere", "stop").summary
    told = ended(tmp_path, catalog, where, "shutdown_system", reason).summary
    why = reason or "a strategy asked for it"
    assert (told.exit_code, told.outcome) == (0, f"stopped: {why}")
    assert told.start_ns <= told.end_ns < whole.end_ns
    assert told.notes[0] == (
        f"STRATEGY-ENDED: the run ended at {utc(told.end_ns)}: {why}; the data after that, until "
        f"{utc(whole.end_ns)}, is not in these figures"
    )
    assert not [line for line in whole.notes if "STRATEGY-ENDED" in line]


def test_a_backtest_that_a_fault_ends_covers_the_time_until_then(
    tmp_path: Path, catalog: Path
) -> None:
    whole = ended(tmp_path, catalog, "nowhere", "stop").summary
    told = ended(tmp_path, catalog, "on_book_deltas", "fail").summary
    assert told.exit_code == 10
    assert told.end_ns < whole.end_ns
    assert "Test-001 raised AttributeError in on_book_deltas" in told.notes[0]


@pytest.mark.parametrize(
    ("cls", "callback", "error", "words"),
    [
        ("Wordy", "flat_on_stop", "BadAnswerError", 'return "BTCUSDT.TEST"'),
        ("Raising", "flat_on_stop", "LookupError", 'LookupError("no word")'),
        ("Replaced", "on_stop", "AssignedError", "= lambda: None"),
    ],
)
def test_what_is_wrong_at_the_end_is_a_fault_of_a_backtest_as_it_is_live(
    tmp_path: Path, catalog: Path, cls: str, callback: str, error: str, words: str
) -> None:
    result = ended(tmp_path, catalog, "on_book_deltas", "quiet", cls=cls)
    assert result.exit_code == 10
    (fault,) = result.summary.faults
    assert (fault.callback, fault.error) == (callback, error)
    file, _, line = fault.place.rpartition(":")
    assert file == stopping.__file__
    near = Path(file).read_text().splitlines()[int(line) - 1 : int(line) + 1]
    assert words in "".join(near)  # the method, or the line in it
