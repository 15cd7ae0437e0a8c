"""Which reasons become alerts: once while they last, once when they are over, not too many."""

from __future__ import annotations

import pytest

from fairlead.engine.config.observed import AlertRule, Alerts
from fairlead.engine.observe.alerts.messages import Message
from fairlead.engine.observe.alerts.rules import HOUR_NS, SECOND_NS, Rules
from fairlead.engine.observe.page.told import Level, Wrong


def wrong(code: str, text: str = "why", about: str = "x", level: Level = "bad") -> Wrong:
    return Wrong(level=level, code=code, text=text, about=about)


class Told:
    """Rules, looked at by a clock of its own."""

    def __init__(self, *rules: AlertRule, patience_secs: int = 15, per_hour: int = 30) -> None:
        settings = Alerts(
            endpoints={"mail": "env:MAIL", "phone": "env:PHONE"},
            rules=list(rules),
            patience_secs=patience_secs,
            per_hour=per_hour,
        )
        self.rules = Rules(settings, "test live")
        self.now_ns = 1_000 * SECOND_NS

    def after(self, secs: float, *wrongs: Wrong, is_stopping: bool = False) -> list[Message]:
        self.now_ns += round(secs * SECOND_NS)
        return list(self.rules.look(wrongs, self.now_ns, is_stopping=is_stopping))


def codes(messages: list[Message]) -> list[str]:
    return [one.title.removeprefix("test live: ") for one in messages]


def test_a_reason_is_told_once_while_it_lasts_and_once_when_it_is_over() -> None:
    told = Told()
    (first,) = told.after(0, wrong("KILLED", "by ann", "all"))
    assert (first.title, first.body) == ("test live: KILLED", "by ann")
    assert (first.to, first.kind, first.is_urgent) == (("mail", "phone"), "failure", True)
    assert told.after(1, wrong("KILLED", "by ann, again", "all")) == []
    assert told.after(1, wrong("KILLED", "by bob", "venue x")) != [], "another kill"
    assert told.after(3.9) == [], "gone for a moment"
    (over,) = told.after(0.1)
    assert (over.body, over.kind) == ("over: by ann, again", "success")
    assert (over.title, over.is_urgent) == ("test live: KILLED over", True)
    (other,) = told.after(1)
    assert other.body == "over: by bob"
    assert told.after(100) == []
    assert codes(told.after(0, wrong("KILLED", "by ann", "all"))) == ["KILLED"], "it is new"


def test_a_position_whose_stop_a_kill_took_is_no_trouble_among_others() -> None:
    told = Told(AlertRule(to=["phone"], about=["halts"]), per_hour=1)
    for about in ("S-1 A", "S-1 B"):
        (bare,) = told.after(0, wrong("NO-STOP", "without a stop", about))
        assert (bare.to, bare.is_urgent) == (("phone",), True), "never held back"
    assert codes(told.after(5)) == ["NO-STOP over", "NO-STOP over"]


def test_what_may_pass_by_itself_is_told_once_it_lasts() -> None:
    told = Told()
    assert told.after(0, wrong("STREAM", "down", "public")) == []
    assert told.after(14, wrong("STREAM", "down", "public")) == []
    assert told.after(4.9) == []
    assert codes(told.after(0, wrong("STREAM", "waits", "public"))) == ["STREAM"], (
        "it was away for less than five seconds: the same trouble"
    )
    told = Told()
    assert told.after(0, wrong("STREAM", "down", "public")) == []
    assert told.after(6) == [], "of what nothing was told, no end is told either"
    assert told.after(60, wrong("STREAM", "down", "public")) == []


def test_what_gets_worse_is_told_again() -> None:
    told = Told(patience_secs=0)
    assert codes(told.after(0, wrong("CLOCK", "unknown", "x", "look"))) == ["CLOCK"]
    assert codes(told.after(1, wrong("CLOCK", "off", "x", "bad"))) == ["CLOCK"]
    assert told.after(1, wrong("CLOCK", "unknown", "x", "look")) == []


def test_a_trouble_that_is_no_state_is_never_over() -> None:
    told = Told()
    assert codes(told.after(0, wrong("GAP-SINK", about="problem", level="look"))) == ["GAP-SINK"]
    assert told.after(600) == []
    assert codes(told.after(0, wrong("FAULTED", "raised", "S-1"))) == ["FAULTED"]
    assert told.after(600) == []


def test_a_result_that_moves_around_its_limit_is_told_once() -> None:
    told = Told()
    assert codes(told.after(0, wrong("LOSS", level="look"))) == ["LOSS"]
    for _ in range(20):
        assert told.after(20) == []
        assert told.after(20, wrong("LOSS", level="look")) == []
    assert codes(told.after(600)) == ["LOSS over"]


@pytest.mark.parametrize("is_stopping", [False, True])
def test_the_end_of_a_stream_is_no_trouble_of_a_run_that_stops(is_stopping: bool) -> None:
    told = Told(patience_secs=0)
    assert bool(told.after(0, wrong("STREAM"), is_stopping=is_stopping)) is not is_stopping
    assert codes(told.after(0, wrong("KILLED"), is_stopping=is_stopping)) == ["KILLED"]
    assert bool(told.after(60, is_stopping=is_stopping)) is not is_stopping


def test_rules_say_what_goes_where() -> None:
    told = Told(
        AlertRule(to=["phone"], about=["halts", "orders"], level="bad"),
        AlertRule(to=["mail"], about=["orders", "troubles"]),
    )
    (kill,) = told.after(0, wrong("KILLED"))
    assert kill.to == ("phone",)
    (trouble,) = told.after(0, wrong("ALERTS", level="look"), wrong("LOSS"))
    assert trouble.to == ("mail",), "nobody asks for losses"
    (missing,) = told.after(0, wrong("MISSING"))
    assert missing.to == ("mail", "phone")
    told = Told(AlertRule(to=["phone"], level="bad"), patience_secs=0)
    assert told.after(0, wrong("UNKNOWN", level="look")) == []


def test_an_endpoint_gets_so_many_an_hour_and_hears_how_many_it_did_not() -> None:
    told = Told(per_hour=3)
    many = [wrong("TROUBLE", about=f"{number}") for number in range(10)]
    assert len(told.after(0, *many)) == 3
    assert told.rules.held == 14, "seven, of two endpoints"
    assert codes(told.after(1, wrong("HALTED"))) == ["HALTED"], "never held back"
    later = told.after(HOUR_NS / SECOND_NS - 1, wrong("HALTED"))
    held = [one for one in later if "held back" in one.title]
    assert [one.to for one in held] == [("mail",), ("phone",)]
    assert "TROUBLE 7" in held[0].body
    assert told.after(1, wrong("HALTED")) == [], "once"
    many = [wrong("OTHER", about=f"{number}") for number in range(5)]
    assert len(told.after(0, *many)) == 2, "that one counted, too"
    assert len(list(told.rules.rest())) == 2, "of each endpoint, at the end"
    assert list(told.rules.rest()) == []
