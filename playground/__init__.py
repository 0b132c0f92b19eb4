"""A desktop playground for choosing a language model and its precision."""

__version__ = "0.1.0"
