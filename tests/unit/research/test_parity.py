"""What differs between two rows of one order, and of which class it is."""

from __future__ import annotations

from typing import Any

import pytest

from fairlead.engine.research.parity import Difference, Variant, compared

SECOND_NS = 1_000_000_000
BEGIN_NS = 1_700_000_000 * SECOND_NS


def fill(fee: str, liquidity: str, ts: int = BEGIN_NS + SECOND_NS, size: str = "0.02") -> Any:
    return {
        "trade_id": "1",
        "quantity": size,
        "price": "59282.2",
        "fee": fee,
        "liquidity": liquidity,
        "ts_event": ts,
    }


def row(*fills: Any, name: str = "O-1", **other: Any) -> dict[str, Any]:
    return {
        "client_order_id": name,
        "strategy": "Maker-001",
        "instrument": "BTC_USDT.OCEANEX",
        "price": "59282.2",
        "changes": [],
        "status": "FILLED",
        "reason": None,
        "ts_init": BEGIN_NS,
        "ts_accepted": BEGIN_NS,
        "ts_last": BEGIN_NS + 2 * SECOND_NS,
        "fills": list(fills),
    } | other


def differences(mine: Any, theirs: Any, *more: Any, slack_ns: int = SECOND_NS) -> list[Difference]:
    """`more` are rows of both."""
    replayed = {one["client_order_id"]: one for one in (theirs, *more)}
    return compared([mine, *more], replayed, lacking=(), slack_ns=slack_ns)


@pytest.mark.parametrize("liquidity", ["MAKER", "TAKER"])
def test_a_liquidity_that_the_venue_did_not_tell_differs_from_none(liquidity: str) -> None:
    found = differences(row(fill("1.5 USDT", "NOT TOLD")), row(fill("1.50 USDT", liquidity)))
    assert found == []


def test_fees_are_equal_to_the_decimal_that_both_have() -> None:
    """A venue tells more decimals than the account's currency has."""
    told, kept = "0.05928220284 USDT", "0.05928220 USDT"
    assert differences(row(fill(told, "NOT TOLD")), row(fill(kept, "MAKER"))) == []
    assert differences(row(fill(told, "MAKER")), row(fill(kept, "MAKER"))) == []
    half, beyond = "0.059282205 USDT", "0.0592822050001 USDT"
    assert differences(row(fill(half, "MAKER")), row(fill(kept, "MAKER"))) == []
    (found,) = differences(row(fill(beyond, "MAKER")), row(fill(kept, "MAKER")))
    assert found.kind == "fee"
    (found,) = differences(row(fill("0.05928220 BTC", "MAKER")), row(fill(kept, "MAKER")))
    assert found.kind == "fee"


def test_zeros_that_nobody_wrote_make_no_fee_coarse() -> None:
    """The venue leaves them out: by its other fees it tells eight decimals."""
    other = row(fill("0.12345678 USDT", "MAKER"), name="O-2")
    (found,) = differences(
        row(fill("0.1 USDT", "NOT TOLD")), row(fill("0.14000000 USDT", "MAKER")), other
    )
    assert (found.kind, found.order) == ("fee", "O-1")


def test_the_same_execution_at_another_fee_within_the_slack_is_a_fee() -> None:
    later = BEGIN_NS + SECOND_NS + SECOND_NS // 2
    mine, theirs = row(fill("2 USDT", "NOT TOLD", later)), row(fill("1.00 USDT", "TAKER"))
    (found,) = differences(mine, theirs)
    assert (found.kind, found.why) == ("fee", "2 USDT NOT TOLD against 1 USDT TAKER")
    (found,) = differences(mine, theirs, slack_ns=1)
    assert found.kind == "unexplained"
    (found,) = differences(row(fill("1.00 USDT", "MAKER", later)), row(fill("1.00 USDT", "TAKER")))
    assert found.kind == "fee"


def test_an_execution_whose_liquidity_is_not_told_may_have_waited_for_its_turn() -> None:
    """It came earlier in the run than the queue lets it, or the backtest has it first."""
    far = BEGIN_NS + 30 * SECOND_NS
    early, late = fill("1 USDT", "NOT TOLD", far), fill("1 USDT", "MAKER", BEGIN_NS + SECOND_NS)
    (found,) = differences(row(early), row(late))
    assert found.kind == "queue"
    taker = fill("1 USDT", "TAKER", BEGIN_NS + SECOND_NS)
    (found,) = differences(row(early), row(taker))
    assert found.kind == "unexplained"
    (found,) = differences(row(early), row(status="CANCELED"))
    assert found.kind == "unexplained"


