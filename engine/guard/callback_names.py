"""NautilusTrader's callbacks by what the guard does with them."""

from __future__ import annotations

from nautilus_trader.trading import Strategy

CALLBACKS = frozenset(
    name for name in dir(Strategy) if name.startswith("on_") or name == "post_market_exit"
)
# Still the strategy's own after a fault: its clean-up.
LIFECYCLE = frozenset(
    {
        "on_stop",
        "on_resume",
        "on_reset",
        "on_dispose",
        "on_degrade",
        "on_fault",
        "on_save",
        "on_load",
        "on_market_exit",
        "post_market_exit",
    }
)
# Order events that the bookkeeping needs only while a strategy is being stopped.
STOPPING = frozenset({"on_order_submitted", "on_order_accepted"})
# After these a bracket may have something to do; a refusal waits for its timer.
MOVES = frozenset({"on_order_filled", "on_order_canceled", "on_order_expired"})
# Where the end of the run can be asked for when a breach has no order event of its own.
# Of the book that the gate looks at, whichever of them manages it
BOOKS = ("on_book_deltas", "on_book_depth")
DATA_CALLBACKS = frozenset(
    name for name in CALLBACKS - LIFECYCLE if name != "on_start" and not name.startswith("on_order")
)
# What tells of the market, and not of the strategy's own doing
MARKET_CALLBACKS = frozenset(
    name for name in DATA_CALLBACKS if not name.startswith(("on_position", "on_time"))
)
