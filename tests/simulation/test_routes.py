"""Which endpoint a request means, and how many fit in a window."""

from __future__ import annotations

from fairlead.adapters.simulation.routes import Endpoint, RateWindows, Routes


def handler(state: None, call: None) -> None: ...


ONE = Endpoint("GET DELETE", "/orders/{id}", handler)
HISTORY = Endpoint("GET", "/orders/history", handler)
FILLS = Endpoint("GET", "/orders/{id}/fills", handler)
NAMED = Endpoint("GET", "/{kind}/history/fills", handler)
ROUTES = Routes((ONE, HISTORY, FILLS, NAMED))


def test_a_path_without_variables_comes_first_wherever_it_stands() -> None:
    assert ROUTES.find("GET", "/orders/history") == (HISTORY, {})
    assert ROUTES.find("DELETE", "/orders/history") == (ONE, {"id": "history"})


def test_of_two_paths_with_variables_the_first_is_taken() -> None:
    assert ROUTES.find("GET", "/orders/history/fills") == (FILLS, {"id": "history"})
    assert ROUTES.find("GET", "/stops/history/fills") == (NAMED, {"kind": "stops"})


def test_another_method_or_length_is_no_endpoint() -> None:
    for method, path in (
        ("POST", "/orders/7"),
        ("GET", "/orders"),
        ("GET", "/orders/7/"),
        ("", ""),
    ):
        assert ROUTES.find(method, path) == (None, {})


def test_a_use_leaves_the_window_when_its_span_is_over() -> None:
    windows = RateWindows(1000)
    assert windows.take("orders", 2, 5)
    assert windows.take("orders", 2, 6)
    assert not windows.take("orders", 2, 1004)
    assert windows.take("orders", 2, 1005)
    assert windows.take("other", 2, 1005)


def test_what_does_not_fit_together_counts_nothing() -> None:
    windows = RateWindows(1000)
    assert not windows.take("orders", 3, 0, count=4)
    assert windows.take("orders", 3, 0, count=3)
    assert not windows.take("orders", 3, 0)
