"""Starts the remote engine's process, which imports no torch."""

from __future__ import annotations


def main() -> None:
    """Serve commands from stdin until its end."""
    from playground.engine.wire.pipes import reserve

    commands, events = reserve()

    from playground.engine.remote.serve import serve

    serve(commands, events)


if __name__ == "__main__":
    main()
