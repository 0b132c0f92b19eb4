"""The prompt, the generation options, and running them over the lanes."""
