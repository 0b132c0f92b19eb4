"""Loads checkpoints at a precision, and verifies what was loaded."""
