"""A second Python to run engines in, which finds the packages of this one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def make_other_python(folder: Path, *, with_packages: bool = True) -> Path:
    """Make a virtual environment without pip in `folder`; return its executable."""
    make = [sys.executable, "-m", "venv", "--without-pip", str(folder)]
    subprocess.run(make, check=True)
    if with_packages:
        packages = next(folder.glob("lib/python3*/site-packages"))
        # Not those that `site` names: this one may take its packages from a third folder.
        ours = [path for path in sys.path if path.endswith("-packages")]
        (packages / "shared.pth").write_text("\n".join(ours), "utf-8")
    return folder / "bin" / "python"
