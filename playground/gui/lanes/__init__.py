"""The lanes: their state, their engines, their views."""
