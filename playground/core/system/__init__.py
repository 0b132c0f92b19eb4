"""What belongs to this machine: files, locks, logs, paths, shipped resources, processor."""
