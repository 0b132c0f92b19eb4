"""The engine's end of the pipes: commands read, events sent, progress reported."""
