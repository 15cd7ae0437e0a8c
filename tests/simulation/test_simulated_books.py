"""Books under fire: what a strategy is shown was the venue's book, and gaps are recorded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from nautilus_trader.model import InstrumentId, OrderBookDeltas

from fairlead.adapters.base.book import SequencedBook
from fairlead.adapters.base.connection import StreamSupervisor
from fairlead.adapters.base.data_client import VenueDataClient
from fairlead.adapters.base.snapshot_channel import SnapshotChannel
from fairlead.engine.recording.gaps import GapKind, GapRow
from fairlead.engine.sessions.books import ShownBook
from fairlead.engine.sessions.plan import FRAME_RATES, FrameFault, Plan, draw
from fairlead.engine.sessions.run import run_plan
from fairlead.engine.sessions.session import Result
from fairlead.engine.sessions.trace import Trace
from tests.support.venues import playable

VENUES = playable()
ALL = {kind: rate / 2 for kind, rate in FRAME_RATES.items()}


def under_fire(venue: str, seed: int, frames: dict[FrameFault, float], **more: Any) -> Result:
    """A session with many changes of a book that is seldom empty."""
    plan: dict[str, Any] = {"secs": 60.0, "volatility_bps": 8.0, "actions_per_sec": 0.2, **more}
    return run_plan(Plan(seed=seed, venue=venue, frames=frames, **plan))


@pytest.mark.parametrize("venue", VENUES)
def test_a_book_under_fire_is_true_or_told_to_be_wrong(venue: str) -> None:
    results = [under_fire(venue, seed, ALL) for seed in range(1, 11)]
    assert [result.violations for result in results if result.violations] == []
    faults = {kind for result in results for kind in result.faults}
    assert {f"frame_{kind.value}" for kind in FrameFault} <= faults
    assert sum(result.counts["books"] for result in results) > 500
    assert sum(result.counts["book_gaps"] for result in results) > 20


@pytest.mark.parametrize("venue", VENUES)
def test_a_silent_connection_is_given_up(venue: str) -> None:
    silent = under_fire(venue, 3, {FrameFault.SILENT: 0.01}, secs=400.0)
    assert silent.violations == []
    assert silent.faults["frame_silent"] > 1, "none was found and renewed while there were faults"


def test_one_seed_is_one_session_with_its_frames() -> None:
    for venue in VENUES:
        assert under_fire(venue, 5, ALL) == under_fire(venue, 5, ALL)


def test_half_of_the_seeds_have_a_public_stream_and_some_of_the_faults() -> None:
    drawn = [draw(seed, venue).frames for seed in range(1, 201) for venue in VENUES]
    streams = [frames for frames in drawn if frames is not None]
    assert 0.4 < len(streams) / len(drawn) < 0.6
    assert {kind for frames in streams for kind in frames} == set(FrameFault)


# -- books that are broken on purpose --------------------------------------------------------------


def _forgets_the_chain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any update fits."""
    update = SequencedBook.update

    def fits(self: SequencedBook, last_id: int, *rest: Any) -> Any:
        return update(self, self.last_id, *rest)

    monkeypatch.setattr(SequencedBook, "update", fits)


def _keeps_what_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a frame that can't be read nor the end of the connection clears the book."""
    monkeypatch.setattr(SnapshotChannel, "break_off", lambda self, reason, ts_init: ())


def _records_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def forget(self: VenueDataClient, kept: Any, now_ns: int) -> None:
        kept.gap_since_ns = 0

    monkeypatch.setattr(VenueDataClient, "_record_gap", forget)


def _waits_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection on which nothing comes is believed."""

    async def nothing(self: StreamSupervisor, connection: Any) -> None:
        await self._ended  # type: ignore[misc]

    monkeypatch.setattr(StreamSupervisor, "_keep_alive", nothing)


def _drops_levels(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the client hands on lacks its last change."""
    on_deltas = VenueDataClient._on_deltas

    def shorter(self: VenueDataClient, deltas: OrderBookDeltas) -> None:
        kept = deltas.deltas[:-1] or deltas.deltas
        on_deltas(self, OrderBookDeltas(deltas.instrument_id, kept))

    monkeypatch.setattr(VenueDataClient, "_on_deltas", shorter)


