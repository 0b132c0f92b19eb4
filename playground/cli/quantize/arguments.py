"""Defines what `playground quantize` accepts."""

from __future__ import annotations

from playground.cli.options import Commands, add_model_options, integer, path
from playground.core.choices import BITS, GROUP_SIZES, TARGETS


def add_quantize(commands: Commands) -> None:
    """Add the command."""
    quantize = commands.add_parser(
        "quantize",
        help="write a quantized copy of a model",
        description="Make a GPTQ version of a model, or save it as int8 or NF4 (bitsandbytes), in "
        "a folder that the playground and transformers can load. Ctrl+C cancels and leaves "
        "nothing behind.",
    )
    add_model_options(quantize)
    quantize.add_argument("--to", choices=[t.value for t in TARGETS], default=TARGETS[0].value)
    quantize.add_argument(
        "--output", type=path, metavar="DIR",
        help="the folder to create; default: MODEL-gptq-4bit-128g or similar in the model library",
    )  # fmt: skip
    gptq = quantize.add_argument_group("GPTQ")
    gptq.add_argument("--bits", type=integer, choices=BITS, default=4)
    gptq.add_argument(
        "--group-size", type=integer, choices=GROUP_SIZES, default=128, metavar="N",
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
        "--calibration", type=path, metavar="FILE", help="UTF-8 text; default: the shipped one"
    )
    gptq.add_argument(
        "--samples", type=integer, default=64, metavar="N", help="pieces of text (64)"
    )
    gptq.add_argument(
        "--length", type=integer, default=512, metavar="N", help="tokens in each (512)"
    )
    quantize.add_argument(
        "--estimate", action="store_true", help="print what it would cost, and write nothing"
    )
    quantize.add_argument(
        "--insist", action="store_true", help="continue even if memory seems too small"
    )
