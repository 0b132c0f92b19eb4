"""Turns an answer into a short Python script that reproduces it with transformers."""

from __future__ import annotations

from pathlib import Path

from playground.core.errors import FileError
from playground.core.facts import Answer, Stamp
from playground.core.generation import ChatPrompt, Message, Prompt, clean_prompt_text
from playground.core.model import foreign
from playground.core.model.checkpoint import weight_files
from playground.core.precision import Precision
from playground.core.server_requests import fields_of, path_of
from playground.core.servers import ServerFacts

_PLAIN_DTYPES = {
    Precision.FP32: "torch.float32",
    Precision.BF16: "torch.bfloat16",
    Precision.FP16: "torch.float16",
}


#: gptqmodel's kernel classes, and the `backend` that selects each.
_GPTQ_BACKENDS = {
    "TorchAtenLinear": "gptq_torch_aten",
    "MarlinLinear": "gptq_marlin",
    "TritonV2Linear": "gptq_triton",
    "TorchLinear": "gptq_torch",
    # The engine repacks the weights for this kernel; their values are the same.
    "_weight_int4pack_mm": "gptq_torch",
}


#: The int8 weight-only linear layer that the engine puts in place of bitsandbytes' layer.
_WEIGHT_ONLY = """

class WeightOnly(torch.nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.weight, self.bias = layer.weight.CB, layer.bias
        self.scale = (layer.weight.SCB / 127.0).to(torch.bfloat16)

    def forward(self, x):
        rows = x.reshape(-1, x.shape[-1]).contiguous()
        if rows.device.type == "cpu" and len(rows) <= 16 and rows.shape[1] % 16 == 0:
            y = torch._weight_int8pack_mm(rows.bfloat16(), self.weight, self.scale).to(x.dtype)
        else:
            y = torch.nn.functional.linear(rows, self.weight.to(x.dtype)) * self.scale.to(x.dtype)
        y = y if self.bias is None else y + self.bias.to(x.dtype)
        return y.view(*x.shape[:-1], -1)


for parent in list(model.modules()):
    for name, child in list(parent.named_children()):
        if type(child).__name__ == "Linear8bitLt":
            setattr(parent, name, WeightOnly(child))
"""


#: Makes a folder of AutoGPTQ loadable: it names weights after the quantization, and keeps the
#: quantization settings in a file of their own.
_OLD_FOLDER = """
import json
import tempfile
from pathlib import Path

OLD, MODEL = Path(MODEL), Path(tempfile.mkdtemp())
for path in OLD.iterdir():
    name = path.name
    if name.endswith(".safetensors.index.json"):
        name = "model.safetensors.index.json"
    elif name.endswith(".safetensors") and len(list(OLD.glob("*.safetensors"))) == 1:
        name = "model.safetensors"
    if name != "config.json":
        (MODEL / name).symlink_to(path.resolve())
config = json.loads((OLD / "config.json").read_text("utf-8"))
settings = json.loads((OLD / "quantize_config.json").read_text("utf-8"))
config.setdefault("quantization_config", {**settings, "quant_method": "gptq"})
(MODEL / "config.json").write_text(json.dumps(config), "utf-8")
"""


#: What state-space models that multiply this layer's weight themselves are quantized with.
_KEPT = ', llm_int8_skip_modules=["lm_head", "dt_proj"]'
#: What takes the place of an implementation that is left out of a model's config.json.
_OWN_IMPLEMENTATIONS = {"attn_implementation": "sdpa", "experts_implementation": "grouped_mm"}


def script(answer: Answer, prompt: Prompt) -> str:
    """Return the script, which prints the text generated after the prompt, and nothing else."""
    stamp = answer.stamp
    if stamp.server is not None:
        return _request(stamp.server, stamp, prompt)
    blocks = [
        _header(stamp),
        _load(stamp),
        _prompt(prompt, stamp),
        _generate(answer, prompt.prefix_ids),
    ]
    return "\n\n".join(blocks) + "\n"


