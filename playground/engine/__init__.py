"""The engine process: the sole home of torch and transformers."""
