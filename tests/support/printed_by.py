"""Runs Python scripts one after the other, and prints what each has printed as a JSON list."""

from __future__ import annotations

import contextlib
import io
import json
import runpy
import sys
import traceback


def main() -> None:
    """Run the scripts that the arguments name; of one that fails, the traceback is printed."""
    outputs = []
    for path in sys.argv[1:]:
        with contextlib.redirect_stdout(io.StringIO()) as output:
            try:
                runpy.run_path(path, run_name="__main__")
            except Exception:
                traceback.print_exc(file=output)
        outputs.append(output.getvalue())
    print("\n" + json.dumps(outputs))  # noqa: T201


if __name__ == "__main__":
    main()
