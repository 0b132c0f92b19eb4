"""`playground env`: the Python environments that engines can run in."""
