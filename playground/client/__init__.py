"""Starts engines and talks to them, without Qt: for the window and the command line alike."""
