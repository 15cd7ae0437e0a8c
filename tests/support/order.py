"""Which worker begins with which tests: those that wait come first, and each worker has some.

Tests with processes of their own wait most of their time. Where one worker has them all, the rest
is done soon and the cores are idle to the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import groupby, islice

# Folders whose tests wait, those with the longest tests first, and how long beside one another.
WAITING = {"crash": 8, "documents": 12, "conformance": 1, "live": 2, "parity": 1}


def dealt[T](
    items: Sequence[T], workers: int, folder_file: Callable[[T], tuple[str, str]]
) -> list[T]:
    """The items in an order whose equal parts, one a worker, each begin with what waits.

    `folder_file` tells the folder and the file of an item; a file stays together. Where one has
    more than such a part the items stay as they are.
    """
    files = [list(group) for _, group in groupby(items, folder_file)]
    waiting = [file for file in files if folder_file(file[0])[0] in WAITING]
    hands: list[list[T]] = [[] for _ in range(workers)]
    weights = [0] * workers
    for file in sorted(waiting, key=lambda file: _place(folder_file(file[0])[0], file)):
        least = weights.index(min(weights))
        hands[least] += file
        weights[least] += len(file) * WAITING[folder_file(file[0])[0]]
    rest = iter([one for file in files if folder_file(file[0])[0] not in WAITING for one in file])
    found: list[T] = []
    for left, hand in zip(range(workers, 0, -1), hands, strict=True):
        room = (len(items) - len(found)) // left
        if len(hand) > room:
            return list(items)
        found += [*hand, *islice(rest, room - len(hand))]
    return found


def _place[T](folder: str, file: Iterable[T]) -> tuple[int, int]:
    return list(WAITING).index(folder), -len(list(file))
