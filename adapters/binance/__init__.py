"""Binance: only a simulated venue. Trade there with `adapter = "nautilus:binance"`."""
