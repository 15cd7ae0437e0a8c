"""Feeds that share a channel: it is subscribed for the first, and left with the last."""

from __future__ import annotations

from fairlead.adapters.base.channel_feeds import ChannelFeeds
from fairlead.adapters.base.venue import Feed, FeedKind

BTC, ETH = (Feed(FeedKind.TICKER, name) for name in ("BTC_USDT.X", "ETH_USDT.X"))


def test_a_channel_is_subscribed_for_its_first_feed_and_left_with_its_last() -> None:
    feeds = ChannelFeeds()
    assert feeds.add("tickers", BTC)
    assert not feeds.add("tickers", ETH), "it comes with the first"
    assert not feeds.add("tickers", BTC), "it is there"
    assert (list(feeds), feeds.of("tickers")) == (["tickers"], [BTC, ETH])
    assert not feeds.drop("tickers", BTC), "it brings the other still"
    assert not feeds.drop("tickers", BTC), "it is gone"
    assert feeds.drop("tickers", ETH)
    assert (list(feeds), feeds.of("tickers")) == ([], ())
    assert not feeds.drop("tickers", ETH)
    assert feeds.add("tickers", ETH), "it begins anew"
