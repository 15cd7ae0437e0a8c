"""What `fairlead new` writes: a venue of one's own, and a strategy."""
