"""Commands for the Python environments that engines run in."""
