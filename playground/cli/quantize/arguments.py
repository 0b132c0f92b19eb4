"""What `playground quantize` accepts."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from playground.core.quantize_choices import BITS, GROUP_SIZES, TARGETS


def add_quantize(commands: argparse._SubParsersAction[Any]) -> None:
    """Add the command."""
    quantize = commands.add_parser(
        "quantize",
        help="make a quantized copy of a model",
        description="Make a GPTQ version of a model, or save it as int8 or NF4 (bitsandbytes), as "
        "a folder that the playground and transformers load at once. Ctrl+C cancels and leaves "
        "nothing behind.",
        allow_abbrev=False,
    )
    quantize.add_argument(
        "--model", default="bundled", metavar="M", help="a folder, a Hub id, or bundled"
    )
    quantize.add_argument("--revision", default="", help="of a Hub model: branch, tag or commit")
    quantize.add_argument(
        "--trust-remote-code", default="", metavar="COMMIT",
        help="run the model's own Python code, of this commit and no other",
    )  # fmt: skip
    quantize.add_argument("--to", choices=[t.value for t in TARGETS], default=TARGETS[0].value)
    quantize.add_argument(
        "--output", type=Path, metavar="DIR", help="the folder to make; in the model library, "
        "named like MODEL-gptq-4bit-128g, if left out",
    )  # fmt: skip
    gptq = quantize.add_argument_group("GPTQ")
    gptq.add_argument("--bits", type=int, choices=BITS, default=4)
    gptq.add_argument(
        "--group-size", type=int, choices=GROUP_SIZES, default=128, metavar="N",
        help="weights that share a scale: "
        f"{', '.join(map(str, GROUP_SIZES[:-1]))}, or -1 for a whole row (128)",
    )  # fmt: skip
    gptq.add_argument(
        "--act-order", action="store_true", help="quantize the most used inputs first"
    )
    gptq.add_argument(
        "--asymmetric", action="store_true", help="a zero point for each group; gptq_v2 format"
    )
    gptq.add_argument(
        "--calibration", type=Path, metavar="FILE", help="UTF-8 text; the shipped one if left out"
    )
    gptq.add_argument("--samples", type=int, default=64, metavar="N", help="pieces of text (64)")
    gptq.add_argument("--length", type=int, default=512, metavar="N", help="tokens of each (512)")
    quantize.add_argument("--device", default="", help="cpu, cuda:0, …; the first GPU if left out")
    quantize.add_argument("--threads", type=int, default=0, metavar="N", help="CPU threads")
    quantize.add_argument(
        "--estimate", action="store_true", help="only tell what it would cost, and write nothing"
    )
    quantize.add_argument(
        "--insist", action="store_true", help="go on where memory seems too small"
    )
    quantize.add_argument(
        "--json", action="store_true", help="one JSON object a line, the last one `finished`"
    )
