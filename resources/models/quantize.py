"""Make the GPTQ checkpoint of the bundled model: real GPTQ, calibrated on the training texts.

python quantize.py --model classics-6m --texts FOLDER --out classics-6m-gptq
"""

import argparse
import json
import os
import random
from pathlib import Path

os.environ.setdefault("GPTQMODEL_CPU_WORKERS", "2")  # its pool fails on two cores otherwise

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer, GPTQConfig

HELD_OUT = ("burgess-busterbrown.txt", "carroll-alice.txt")


def calibration_texts(folder: Path, count: int, characters: int) -> list[str]:
    """Return passages from random places of the training texts, always the same ones."""
    rng = random.Random(20)
    works = [p.read_text("utf-8") for p in sorted(folder.glob("*.txt")) if p.name not in HELD_OUT]
    passages = []
    for _ in range(count):
        work = rng.choice(works)
        start = rng.randrange(len(work) - characters)
        passages.append(work[start : start + characters])
    return passages


def store(folder: Path) -> None:
    """Cast what is not packed to the precision it will run in, and use the common format.

    The Hessians are wanted in fp32, and transformers refuses to cast a quantized model.
    gptqmodel writes "gptq_v2", where a zero point is stored as it is; every other program
    reads "gptq", where each is stored less one (eight 4-bit zeros an int32).
    """
    weights = folder / "model.safetensors"
    tensors = load_file(weights)
    path = folder / "config.json"
    config = json.loads(path.read_text())
    settings = config["quantization_config"]
    for name, tensor in tensors.items():
        if tensor.is_floating_point():
            tensors[name] = tensor.to(torch.bfloat16)
        elif name.endswith(".qzeros") and settings["format"] == "gptq_v2":
            tensors[name] = (tensor.to(torch.int64) - 0x11111111).to(torch.int32)
    save_file(tensors, weights, metadata={"format": "pt"})
    weights.chmod(0o644)
    config["dtype"] = "bfloat16"
    settings["format"] = settings["checkpoint_format"] = "gptq"
    del settings["dataset"]  # the whole calibration text, of no later use
    path.write_text(json.dumps(config, indent=2) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--texts", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--passages", type=int, default=48)
    arguments = parser.parse_args()

    tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    config = GPTQConfig(
        bits=4,
        group_size=128,
        sym=True,  # Marlin's kernels want symmetric weights
        desc_act=False,
        dataset=calibration_texts(arguments.texts, arguments.passages, characters=1800),
        tokenizer=tokenizer,
        model_seqlen=512,
    )
    model = AutoModelForCausalLM.from_pretrained(
        arguments.model, dtype=torch.float32, device_map="cpu", quantization_config=config
    )
    model.save_pretrained(arguments.out)
    tokenizer.save_pretrained(arguments.out)
    store(arguments.out)


if __name__ == "__main__":
    main()
