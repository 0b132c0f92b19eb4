"""The main window, its commands, and the connections between the features."""