@pytest.mark.parametrize(("kind", "says"), [("STOP_LIMIT", "queue"), ("LIMIT", "unexplained")])
def test_the_rest_of_a_fired_stop_waits_for_its_turn_whatever_it_is_called(
    kind: str, says: str
) -> None:
    """The backtest calls it a taker's, and had it earlier, and more of it."""
    mine = row(fill("1 USDT", "MAKER", BEGIN_NS + 30 * SECOND_NS, "0.01"), kind=kind)
    (found,) = differences(mine, row(fill("1 USDT", "TAKER"), kind=kind))
    assert found.kind == says
    beyond = fill("1 USDT", "TAKER") | {"price": "59282.3"}
    (found,) = differences(mine, row(beyond, kind=kind))
    assert found.kind == "unexplained", "it took, which a rest does not"


def at(secs: float, size: str, price: str = "59282.2") -> dict[str, Any]:
    return fill("0 USDT", "MAKER", BEGIN_NS + int(secs * SECOND_NS), size) | {"price": price}


@pytest.mark.parametrize(
    ("decided", "says"),
    [
        ([at(2, "0.016"), at(3, "0.002"), at(4, "0.03")], "booking"),
        ([at(2, "0.016"), at(3, "0.032")], "unexplained"),  # not what the run had by then
        ([at(2, "0.016"), at(3, "0.002")], "unexplained"),  # and never the rest
        ([at(2, "0.016"), at(3, "0.002"), at(4, "0.03", "59282.1")], "unexplained"),
        ([], "unexplained"),
    ],
)
@pytest.mark.parametrize("booked", [[at(4, "0.048")], [at(3, "0.018")], []])
def test_what_was_decided_then_is_the_same_whenever_it_is_booked(
    decided: list[Any], says: str, booked: list[Any]
) -> None:
    """Were it never, as the order ended before NautilusTrader asked about it again."""
    mine = row(at(2, "0.016"), at(3, "0.002"), at(4, "0.03"))
    theirs = row(*booked, status="CANCELED") | {"decided": decided}
    (found,) = differences(mine, theirs, slack_ns=1)
    assert found.kind == says


@pytest.mark.parametrize(
    ("booked", "secs", "says"),
    [
        ([], 3.5, "booking"),  # it was never, so that there was more to get at 5 s
        ([at(3.2, "0.02")], 3.5, "unexplained"),  # it was: then the rest is another matter
        ([], 2.5, "unexplained"),  # changed before
        ([], None, "unexplained"),
    ],
)
def test_what_was_not_booked_before_the_order_was_changed_is_lost(
    booked: list[Any], secs: float | None, says: str
) -> None:
    prices = [(0, "59282.2"), *([] if secs is None else [(secs, "59282.3")])]
    changes = [{"ts_event": BEGIN_NS + int(s * SECOND_NS), "price": p} for s, p in prices]
    last = at(5, "0.03", "59282.3")
    mine = row(at(2, "0.01"), at(3, "0.02"), last, changes=changes)
    theirs = row(at(2, "0.01"), *booked, at(5, "0.05", "59282.3"), changes=changes)
    theirs["decided"] = [at(2, "0.01"), at(3, "0.02"), at(5, "0.05", "59282.3")]
    (found,) = differences(mine, theirs, slack_ns=1)
    assert (found.kind, found.ts) == (says, BEGIN_NS + 3 * SECOND_NS)


@pytest.mark.parametrize(
    ("got", "is_decided", "says"),
    [
        ("0.02", True, "booking"),  # the other has just what this lacks
        ("0.01", True, "unexplained"),  # somebody else has a part of it
        ("0.02", False, "unexplained"),  # nobody knows why the other differs
    ],
)
def test_what_one_lacks_that_another_has_is_that_ones_doing(
    got: str, is_decided: bool, says: str
) -> None:
    """The backtest books O-2's first fill never, so that it takes at 4 s what was O-1's."""
    first = [at(2, "0.01"), at(4, "0.01")]
    late = row(at(4, "0.02"), name="O-2") | {"decided": first if is_decided else []}
    found = compared(
        [row(*first, name="O-2"), row(at(4, "0.03"))],
        {"O-2": late, "O-1": row(at(4, got))},
        lacking=(),
        slack_ns=1,
        cuts_at_fills=True,
    )
    assert [one.order for one in found] == ["O-2", "O-1"]
    assert found[1].kind == says
    assert ("O-2 had it" in found[1].why) is (says == "booking")


