"""Widgets, theme and background work that know no feature."""
