"""Shipped strategies in a simulated session: what they use of NautilusTrader, on virtual time.

NautilusTrader's node runs on real time, a session on a clock that jumps. The strategies, the guard
and the execution client are the real ones, unmodified; so are orders, events, positions and books,
which are NautilusTrader's own values. Only what stands between them is made anew: cache, clock,
queue of events, bars.
"""
