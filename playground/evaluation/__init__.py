"""Turns what models answered and scored into figures that a choice can rest on."""
