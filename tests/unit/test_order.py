"""The tests that wait are dealt out to the workers, and none is lost."""

from __future__ import annotations

from tests.support.order import dealt


def folder_file(item: str) -> tuple[str, str]:
    folder, file, _ = item.split("/")
    return folder, file


def made(**files: int) -> list[str]:
    return [
        f"{name.replace('_', '/')}/{at}" for name, count in files.items() for at in range(count)
    ]


def test_each_worker_begins_with_what_waits_and_files_stay_together() -> None:
    items = made(crash_a=2, live_a=3, live_b=4, live_c=2, unit_a=20, venues_a=9)
    found = dealt(items, 3, folder_file)
    assert sorted(found) == sorted(items)
    parts = found[:13], found[13:26], found[26:]
    assert [part[0].rpartition("/")[0] for part in parts] == ["crash/a", "live/b", "live/a"]
    for name in ("live/a", "live/b", "live/c"):
        places = [at for at, one in enumerate(found) if one.startswith(name)]
        assert places == list(range(places[0], places[0] + len(places)))


def test_what_does_not_go_up_in_parts_stays_as_it_is() -> None:
    items = made(live_a=8, unit_a=1)
    assert dealt(items, 3, folder_file) == items
    assert dealt(items, 1, folder_file) == items
    assert dealt([], 3, folder_file) == []
