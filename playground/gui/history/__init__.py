"""The window's history: runs are kept as they happen, found again, opened and reported."""
