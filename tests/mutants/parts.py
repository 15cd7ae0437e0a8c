"""Where the mutants are, and the tests that should notice them; the likeliest come first."""

from __future__ import annotations

DESK = "engine/orders/*.py"
RISK = "engine/risk/*.py"
KILL = "engine/kill/*.py"
GUARD = "engine/guard/*.py"
BOOK = "adapters/base/book.py"
CLIENT = "adapters/base/data_client.py"
LIMITER = "adapters/base/ratelimit.py"
OCEANEX = "adapters/oceanex/*.py"
POLONIEX = "adapters/poloniex/*.py"

T_ORDERS = ("tests/unit/orders",)
T_LIVE = ("tests/live/test_failures.py::test_an_order_round_the_gate_ends_the_run",)
T_OCEANEX = (
    *("tests/venues/oceanex/test_book.py", "tests/venues/oceanex/test_stream.py"),
    *("tests/venues/oceanex/test_payloads.py", "tests/venues/oceanex/test_errors.py"),
    *("tests/venues/oceanex/test_http.py", "tests/venues/oceanex/test_ratelimit.py"),
)
T_LOST = ("tests/venues/base/test_lost.py",)
T_OCEANEX_SIM = ("tests/venues/oceanex/test_against_simulator.py",)
T_POLONIEX = (
    *("tests/venues/poloniex/test_book.py", "tests/venues/poloniex/test_market_data.py"),
    *("tests/venues/poloniex/test_orders.py", "tests/venues/poloniex/test_orders_changes.py"),
    *("tests/venues/poloniex/test_orders_reads.py", "tests/venues/poloniex/test_orders_stops.py"),
    *("tests/venues/poloniex/test_private_stream.py", "tests/venues/poloniex/test_http.py"),
)
T_BOOKS = ("tests/simulation/test_simulated_books.py",)
T_GATE = (
    *(
        "tests/unit/risk/test_gate.py",
        "tests/unit/risk/test_gate_books.py",
        "tests/unit/risk/test_gate_modes.py",
        "tests/unit/risk/test_margin.py",
    ),
    *("tests/unit/kill/test_switch.py", "tests/unit/guard/test_guarded.py"),
    "tests/unit/guard/test_breach.py",
)
T_KNOWN = ("tests/property/test_known_passes.py",)
T_GUARD = ("tests/unit/guard/test_guarded.py", "tests/unit/guard/test_breach.py")
T_APPROVED = ("tests/unit/orders/test_approved.py",)
T_WALL = ("tests/unit/risk/test_exit_wall.py",)
T_PROTECTION = ("tests/unit/risk/test_gate_protection.py",)
T_HANDOVER = ("tests/unit/guard/test_handover.py",)
T_MISSING = ("tests/mutants/test_missing.py",)
T_BRACKETS = (
    *("tests/unit/orders/test_bracket.py", "tests/unit/orders/test_bracket_store.py"),
    *("tests/unit/brackets/test_view.py", "tests/unit/brackets/test_bracketing.py"),
)
T_MATCHING = ("tests/unit/matching", "tests/property/test_matching.py")
