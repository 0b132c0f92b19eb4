"""The memory chart: every precision of a model against what is free."""
