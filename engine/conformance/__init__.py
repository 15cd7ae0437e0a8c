"""Whether an adapter keeps its contract: cards, played on its own simulated venue."""
