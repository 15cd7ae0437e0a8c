"""The page in a real browser, over a live run against a simulated venue."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from fairlead.engine.errors import Exit
from tests.live.blocked_run import Run
from tests.live.test_page import RESTS, shown
from tests.support.browser import browser, opened
from tests.support.page import PageOf
from tests.support.processes import wait_for

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

SERIOUS = ("serious", "critical")


@pytest.mark.slow
def test_in_a_browser(live: Run) -> None:
    """One browser and one run for all of it: both take their time to start."""
    with browser() as started:
        page = shown(live)
        told: list[str] = []
        wrong_token(started, page)
        seen = opened(started, f"{page.base}/#token={page.token}", told=told)
        seen.wait_for_selector("#dot.on")
        assert page.token not in seen.url, "it is taken out of the address"
        figures(seen, live, page)
        accessible(seen)
        dropped_socket(seen)
        assert told == [], "the console stays empty"
        cancels_one(seen, page)
        (refused,) = told  # a browser tells of it by itself
        assert "403" in refused
        told.clear()
        kills_and_clears(seen, live, page)
        assert told == [], "the console stays empty"
        dark = opened(started, f"{page.base}/#token={page.token}", told=told, dark=True)
        dark.wait_for_selector("#dot.on")
        dark.set_viewport_size({"width": 390, "height": 844})
        # Nothing sticks out, once it is laid out anew: a busy machine takes a moment
        dark.wait_for_function("() => document.documentElement.scrollWidth === 390")
        accessible(dark)
        stacked(dark)
        assert told == []
        assert live.end() == Exit.OK
        dark.wait_for_selector("#dot:not(.on)")


def wrong_token(started: Browser, page: PageOf) -> None:
    told: list[str] = []
    seen = opened(started, f"{page.base}/#token=wrong", told=told)
    seen.wait_for_selector("#refused:not(:empty)")
    assert "wrong" in seen.inner_text("#refused")
    assert not seen.is_visible("#page")
    assert seen.inner_text("#cards") == ""
    assert seen.evaluate("Object.keys(data).length") == 0
    seen.fill("#token", page.token)
    seen.click("#enter button")
    seen.wait_for_selector("#dot.on")
    assert told == []
    seen.context.close()


def text_is(seen: Page, selector: str, wanted: str) -> None:
    """Wait until it is shown."""
    seen.locator(selector, has_text=wanted).first.wait_for()


def figures(seen: Page, live: Run, page: PageOf) -> None:
    """What is shown is what the API tells and the journal holds, and it moves."""
    text_is(seen, "#well .big", "All is well")
    orders = page.get("orders")
    seen.wait_for_function(f"() => document.querySelectorAll('#orders tbody tr').length == {RESTS}")
    shown_ids = seen.eval_on_selector_all(
        "#orders tbody tr td:first-child", "all => all.map(one => one.title)"
    )
    rows = live.journaled("SELECT client_order_id FROM orders WHERE state = 'OPEN'")
    assert set(shown_ids) == {o["client_order_id"] for o in orders} == {name for (name,) in rows}
    cells: list[str] = []

    def agree() -> bool:  # the venue's figure is polled meanwhile
        (position,) = page.get("positions")
        cells[:] = seen.eval_on_selector_all(
            "#positions tbody tr:first-child td", "all => all.map(one => one.textContent)"
        )
        return cells[1:4] == [position["engine"], position["journal"], position["venue"]]

    wait_for(agree, "page and API to tell the same position")
    assert Decimal(cells[2]) == live.held()
    (fill, *_) = page.get("fills")
    row = seen.inner_text("#fills tbody tr:first-child")
    assert fill["quantity"] in row
    assert fill["strategy"] in row
    before = seen.evaluate("one('status').now_ns")
    wait_for(lambda: seen.evaluate("one('status').now_ns") > before, "figures that move")
    seen.wait_for_selector("#depth svg")


def accessible(seen: Page) -> None:
    """axe-core finds nothing serious; its file comes with a package."""
    sync = pytest.importorskip("axe_playwright_python.sync_playwright")
    seen.wait_for_selector("#equity svg")
    found = sync.Axe().run(seen).response["violations"]
    grave = [(one["id"], [n["target"] for n in one["nodes"]]) for one in found]
    assert not [one for one, it in zip(grave, found, strict=True) if it["impact"] in SERIOUS]


def stacked(seen: Page) -> None:
    """What the gate refused, with a long reason: nothing of it is beside a phone's screen.

    Drawn and measured at once: the run goes on telling what is so.
    """
    text = "expected at most 5,000 USDT, came " * 5
    last = {"code": "MAX_ORDER_NOTIONAL", "message": text}
    warned = {"ts_ns": 0, "code": "LIMIT-CURRENCY", "text": text, "count": 3}
    told = {
        "denials": {"counts": {last["code"]: 1234}, "last": [last]},
        "warnings": [warned],
    }
    found = seen.evaluate(
        """told => Object.entries(told).map(([name, rows]) => {
          data[name] = {'': rows};
          draw[name]();
          const box = document.getElementById(name).parentElement;
          return [box.textContent, box.scrollWidth, box.clientWidth]; })""",
        told,
    )
    assert len(found) == len(told)
    for shown_text, wide, room in found:
        assert text.strip() in shown_text
        assert wide <= room


def dropped_socket(seen: Page) -> None:
    """It connects again, and is whole."""
    seen.evaluate("for (const name of Object.keys(data)) delete data[name]; socket.close()")
    seen.wait_for_function("() => socket.readyState === 1 && one('status')")
    seen.wait_for_function(f"() => rows('orders').length === {RESTS}")
    seen.wait_for_selector("#dot.on")


def cancels_one(seen: Page, page: PageOf) -> None:
    seen.locator("#orders tbody tr button").first.click()
    seen.click("#ask-do")
    text_is(seen, "#ask-refused", "second token is missing")
    seen.fill("#control", page.token)
    seen.click("#ask-do")
    text_is(seen, "#ask-refused", "second token")
    assert page.get("status")["open_orders"] == RESTS, "nothing was done"
    seen.fill("#control", page.control)
    seen.click("#ask-do")
    seen.wait_for_function(f"() => rows('orders').length === {RESTS - 1}")
    assert seen.input_value("#control") == "", "the second token is typed for each act"


def kills_and_clears(seen: Page, live: Run, page: PageOf) -> None:
    """Killed by the page, and by another process: both are shown."""
    seen.click("#kill")
    seen.select_option("#scope", label="strategy B-1")
    seen.fill("#reason", "from the browser")
    seen.fill("#control", page.control)
    seen.click("#ask-do")
    text_is(seen, "#well .big", "Something is wrong")
    text_is(seen, "#well li", "from the browser")
    wait_for(lambda: not live.open(), "the cancels")
    text_is(seen, "#orders", "no order is open")
    clears(seen, page, "looked at it")
    assert live.kill("strategy", "B-1", "--reason", "elsewhere")["is_clean"]
    text_is(seen, "#well li", "elsewhere")
    clears(seen, page, "and again")
    assert live.kill("all", "--action", "flatten", "--reason", "flat")["is_clean"]
    text_is(seen, "#well li", ": flat;")
    clears(seen, page, "it is flat", well="Something is wrong")
    text_is(seen, "#well li", "is refused until a new run is started")


def clears(seen: Page, page: PageOf, reason: str, well: str = "All is well") -> None:
    seen.locator("#well button").first.click()
    seen.fill("#control", page.control)
    seen.click("#ask-do")
    text_is(seen, "#ask-refused", "needs a reason")
    seen.fill("#reason", reason)
    seen.click("#ask-do")
    text_is(seen, "#well .big", well)
