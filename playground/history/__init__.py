"""Keeps every run in an SQLite file, as it happens; knows neither a window nor an engine."""
