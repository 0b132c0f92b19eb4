"""Carries out an evaluation over lanes that somebody else opens."""
