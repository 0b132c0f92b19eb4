"""Downloads: the queue, the child process that downloads, and the files it needs."""
