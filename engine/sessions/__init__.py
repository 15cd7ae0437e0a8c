"""Deterministic simulation: the real order path against in-memory venues, faults from one seed."""