def test_what_another_order_has_is_refused_to_this_one_where_that_is_refused() -> None:
    """The backtest refuses O-2, so that O-1 has its size. Were O-2 not refused, O-1 had none."""
    had = {"O-2": row(at(3, "0.01"), name="O-2", status="REJECTED")}
    variants = {
        True: Variant(words="where that is not refused", rows=had | {"O-1": row(at(4, "0.01"))}),
        False: Variant(words="whatever", rows=had | {"O-1": row(at(3, "0.01"))}),
    }
    for is_same, variant in variants.items():
        (found,) = compared(
            [row(at(4, "0.01"))],
            {"O-1": row(at(3, "0.01"))},
            lacking=(),
            as_refused=variant,
            slack_ns=1,
            cuts_at_fills=True,
        )
        assert found.kind == ("refusal" if is_same else "unexplained")
        assert (found.why == "the same where that is not refused") is is_same


@pytest.mark.parametrize("is_late", [True, False])
def test_a_paper_run_by_the_same_config_has_no_other_queue(is_late: bool) -> None:
    """Longer in the run, or shorter, as it is without a queue."""
    both = [row(at(3, "0.01")), row(at(4, "0.01"))]
    theirs, mine = both if is_late else reversed(both)
    without = Variant(words="without a queue", rows={"O-1": row(at(2, "0.01"))})
    kinds = {}
    for on_paper, is_changed in ((True, False), (True, True), (False, False), (False, True)):
        (found,) = compared(
            [mine],
            {"O-1": theirs},
            lacking=(),
            slack_ns=1,
            cuts_at_fills=on_paper,
            is_changed=is_changed,
            queueless=without,
        )
        kinds[on_paper, is_changed] = found.kind
    assert kinds.pop((True, False)) == "unexplained"
    assert set(kinds.values()) == {"queue"}


@pytest.mark.parametrize("apart_ns", [0, 1, 2])
def test_without_a_queue_it_may_come_as_late_as_clocks_are_apart(apart_ns: int) -> None:
    """A venue's own time of a fill is before the data of it came."""
    late = at(3, "0.01")
    without = row({**late, "ts_event": late["ts_event"] + apart_ns})
    (found,) = compared(
        [row(late)],
        {"O-1": row()},
        lacking=(),
        slack_ns=1,
        queueless=Variant(words="without a queue", rows={"O-1": without}),
    )
    assert found.kind == ("queue" if apart_ns <= 1 else "unexplained")


def test_a_fee_hides_nothing_that_comes_after_it() -> None:
    taker = at(2, "0.01") | {"liquidity": "TAKER"}
    mine, theirs = row(at(2, "0.01"), at(3, "0.02")), row(taker, at(3, "0.03"))
    (found,) = differences(mine, theirs, slack_ns=1)
    assert (found.kind, found.ts) == ("unexplained", BEGIN_NS + 3 * SECOND_NS)
    (found,) = differences(mine, row(taker, at(3, "0.02")), slack_ns=1)
    assert (found.kind, found.ts) == ("fee", BEGIN_NS + 2 * SECOND_NS)


@pytest.mark.parametrize(
    ("mine", "theirs", "prices", "says"),
    [
        ("25002", "25003", {"25002"}, "liquidity"),  # something was left live
        ("25003", "25002", {"25002"}, "liquidity"),  # nothing was
        ("25001", "25003", {"25002"}, "unexplained"),  # both elsewhere
        ("25002", "25003", set(), "unexplained"),  # no trade was newer than the book
        ("25002", None, {"25002"}, "liquidity"),  # all or nothing: there it was nothing
        (None, "25002", {"25002"}, "unexplained"),  # the backtest's is too good
    ],
)
@pytest.mark.parametrize("told", ["TAKER", "NOT TOLD"])
def test_what_a_trade_left_of_its_level_the_data_does_not_tell(
    mine: str | None, theirs: str | None, prices: set[str], says: str, told: str
) -> None:
    def made(price: str | None, liquidity: str) -> dict[str, Any]:
        fills = [] if price is None else [fill("1 USDT", liquidity) | {"price": f"{price}.0"}]
        status = "FILLED" if fills else "CANCELED"
        return row(*fills, status=status, price="26000", kind="STOP_LIMIT")

    rows, replayed = [made(mine, told)], {"O-1": made(theirs, "TAKER")}
    behind = {"O-1": prices}
    (found,) = compared(rows, replayed, lacking=(), slack_ns=SECOND_NS, behind=behind)
    assert found.kind == says
    if told == "NOT TOLD" and mine:
        own = rows[0] | {"price": f"{mine}.0"}
        (found,) = compared([own], replayed, lacking=(), slack_ns=SECOND_NS, behind=behind)
        assert found.kind != "liquidity", "at its own limit it may have made"
    rows = [made(mine, "MAKER")]
    (found,) = compared(rows, replayed, lacking=(), slack_ns=SECOND_NS, behind=behind)
    assert found.kind == ("unexplained" if mine else says), "a maker takes of nothing"