def _request(server: ServerFacts, stamp: Stamp, prompt: Prompt) -> str:
    """Return a script that asks the server once more, in the same words."""
    fields = fields_of(stamp.model, prompt, stamp.options, server) | {"stream": False}
    fields.pop("stream_options")
    text = '["message"]["content"]' if isinstance(prompt, ChatPrompt) else '["text"]'
    return (
        f"# Asks {server.label} again. Whether it gives the same text is up to the server.\n"
        "import json\n"
        "import os\n"
        "import urllib.request\n\n"
        f"fields = {fields!r}\n"
        "request = urllib.request.Request(\n"
        f"    {server.url + path_of(prompt)!r},\n"
        "    json.dumps(fields).encode(),\n"
        "    {\n"
        '        "Content-Type": "application/json",\n'
        "        \"Authorization\": f\"Bearer {os.environ.get('API_KEY', '')}\",\n"
        "    },\n"
        ")\n"
        "with urllib.request.urlopen(request) as answer:\n"
        f'    print(json.load(answer)["choices"][0]{text})\n'
    )


def _header(stamp: Stamp) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in sorted(stamp.versions.items()))
    imports = ["import torch"]
    names = ["AutoModelForCausalLM", "AutoTokenizer", "GenerationConfig"]
    if "bitsandbytes" in stamp.requested_precision.libraries:
        names.append("BitsAndBytesConfig")
    if stamp.requested_precision is Precision.GPTQ:
        # gptqmodel's worker pool fails on two cores without it.
        imports[:0] = [
            "import contextlib",
            "import os",
            "import sys",
            'os.environ.setdefault("GPTQMODEL_CPU_WORKERS", "2")',
        ]
        names.append("GPTQConfig")
    imports.append(f"from transformers import {', '.join(sorted(names))}")
    return (
        f"# {stamp.model} ({stamp.commit or 'no commit'}), {stamp.requested_precision.label}\n"
        f"# made {stamp.created} on {stamp.device_name}, {stamp.kernel}\n"
        + (f"# in the engine environment {stamp.environment}\n" if stamp.environment else "")
        + f"# {versions}\n"
        + "\n".join(imports)
    )


def _load(stamp: Stamp) -> str:
    precision = stamp.requested_precision
    arguments = [f"dtype={_dtype(stamp)}", f"device_map={stamp.device!r}"]
    kept = _KEPT if any(name.endswith("dt_proj") for name in stamp.verified.skipped) else ""
    if precision is Precision.GPTQ:
        backend = _GPTQ_BACKENDS.get(stamp.kernel.rsplit(" ", 1)[-1], "auto")
        arguments.append(f'quantization_config=GPTQConfig(bits=4, backend="{backend}")')
    elif precision in (Precision.INT8, Precision.INT8_WEIGHT_ONLY):
        arguments.append(f"quantization_config=BitsAndBytesConfig(load_in_8bit=True{kept})")
    elif precision is Precision.NF4:
        arguments.append(
            'quantization_config=BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", '
            f"bnb_4bit_compute_dtype=torch.bfloat16{kept})"
        )
    arguments += [f'{key}="{name}"' for key, name in _implementations(Path(stamp.folder)).items()]
    if stamp.own_code:
        arguments.append("trust_remote_code=True")
    own = ", trust_remote_code=True" if stamp.own_code else ""
    lines = [f"MODEL = {stamp.folder!r}"]
    if precision is Precision.GPTQ and _written_by_auto_gptq(Path(stamp.folder)):
        lines.append(_OLD_FOLDER)
    if stamp.own_code:
        lines.append(f"# This runs the model's own Python code, of commit {stamp.own_code}.")
    if stamp.threads:
        lines.append(f"torch.set_num_threads({stamp.threads})")
    lines.append(f"tokenizer = AutoTokenizer.from_pretrained(MODEL{own})")
    load = [
        "model = AutoModelForCausalLM.from_pretrained(",
        "    MODEL,",
        *(f"    {argument}," for argument in arguments),
        ")",
    ]
    if precision is Precision.GPTQ:
        lines.append("with contextlib.redirect_stdout(sys.stderr):  # gptqmodel prints a banner")
        load = [f"    {line}" for line in load]
    lines += load
    if precision is Precision.GPTQ:
        lines += [
            "for module in model.modules():  # or gptqmodel compiles each of its layers",
            '    vars(module).pop("dequantize_weight", None)',
        ]
    if precision is Precision.INT8_WEIGHT_ONLY:
        lines.append(_WEIGHT_ONLY)
    return "\n".join(lines)


