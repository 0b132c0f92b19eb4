"""Entry of the engine process: takes the pipes for the protocol before anything can print."""

from __future__ import annotations

import os


def main() -> None:
    """Serve commands from stdin until its end."""
    # From here on whatever a library prints goes to stderr, and no child process that a
    # library starts can eat commands or keep the client's pipes open (dup is not inherited).
    events = os.dup(1)
    os.dup2(2, 1)
    commands = os.dup(0)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)

    from playground.engine.serving.server import serve

    serve(commands, events)


if __name__ == "__main__":
    main()
