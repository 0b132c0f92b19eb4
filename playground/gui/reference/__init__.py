"""The founding comparison in the window."""
