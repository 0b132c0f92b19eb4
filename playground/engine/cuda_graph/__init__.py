"""The CUDA-graph step: one decode step captured once and replayed for every token."""
