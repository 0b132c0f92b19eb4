"""The engine's main loop: takes commands, holds a loaded model, sends answers."""
