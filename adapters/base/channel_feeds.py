"""What is subscribed: of a stream whose channels bring several feeds, and of one without any."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fairlead.adapters.base.venue import Feed


class NoFeeds:
    """The part of a `StreamProtocol` that has none: what it brings, `opened` subscribes."""

    def subscribe(self, feed: Feed) -> Sequence[str]:
        return ()

    def unsubscribe(self, feed: Feed) -> Sequence[str]:
        return ()


class ChannelFeeds:
    """Feeds by the venue's name of the channel that brings them; iteration gives these names."""

    def __init__(self) -> None:
        self._by_channel: dict[str, list[Feed]] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_channel)

    def of(self, channel: str) -> Sequence[Feed]:
        """In the order in which they were asked for; none of a channel that is not subscribed."""
        return self._by_channel.get(channel, ())

    def add(self, channel: str, feed: Feed) -> bool:
        """Whether the channel is to be subscribed for it."""
        feeds = self._by_channel.setdefault(channel, [])
        if feed not in feeds:
            feeds.append(feed)
            return len(feeds) == 1
        return False

    def drop(self, channel: str, feed: Feed) -> bool:
        """Whether the channel is to be unsubscribed: this was the last that it brought."""
        feeds = self._by_channel.get(channel, [])
        if feed not in feeds:
            return False
        feeds.remove(feed)
        if feeds:
            return False
        del self._by_channel[channel]
        return True
