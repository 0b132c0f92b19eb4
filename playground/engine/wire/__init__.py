"""The engine's side of the protocol: reads commands, sends events, reports progress."""
