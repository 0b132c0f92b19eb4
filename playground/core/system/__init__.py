"""What depends on the machine: files, locks, logs, paths, shipped resources, Qt, hardware."""
