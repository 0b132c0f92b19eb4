"""The Qt side of engine processes: their worker threads, and standby engines."""
