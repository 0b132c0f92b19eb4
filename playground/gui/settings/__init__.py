"""The settings dialog, and bringing stored settings into the window."""
