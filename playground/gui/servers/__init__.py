"""The servers that lanes can run on: the list, its dialog, and their keys."""
