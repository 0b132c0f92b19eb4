"""The Qt side of one engine process: its worker thread, and engines started ahead."""
