"""Quantizes models and writes the copies."""
