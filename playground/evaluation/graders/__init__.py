"""Graders: what an output's answer is, and whether it is right."""