def _implementations(folder: Path) -> dict[str, str]:
    """Return the arguments without which transformers would take what config.json asks for."""
    try:
        left_out = {key.removeprefix("_") for key, _ in foreign.implementations(folder)}
    except FileError:  # since the answer was made, the folder has changed
        return {}
    return {key: name for key, name in _OWN_IMPLEMENTATIONS.items() if key in left_out}


def _written_by_auto_gptq(folder: Path) -> bool:
    """Return whether AutoGPTQ wrote the folder, so that transformers finds neither file."""
    if not (folder / "quantize_config.json").is_file():
        return False
    index, files = weight_files(folder)
    standard = index or (files[0] if len(files) == 1 else None)
    return standard is not None and not standard.name.startswith("model.safetensors")


def _dtype(stamp: Stamp) -> str:
    """Return the dtype of the values that are not quantized, as counted in the loaded model."""
    plain = _PLAIN_DTYPES.get(stamp.requested_precision)
    if plain is not None:
        return plain
    sizes = stamp.verified.bytes_by_dtype
    return "torch.bfloat16" if sizes.get("bf16", 0) >= sizes.get("fp16", 0) else "torch.float16"


def _prompt(prompt: Prompt, stamp: Stamp) -> str:
    if isinstance(prompt, ChatPrompt):
        turns = ",\n".join(f"    {_turn(message, stamp)!r}" for message in prompt.messages)
        return (
            f"messages = [\n{turns},\n]\n"
            "inputs = tokenizer.apply_chat_template(\n"
            '    messages, add_generation_prompt=True, return_tensors="pt", return_dict=True\n'
            ")"
        )
    text, _ = clean_prompt_text(prompt.text)
    return f'PROMPT = {text!r}\ninputs = tokenizer(PROMPT, return_tensors="pt")'


def _turn(message: Message, stamp: Stamp) -> dict[str, object]:
    content = clean_prompt_text(message.content)[0] if message.content else ""
    parts = [{"type": "text", "text": content}]
    return {"role": message.role, "content": parts if stamp.content_parts else content}


def _generate(answer: Answer, prefix_ids: tuple[int, ...]) -> str:
    options, rules = answer.stamp.options, answer.stamp.rules
    arguments = [
        # The answer may have ended at a stop string, or been stopped.
        f"max_new_tokens={max(1, len(answer.token_ids))}",
        f"eos_token_id={None if options.ignore_eos else list(rules.eos) or None}",
        f"do_sample={not options.greedy}",
    ]
    if not options.greedy:
        arguments += [
            f"{name}={getattr(options, name)}" for name in ("temperature", "top_k", "top_p")
        ]
        if options.min_p:
            arguments.append(f"min_p={options.min_p}")
    if options.repetition_penalty != 1.0:
        arguments.append(f"repetition_penalty={options.repetition_penalty}")
    if rules.forbidden:
        arguments.append(f"bad_words_ids={[list(word) for word in rules.forbidden]}")
    if rules.suppressed:
        arguments.append(f"suppress_tokens={list(rules.suppressed)}")
    if rules.suppressed_first:
        arguments.append(f"begin_suppress_tokens={list(rules.suppressed_first)}")
    lines = [
        "settings = GenerationConfig(",
        *(f"    {argument}," for argument in arguments),
        ")",
        "model.generation_config = GenerationConfig()  # nothing of the checkpoint's own",
        f"torch.manual_seed({options.seed})",
        'ids = inputs["input_ids"].to(model.device)',
        *(
            [
                "# The tokens from which the answer was continued",
                f"given = torch.tensor([{list(prefix_ids)}], device=model.device)",
                "ids = torch.cat((ids, given), 1)",
            ]
            if prefix_ids
            else []
        ),
        "output = model.generate(",
        "    ids, attention_mask=torch.ones_like(ids), generation_config=settings",
        ")",
        "text = tokenizer.decode(",
        "    output[0, ids.shape[1] :],",
        "    skip_special_tokens=True,",
        "    clean_up_tokenization_spaces=False,",
        ")",
    ]
    if options.stop:
        lines += [f"for stop in {list(options.stop)!r}:", "    text = text.split(stop)[0]"]
    lines.append("print(text)")
    return "\n".join(lines)
