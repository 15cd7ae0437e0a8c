"""A table that keeps the newest entries: a run of weeks must not grow by what it did long ago."""

from __future__ import annotations

from collections import OrderedDict


class Newest[K, V](OrderedDict[K, V]):
    """At most `most` entries, in the order in which they came; the oldest go, and are counted."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most
        self.dropped = 0

    def __setitem__(self, key: K, value: V) -> None:
        super().__setitem__(key, value)
        if len(self) > self.most:
            self.popitem(last=False)
            self.dropped += 1
