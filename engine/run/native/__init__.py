"""NautilusTrader's own adapters in a run of ours: found, configured, connected, accounted for."""