BROKEN: dict[str, tuple[Callable[[pytest.MonkeyPatch], None], str, set[str]]] = {
    "forgets-the-chain": (_forgets_the_chain, "poloniex", {"BOOK-WRONG", "BOOK-CROSSED"}),
    "keeps-what-it-has": (_keeps_what_it_has, "oceanex", {"BOOK-UNREADABLE", "BOOK-UNCLEARED"}),
    "records-nothing-oceanex": (_records_nothing, "oceanex", {"BOOK-UNRECORDED"}),
    "records-nothing-poloniex": (_records_nothing, "poloniex", {"BOOK-UNRECORDED"}),
    "waits-for-ever": (_waits_for_ever, "poloniex", {"BOOK-SILENT"}),
    "drops-levels": (_drops_levels, "oceanex", {"BOOK-WRONG"}),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_book_is_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    breaking, venue, expected = BROKEN[name]
    breaking(monkeypatch)
    frames = {FrameFault.SILENT: 0.01} if breaking is _waits_for_ever else ALL
    codes: set[str] = set()
    for seed in range(1, 6):
        codes |= {v.code for v in under_fire(venue, seed, frames, secs=90.0).violations}
        if codes & expected:
            return
    pytest.fail(f"5 seeds did not show it; they showed {codes or 'nothing'}")


# -- the judge -------------------------------------------------------------------------------------

IID = InstrumentId.from_str("BTC_USDT.VENUE")
FIRST = {"100": "1", "99": "2"}, {"101": "1"}
SECOND = {"100": "1", "99": "3"}, {"101": "1"}


def _moment(book: tuple[dict[str, str], dict[str, str]]) -> tuple[Any, Any]:
    return tuple({Decimal(p): Decimal(q) for p, q in side.items()} for side in book)  # type: ignore[return-value]


def _whole(book: tuple[dict[str, str], dict[str, str]], ts_event: int = 1) -> OrderBookDeltas:
    bids, asks = ([*side.items()] for side in book)
    deltas = SequencedBook(IID, 2, 6).snapshot(1, asks, bids, ts_event, ts_event)
    assert isinstance(deltas, OrderBookDeltas)
    return deltas


def _judged(
    *told: OrderBookDeltas, sequenced: bool = True, moments: Sequence[Any] = (FIRST, SECOND)
) -> list[str]:
    """The codes of what is wrong when the venue had these moments and this is told."""
    broken: list[str] = []
    true: Any = SimpleNamespace(moments=[_moment(moment) for moment in moments])
    shown = ShownBook(true, sequenced, lambda code, detail: broken.append(code), Trace())
    for deltas in told:
        shown.apply(deltas, is_stopping=False)
    shown.check_recorded()
    return broken


def test_a_true_book_is_right_and_an_older_one_before_a_newer() -> None:
    assert _judged(_whole(FIRST), _whole(SECOND)) == []
    assert _judged(_whole(SECOND)) == []


def test_a_book_that_goes_back_is_wrong_where_frames_have_a_sequence() -> None:
    back = _whole(SECOND), _whole(FIRST)
    assert _judged(*back) == ["BOOK-WRONG"]
    assert _judged(*back, sequenced=False) == []


def test_a_level_too_many_or_of_another_size_is_wrong() -> None:
    assert _judged(_whole(({**FIRST[0], "98": "1"}, FIRST[1]))) == ["BOOK-WRONG"]
    assert _judged(_whole(({**FIRST[0], "99": "2.5"}, FIRST[1]))) == ["BOOK-WRONG"]
    assert _judged(_whole(({"100": "1"}, FIRST[1]))) == ["BOOK-WRONG"], "a side may not end early"


def test_a_side_may_end_after_twenty_levels() -> None:
    deep = {str(200 - number): "1" for number in range(25)}
    top = dict(list(deep.items())[:20])
    assert _judged(_whole((top, {"201": "1"})), moments=[(deep, {"201": "1"})]) == []
    hole = {price: size for price, size in deep.items() if price not in ("199", "176", "177")}
    assert _judged(_whole((hole, {"201": "1"})), moments=[(deep, {"201": "1"})]) == ["BOOK-WRONG"]


def test_event_time_goes_forward() -> None:
    assert _judged(_whole(FIRST, 5), _whole(SECOND, 4)) == ["BOOK-TIME"]


def test_a_cleared_book_needs_a_record() -> None:
    ladder = SequencedBook(IID, 2, 6)
    told = _whole(FIRST), ladder.clear(9), _whole(FIRST, 2)
    assert _judged(*told) == ["BOOK-UNRECORDED"]
    broken: list[str] = []
    true: Any = SimpleNamespace(moments=[_moment(FIRST)])
    shown = ShownBook(true, True, lambda code, detail: broken.append(code), Trace())
    for deltas in told:
        shown.apply(deltas, is_stopping=False)
    shown.append(GapRow(kind=GapKind.GAP, instrument="", reason="", from_ns=1, to_ns=2))
    shown.check_recorded()
    assert broken == []
