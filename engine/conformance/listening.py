"""A public stream of an adapter, heard item by item, beside the book that the stage has."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from fairlead.adapters.base.venue import Feed, StreamItem
from fairlead.engine.conformance.stage import Stage

Heard = tuple[int, Any]  # the loop's time in ns when it came, and the item


def _kept(protocol: Any, frames: list[bytes]) -> Any:
    """The protocol, which keeps the frames it receives: itself, for what it is asked to be is
    looked at (`SignedHandshake`)."""
    received = protocol.received

    def keeping(frame: bytes | str, ts_init: int) -> Iterable[StreamItem]:
        frames.append(frame.encode() if isinstance(frame, str) else frame)
        items: Iterable[StreamItem] = received(frame, ts_init)
        return items

    protocol.received = keeping
    return protocol


class Listener:
    """Every item of the feeds, from now on."""

    def __init__(self, stage: Stage, feeds: Sequence[Feed]) -> None:
        self.items: list[Heard] = []
        self.frames: list[bytes] = []
        self._stage = stage
        made = stage.process.runtime.adapter.market_data.public_stream()
        self.protocol = kept = _kept(made, self.frames)
        with stage.owned():
            self._stream = stage.process.runtime.stream("card", kept, self._on_item)
            for feed in feeds:
                self._stream.add_feed(feed)
            self._stream.start()

    def _on_item(self, item: StreamItem) -> None:
        self.items.append((self._stage.loop.now_ns(), item))

    def of(self, kind: type) -> list[Heard]:
        return [heard for heard in self.items if isinstance(heard[1], kind)]

    async def stop(self) -> None:
        await self._stream.stop()
