"""Starts engine processes and talks to them; no Qt, so that the command line uses it too."""
