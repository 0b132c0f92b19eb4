"""The engine's view of its machine: devices, libraries, memory, bandwidth, errors."""
