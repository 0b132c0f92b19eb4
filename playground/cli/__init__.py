"""The command line: what the window does, without a window."""
