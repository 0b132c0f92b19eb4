"""The dialog of the engine environments."""
