"""Entry of the `playground` command and of `python -m playground`."""

from __future__ import annotations

import sys

from playground.cli.main import main as run_command_line


def main() -> None:
    """Run the command line of this process, and exit with its code."""
    sys.exit(run_command_line())


if __name__ == "__main__":
    main()
