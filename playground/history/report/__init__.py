"""Turns a kept run into one file that can be shown to somebody: HTML, Markdown or JSON."""
