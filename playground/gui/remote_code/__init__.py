"""The review of the Python code that a model brings along."""
