"""Changes good files into damaged or hostile ones, the same ones for the same seed."""

from __future__ import annotations

import json
import os
import random
import struct
from collections.abc import Callable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

#: Values that no field expects, or that lie beyond every bound.
HOSTILE: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    1,
    7,
    2**31,
    10**30,
    -(10**30),
    0.5,
    float("nan"),
    float("inf"),
    1e308,
    "",
    "x" * 5000,
    "../../etc/passwd",
    "/dev/zero",
    "\u0000",
    "\u202emodel",
    "😀" * 50,
    "{{ 7 * 7 }}",
    [],
    [[]],
    ["x"] * 1000,
    {},
    {"a": {"b": {"c": {}}}},
    {"model_type": "t5"},
)
_JSON = ("config.json", "generation_config.json", "tokenizer_config.json", "tokenizer.json")
_TEMPLATES = (
    "{{ messages[0]['content'] }}",
    "{% for m in messages %}{{ m.content }}",
    "{{ raise_exception('no') }}",
    "{{ messages | map(attribute='x') | list }}",
    "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "{{ ''.__class__.__mro__ }}",
    "{% include '/etc/passwd' %}",
)


def mutated_json(value: Any, draw: random.Random, changes: int = 1) -> Any:
    """Return a copy of a JSON value with some of its parts replaced, removed or repeated."""
    copy = json.loads(json.dumps(value))
    for _ in range(changes):
        container, key = _somewhere(copy, draw)
        if container is None:
            return hostile(draw)
        match draw.randrange(5):
            case 0:
                del container[key]
            case 1 if isinstance(container, dict):
                container[draw.choice(list(container))] = deepcopy(container[key])
            case _:
                container[key] = hostile(draw)
    return copy


def hostile(draw: random.Random) -> Any:
    """Return a value of HOSTILE that may be changed further."""
    return deepcopy(draw.choice(HOSTILE))


def mutated_bytes(data: bytes, draw: random.Random) -> bytes:
    """Return bytes that were cut, overwritten, repeated, or nested deeply."""
    match draw.randrange(7):
        case 0:
            return data[: draw.randrange(len(data) + 1)]
        case 1:
            return b""
        case 2:
            return bytes(draw.randrange(256) for _ in range(200))
        case 3:
            spoilt = bytearray(data)
            for _ in range(draw.randint(1, 20)):
                spoilt[draw.randrange(len(spoilt))] = draw.randrange(256)
            return bytes(spoilt)
        case 4:
            return draw.choice([b"[", b'{"a":', b'{"a":[']) * 5000
        case 5:
            return data + data
        case _:
            return data.replace(b"1", b"9" * draw.choice([1, 30, 5000]))


def mutate_folder(folder: Path, files: Mapping[str, bytes], draw: random.Random) -> str:
    """Damage a folder that holds these files; return what was done."""
    name = draw.choice(list(files))
    path = folder / name
    kind: Callable[[], str] = draw.choice(
        [lambda: _json(folder, files, draw)] * 8
        + [lambda: _bytes(path, files[name], draw)] * 3
        + [lambda: _header(folder, files["model.safetensors"], draw)] * 3
        + [lambda: _index(folder, draw), lambda: _swap(folder, files, draw)]
        + [lambda: _special(path, draw)] * 2
        + [lambda: _template(folder, draw)]
    )
    return kind()


def _json(folder: Path, files: Mapping[str, bytes], draw: random.Random) -> str:
    name = draw.choice(_JSON)
    value = mutated_json(json.loads(files[name]), draw, draw.choice([1, 1, 1, 3]))
    if draw.random() < 0.3 and isinstance(value, dict):
        value[draw.choice(_EXTRA)] = hostile(draw)
    (folder / name).write_text(json.dumps(value))
    return f"{name}: {json.dumps(value)[:300]}"


#: Fields that steer what is read and built.
_EXTRA = (
    "auto_map",
    "quantization_config",
    "text_config",
    "rope_parameters",
    "rope_scaling",
    "sliding_window",
    "layer_types",
    "eos_token_id",
    "chat_template",
    "model_max_length",
    "attn_implementation",
    "torch_dtype",
    "num_experts",
    "tokenizer_class",
    "is_encoder_decoder",
    "added_tokens_decoder",
)


def _bytes(path: Path, data: bytes, draw: random.Random) -> str:
    path.write_bytes(mutated_bytes(data, draw))
    return f"{path.name}: other bytes"


def _header(folder: Path, data: bytes, draw: random.Random) -> str:
    (length,) = struct.unpack_from("<Q", data)
    header = mutated_json(json.loads(data[8 : 8 + length]), draw, draw.choice([1, 2]))
    text = json.dumps(header).encode()
    stated = draw.choice([len(text)] * 5 + [0, 2**40, 2**63, len(text) - 1])
    (folder / "model.safetensors").write_bytes(
        struct.pack("<Q", stated) + text + data[8 + length :]
    )
    return f"header: {text[:300]!r}"


def _index(folder: Path, draw: random.Random) -> str:
    (folder / "model.safetensors").rename(folder / "model-00001-of-00001.safetensors")
    good = {"metadata": {}, "weight_map": {"model.norm.weight": "model-00001-of-00001.safetensors"}}
    value = mutated_json(good, draw, draw.choice([1, 2]))
    (folder / "model.safetensors.index.json").write_text(json.dumps(value))
    return f"index: {json.dumps(value)[:300]}"


def _swap(folder: Path, files: Mapping[str, bytes], draw: random.Random) -> str:
    one, other = draw.sample(list(files), 2)
    (folder / one).write_bytes(files[other])
    return f"{one} is {other}"


def _special(path: Path, draw: random.Random) -> str:
    """Put something else in a file's place."""
    path.unlink()
    match draw.randrange(5):
        case 0:
            os.mkfifo(path)
        case 1:
            path.mkdir()
        case 2:
            path.symlink_to("/dev/zero")
        case 3:
            path.symlink_to(path.parent.with_name("outside") / path.name)
        case _:
            path.symlink_to(path)  # a circle
    return f"{path.name} is something else"


def _template(folder: Path, draw: random.Random) -> str:
    text = draw.choice(_TEMPLATES)
    (folder / "chat_template.jinja").write_text(text)
    return f"template: {text}"


def _somewhere(value: Any, draw: random.Random) -> tuple[Any, Any]:
    """Return a container inside a value and a key in it; None for what holds nothing."""
    found: list[tuple[Any, Any]] = []
    pending = [value]
    while pending:
        item = pending.pop()
        keys = (
            item if isinstance(item, dict) else range(len(item)) if isinstance(item, list) else ()
        )
        for key in list(keys)[:400]:
            found.append((item, key))
            pending.append(item[key])
    return draw.choice(found) if found else (None, None)