# -- exits that are cut


def exit_row(*fills: Any, status: str, size: str = "0.060", **other: Any) -> dict[str, Any]:
    told = {"kind": "LIMIT", "time_in_force": "GTC", "reduce_only": True, "side": "BUY"}
    told |= {"asked": [], "quantity": size, "status": status, "ts_last": BEGIN_NS + SECOND_NS}
    return row(*fills, **told, **other)


def sold(size: str, fee: str) -> dict[str, Any]:
    """What the exit is for."""
    at = fill(fee, "TAKER", BEGIN_NS, size)
    return row(at, name="O-0", side="SELL", kind="MARKET", reduce_only=False, quantity=size)


def judged(
    mine: Any, theirs: Any, position: str, *, fee: str = "0.1 USDT", on_paper: bool = True
) -> Difference:
    entry = sold(position, fee)
    (found,) = compared(
        [entry, mine],
        {"O-0": entry, "O-1": theirs},
        lacking=(),
        slack_ns=1,
        cuts_at_fills=on_paper,
    )
    return found


@pytest.mark.parametrize(
    ("position", "fee"),
    [("0.002522", "0.1 USDT"), ("0.0025", "0.0000224 BTC")],  # what is left is less than a unit
)
def test_an_exit_that_a_paper_run_cut_at_its_position_is_explained(position: str, fee: str) -> None:
    cut = fill("0.00000252 BTC", "MAKER", size="0.002522")
    late = [{"what": "cancel", "ts": BEGIN_NS + 2 * SECOND_NS}]  # when it had ended
    mine = exit_row(cut, status="CANCELED") | {"asked": late}
    theirs = exit_row(fill("0.00006 BTC", "MAKER", size="0.06"), status="FILLED")
    found = judged(mine, theirs, position, fee=fee)
    assert (found.kind, found.why) == (
        "exit",
        "the run cut it when it filled: its position was closed",
    )


