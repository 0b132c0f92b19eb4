"""The downloads window, its indicator, and the log-in to the Hub."""
