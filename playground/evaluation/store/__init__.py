"""Every evaluation in an SQLite file: its plan, what models answered, and the grades."""
