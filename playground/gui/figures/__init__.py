"""The latency plot and the table of figures below it."""
