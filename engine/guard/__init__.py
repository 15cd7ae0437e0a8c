"""What stands between a strategy and its orders."""
