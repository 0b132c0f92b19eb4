"""The engine's life: commands in, a loaded model, answers out."""
