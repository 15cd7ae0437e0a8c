"""Poloniex spot, v2 API: instruments, streams, orders."""
