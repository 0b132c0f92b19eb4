"""The memory chart: what a model takes at every precision, and the memory that is free."""
