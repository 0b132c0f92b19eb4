"""Downloads of models: the queue, and the child process that each runs in."""
