"""A tiny model whose architecture is known to nobody: it brings Python code of its own."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.tiny_model import tiny_model_files, write_files

_CODE = '''"""The model's own code."""

from pathlib import Path

from transformers import LlamaConfig, LlamaForCausalLM

Path({trace!r}).touch()


class OwnConfig(LlamaConfig):
    model_type = "own"


class OwnModel(LlamaForCausalLM):
    config_class = OwnConfig
'''


def write_own_code(folder: Path, trace: Path, place: str = "") -> Path:
    """Write the model; whoever runs its code leaves the file `trace`.

    `place` names another repository that its classes are said to come from.
    """
    files = tiny_model_files()
    config = json.loads(files["config.json"])
    start = f"{place}--" if place else ""
    config |= {
        "model_type": "own",
        "architectures": ["OwnModel"],
        "auto_map": {
            "AutoConfig": f"{start}own.OwnConfig",
            "AutoModelForCausalLM": f"{start}own.OwnModel",
        },
    }
    files["config.json"] = json.dumps(config).encode()
    files["own.py"] = _CODE.format(trace=str(trace)).encode()
    return write_files(folder, files)