@pytest.mark.parametrize(("secs", "says"), [(1.0, "exit"), (1.5, "unexplained")])
def test_what_the_market_met_when_it_ended_was_cut_whatever_was_asked(
    secs: float, says: str
) -> None:
    """Its own cancel is on the way: the position was closed when it was to be filled."""
    asked = [{"what": "cancel", "ts": BEGIN_NS + SECOND_NS // 2}]
    mine = exit_row(status="CANCELED") | {"asked": asked}
    met = fill("0 USDT", "TAKER", BEGIN_NS + int(secs * SECOND_NS), "0.06")
    assert judged(mine, exit_row(met, status="FILLED"), "0").kind == says


@pytest.mark.parametrize(
    ("position", "asked", "on_paper"),
    [
        ("0.003", [], True),  # more was there to close
        ("0.002522", [{"what": "cancel", "ts": BEGIN_NS}], True),  # the strategy ended it
        ("0.002522", [], False),  # no venue does that
    ],
)
def test_what_is_not_that_is_no_exit(position: str, asked: list[Any], on_paper: bool) -> None:
    cut = fill("0.00000252 BTC", "TAKER", size="0.002522")
    mine = exit_row(cut, status="CANCELED") | {"asked": asked}
    mine["ts_last"] += len(asked)  # a cancel ends it after its fill
    theirs = exit_row(fill("0.00006 BTC", "TAKER", size="0.06"), status="FILLED")
    assert judged(mine, theirs, position, on_paper=on_paper).kind == "unexplained"


@pytest.mark.parametrize(("secs", "says"), [(2, "exit"), (1, "unexplained"), (0, "unexplained")])
def test_a_cancel_of_later_did_not_end_what_the_backtest_had_cut(secs: int, says: str) -> None:
    asked = [{"what": "cancel", "ts": BEGIN_NS + secs * SECOND_NS}]
    late = fill("0.00006 BTC", "MAKER", BEGIN_NS + 2 * SECOND_NS, "0.06")
    mine = exit_row(late, status="FILLED") | {"asked": asked, "ts_last": BEGIN_NS + 2 * SECOND_NS}
    assert judged(mine, exit_row(status="CANCELED"), "0.06").kind == says


@pytest.mark.parametrize(
    ("held", "got", "says"),
    [
        ("0.04", "0.04", "exit"),  # all that it held in the backtest
        ("0.04", "0.03", "unexplained"),  # there was more to close
        ("0.06", "0.04", "unexplained"),  # and as much in both
    ],
)
def test_an_exit_at_once_is_cut_to_what_other_orders_brought(
    held: str, got: str, says: str
) -> None:
    at_once = {"kind": "MARKET"}
    mine = exit_row(fill("0 USDT", "TAKER", size="0.06"), status="FILLED") | at_once
    theirs = exit_row(fill("0 USDT", "TAKER", size=got), status="CANCELED") | at_once
    for row, other in ((mine, theirs), (theirs, mine)):
        here, there = ("0.06", held) if row is mine else (held, "0.06")
        found = compared(
            [sold(here, "0 USDT"), row],
            {"O-0": sold(there, "0 USDT"), "O-1": other},
            lacking=(),
            slack_ns=1,
            cuts_at_fills=True,
        )
        assert found[-1].order == "O-1"
        assert found[-1].kind == says


@pytest.mark.parametrize(("secs", "says"), [(0.25, "exit"), (0.5, "unexplained")])
def test_a_cancel_that_the_run_did_not_give_is_the_backtests_own(secs: float, says: str) -> None:
    """Cut in both: there by a command, at a time at which the run gave none."""
    asked, own = (
        [{"what": "cancel", "ts": BEGIN_NS + int(at * SECOND_NS) + more}]
        for at, more in ((0.5, 0), (secs, 1))
    )
    mine = exit_row(fill("0 USDT", "MAKER", size="0.03"), status="CANCELED") | {"asked": asked}
    theirs = exit_row(status="CANCELED") | {"asked": own}
    assert judged(mine, theirs, "0.06").kind == says


@pytest.mark.parametrize("status", ["FILLED", "CANCELED"])
def test_an_exit_that_the_backtest_cut_is_explained(status: str) -> None:
    mine = exit_row(fill("0.00006 BTC", "MAKER", size="0.06"), status="FILLED")
    fills = [fill("0.00003 BTC", "MAKER", size="0.03")] if status == "FILLED" else []
    theirs = exit_row(*fills, status=status, size="0.03" if fills else "0.06")
    found = judged(mine, theirs, "0.06", on_paper=False)
    assert found.kind == "exit"
    assert "by a command" in found.why


@pytest.mark.parametrize(
    ("instrument", "says"),
    [("BTC_USDT.OCEANEX", "gap"), ("", "gap"), ("ETH_USDT.OCEANEX", "unexplained")],
)
def test_what_the_data_lacks_of_another_instrument_is_no_reason(instrument: str, says: str) -> None:
    mine = row(fill("1 USDT", "TAKER"))
    theirs = row(fill("1 USDT", "TAKER") | {"price": "59282.1"})
    lack = (BEGIN_NS + 10, BEGIN_NS + 20, instrument)
    (found,) = compared([mine], {"O-1": theirs}, lacking=[lack], slack_ns=1)
    assert found.kind == says


@pytest.mark.parametrize(
    ("begin", "end", "says"),
    [
        (0, 0.5, "gap"),
        (0.5, 9, "gap"),  # from before they differ on
        (1, 9, "gap"),
        (1.5, 9, "unexplained"),  # it is whole until then, and they differ
        (40, 41, "unexplained"),
    ],
)
@pytest.mark.parametrize("late", [1, 30])
def test_a_gap_explains_nothing_of_before_it(
    begin: float, end: float, says: str, late: float
) -> None:
    """The run had it at 1 s, the backtest at another price then or later, or not at all."""
    long = {"ts_last": BEGIN_NS + 60 * SECOND_NS}
    moved = at(late, "0.02", "59282.3") | {"liquidity": "TAKER"}
    lack = (BEGIN_NS + int(begin * SECOND_NS), BEGIN_NS + int(end * SECOND_NS), "")
    for theirs in (row(moved, **long), row(status="ACCEPTED")):
        (found,) = compared(
            [row(at(1, "0.02"), **long)], {"O-1": theirs}, lacking=[lack], slack_ns=1
        )
        assert found.kind == says
        assert found.ts == BEGIN_NS + SECOND_NS


@pytest.mark.parametrize("fills", [(), (fill("1 USDT", "MAKER"),)])
@pytest.mark.parametrize(
    ("secs", "asked", "says"),
    [
        (5, [], "no command of its strategy"),
        (5, [{"what": "cancel", "ts": BEGIN_NS + 4 * SECOND_NS}], "on its way when the data ended"),
        (9, [{"what": "cancel", "ts": BEGIN_NS + 8 * SECOND_NS}], "given when the data was over"),
        (4, [], ""),  # the backtest could have ended it then
    ],
)
def test_what_the_end_of_the_run_ended_is_open_at_that_of_the_data(
    fills: tuple[Any, ...], secs: int, asked: list[Any], says: str
) -> None:
    ended = BEGIN_NS + secs * SECOND_NS
    mine = row(*fills, status="CANCELED", ts_last=ended, asked=asked)
    theirs = row(*fills, status="ACCEPTED") | {"decided": list(fills)}
    until_ns = BEGIN_NS + 5 * SECOND_NS
    (found,) = compared([mine], {"O-1": theirs}, lacking=(), slack_ns=1, until_ns=until_ns)
    assert (found.kind == "end") is bool(says)
    assert says in found.why
    more = row(*fills, fill("1 USDT", "MAKER"), status="PARTIALLY_FILLED")
    (found,) = compared([mine], {"O-1": more}, lacking=(), slack_ns=1, until_ns=until_ns)
    assert found.kind != "end"


@pytest.mark.parametrize(
    ("denied", "until_ns", "says", "why"),
    [
        (None, None, "unexplained", "the backtest was never given it"),
        (None, BEGIN_NS + 1, "unexplained", "the backtest was never given it"),
        (None, BEGIN_NS, "end", "it was given when the data was over"),
        ("MARGIN: too much", BEGIN_NS, "refusal", "MARGIN: too much"),
    ],
)
@pytest.mark.parametrize("status", ["FILLED", "REJECTED"])
def test_what_the_backtest_does_not_have_was_refused_or_never_given(
    denied: str | None, until_ns: int | None, says: str, why: str, status: str
) -> None:
    mine = row(fill("1 USDT", "MAKER"), status=status)
    refusals = {} if denied is None else {"O-1": denied}
    whole = (BEGIN_NS, BEGIN_NS + 9 * SECOND_NS, "")
    for lacking in ([], [whole] if denied is None else []):
        found = compared(
            [mine], {}, lacking=lacking, slack_ns=1, until_ns=until_ns, denied=refusals
        )
        if (denied, status) == ("MARGIN: too much", "REJECTED"):
            assert found == [], "refused, by whomever"
        else:
            assert [(one.kind, one.why) for one in found] == [(says, why)]


@pytest.mark.parametrize(
    ("taken", "ended", "says"),
    [
        (9, 9, "race"),
        (9, 2, "unexplained"),
        (11, 11, "unexplained"),
        (None, 9, "unexplained"),
        (9, 30, "unexplained"),
    ],
)
def test_what_filled_after_its_cancel_was_taken_lost_that_race(
    taken: int | None, ended: int, says: str
) -> None:
    """In tens of milliseconds: filled at 10, after its venue had taken the cancel at 9; the replay
    ended it then. Not of a cancel that was taken later, or where nobody knows when."""
    unit = SECOND_NS // 100
    gone = {"status": "CANCELED", "ts_last": BEGIN_NS + 12 * unit}
    mine = row(fill("1 USDT", "MAKER", BEGIN_NS + 10 * unit), **gone)
    mine["ts_cancelled"] = None if taken is None else BEGIN_NS + taken * unit
    theirs = row(status="CANCELED", ts_last=BEGIN_NS + ended * unit)
    (found,) = differences(mine, theirs, slack_ns=unit)
    assert found.kind == says


def test_what_a_shorter_queue_gives_lost_no_race() -> None:
    """The replay's cancel comes after the execution: what it lacks there is its place in the
    queue."""
    gone = {"status": "CANCELED", "ts_last": BEGIN_NS + 12}
    mine = row(fill("1 USDT", "MAKER", BEGIN_NS + 10), **gone) | {"ts_cancelled": BEGIN_NS + 9}
    theirs = row(status="CANCELED", ts_last=BEGIN_NS + 11)
    without = row(fill("1 USDT", "MAKER", BEGIN_NS + 9))
    shorter = Variant(words="without a queue", rows={"O-1": without})
    (found,) = compared([mine], {"O-1": theirs}, lacking=(), queueless=shorter, slack_ns=1)
    assert found.kind == "queue"
