"""What the engine finds out about its machine: devices, libraries, memory, bandwidth."""
