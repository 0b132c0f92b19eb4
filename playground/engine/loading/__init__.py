"""Loads checkpoints at a precision, and counts what was really loaded."""
