"""Make the GPTQ checkpoint of the bundled model: real GPTQ, calibrated on the training texts.

python quantize.py --model classics-6m --texts FOLDER --out classics-6m-gptq
"""

import argparse
import random
import sys
import tempfile
from pathlib import Path

from playground.cli.main import main as playground

HELD_OUT = ("burgess-busterbrown.txt", "carroll-alice.txt")
#: Length of a passage; more than the 512 tokens that are read of it.
CHARACTERS = 2600


def calibration_text(folder: Path, count: int) -> str:
    """Return passages from random places in the training texts; the same in every run."""
    rng = random.Random(20)
    works = [p.read_text("utf-8") for p in sorted(folder.glob("*.txt")) if p.name not in HELD_OUT]
    passages = []
    for _ in range(count):
        work = rng.choice(works)
        start = rng.randrange(len(work) - CHARACTERS)
        passages.append(work[start : start + CHARACTERS])
    return "".join(passages)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--texts", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--passages", type=int, default=48)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder) / "training-texts.txt"
        text.write_text(calibration_text(arguments.texts, arguments.passages), "utf-8")
        return playground(
            [
                "quantize",
                *("--model", str(arguments.model), "--output", str(arguments.out)),
                *("--calibration", str(text), "--samples", str(arguments.passages)),
                *("--length", "512", "--device", "cpu"),
            ]
        )


if __name__ == "__main__":
    sys.exit(main())
