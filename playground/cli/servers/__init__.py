"""Commands for the servers that lanes can run on."""
