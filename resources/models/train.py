"""Train the bundled demonstration model: a small Llama on public-domain English fiction.

    python train.py --texts FOLDER --out classics-6m --minutes 60

The learning-rate schedule follows the wall clock, so a slow machine sees fewer tokens
but always ends with a finished decay. `--resume` continues an interrupted run.
"""

import argparse
import json
import math
import random
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

BOS, EOS = "<s>", "</s>"
#: Held out from training: the first is evaluated during the run, the second once at its end.
VALIDATION, TEST = "burgess-busterbrown.txt", "carroll-alice.txt"


@dataclass(frozen=True)
class Recipe:
    """Everything that determines the result, apart from the texts and the time."""

    vocabulary: int = 4096
    hidden: int = 256  # every linear layer's inputs are multiples of 128, GPTQ's group
    intermediate: int = 768
    layers: int = 6
    heads: int = 4
    context: int = 1024
    batch: int = 8
    muon_lr: float = 0.02
    adam_lr: float = 4e-3
    weight_decay: float = 0.1
    warmup_steps: int = 40
    decay_from: float = 0.4
    seed: int = 20


def train_tokenizer(texts: list[str], recipe: Recipe) -> PreTrainedTokenizerFast:
    """Train a byte-level BPE tokenizer; it encodes any bytes and needs no unknown token."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=recipe.vocabulary,
        special_tokens=[BOS, EOS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", special_tokens=[(BOS, tokenizer.token_to_id(BOS))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BOS,
        eos_token=EOS,
        model_max_length=recipe.context,
        clean_up_tokenization_spaces=False,
    )


def build_model(recipe: Recipe) -> LlamaForCausalLM:
    """Return the untrained model."""
    config = LlamaConfig(
        vocab_size=recipe.vocabulary,
        hidden_size=recipe.hidden,
        intermediate_size=recipe.intermediate,
        num_hidden_layers=recipe.layers,
        num_attention_heads=recipe.heads,
        num_key_value_heads=recipe.heads,
        max_position_embeddings=recipe.context,
        tie_word_embeddings=True,
        bos_token_id=0,
        eos_token_id=1,
    )
    return LlamaForCausalLM(config)


def batches(works: list[Tensor], recipe: Recipe, seed: int) -> Iterator[Tensor]:
    """Yield ids of shape (batch, context) without end.

    Each row is BOS and a slice of one work; every epoch shuffles the slices.
    """
    rng = random.Random(seed)
    length = recipe.context - 1
    bos = torch.zeros(1, dtype=torch.long)
    pending: list[Tensor] = []
    while True:
        rows = []
        for ids in works:
            # A new offset in each epoch moves the boundaries of the slices.
            start = rng.randrange(length)
            rows += [ids[i : i + length] for i in range(start, len(ids) - length, length)]
        rng.shuffle(rows)
        for row in rows:
            pending.append(torch.cat((bos, row)))
            if len(pending) == recipe.batch:
                yield torch.stack(pending)
                pending = []


@torch.no_grad()
def bits_per_byte(model: nn.Module, ids: Tensor, n_bytes: int, context: int) -> float:
    """Return the bits per byte: the sum of the tokens' NLL ÷ (ln 2 × UTF-8 bytes).

    `ids`, shape (tokens,), starts with BOS; every later token counts once. The window has
    `context` tokens and moves by half of that.
    """
    stride, total, counted = context // 2, 0.0, 1
    while counted < len(ids):
        start = max(0, counted - stride)
        window = ids[start : start + context]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = model(input_ids=window[None, :]).logits[0]
        logprobs = logits[:-1].float().log_softmax(-1)
        nll = -logprobs.gather(1, window[1:, None])[:, 0]
        fresh = start + len(window) - counted
        total += nll[-fresh:].sum().item()
        counted += fresh
    return total / math.log(2) / n_bytes


def learning_rate_factor(step: int, progress: float, recipe: Recipe) -> float:
    """Return the factor at a step: warm-up by steps, then constant, then linear to zero.

    `progress` is the fraction of the time that is used; the decay starts at `decay_from`.
    """
    warm = min(1.0, (step + 1) / recipe.warmup_steps)
    cool = min(1.0, (1.0 - progress) / (1.0 - recipe.decay_from))
    return warm * max(0.0, cool)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--texts", type=Path, required=True, help="folder of .txt files")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--resume", action="store_true")
    arguments = parser.parse_args()
    recipe = Recipe()
    torch.manual_seed(recipe.seed)
    arguments.out.mkdir(parents=True, exist_ok=True)

    names = sorted(p.name for p in arguments.texts.glob("*.txt"))
    held_out = (VALIDATION, TEST)
    texts = [(arguments.texts / n).read_text("utf-8") for n in names if n not in held_out]
    tokenizer = train_tokenizer(texts, recipe)
    tokenizer.save_pretrained(arguments.out)
    works = [torch.tensor([*tokenizer.encode(t), 1])[1:] for t in texts]
    print(f"{len(works)} works, {sum(map(len, works))} tokens, {sum(map(len, texts))} characters")

    def held_out_bpb(model: nn.Module, name: str) -> float:
        text = (arguments.texts / name).read_text("utf-8")
        ids = torch.tensor(tokenizer.encode(text))
        return bits_per_byte(model, ids, len(text.encode()), recipe.context)

    model = build_model(recipe)
    matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and "layers" in n]
    others = [p for n, p in model.named_parameters() if p.ndim != 2 or "layers" not in n]
    optimizers: list[torch.optim.Optimizer] = [
        torch.optim.Muon(matrices, lr=recipe.muon_lr, weight_decay=recipe.weight_decay),
        torch.optim.AdamW(others, lr=recipe.adam_lr, betas=(0.9, 0.95), weight_decay=0.0),
    ]
    base_rates = [o.param_groups[0]["lr"] for o in optimizers]

    checkpoint = arguments.out / "training-state.pt"
    step, consumed = 0, 0.0
    if arguments.resume and checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        step, consumed = state["step"], state["consumed"]
        model.load_state_dict(state["model"])
        for optimizer, saved in zip(optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)

    compiled = torch.compile(model)
    stream = batches(works, recipe, recipe.seed + step)  # a resumed run has other slices
    budget, last = arguments.minutes * 60, time.monotonic()
    next_report = consumed + 300
    while consumed < budget:
        ids = next(stream)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = compiled(input_ids=ids, labels=ids, use_cache=False).loss
        loss.backward()
        nn.utils.clip_grad_norm_(others, 1.0)
        factor = learning_rate_factor(step, consumed / budget, recipe)
        for optimizer, rate in zip(optimizers, base_rates, strict=True):
            optimizer.param_groups[0]["lr"] = rate * factor
            optimizer.step()
            optimizer.zero_grad()
        step += 1
        now = time.monotonic()
        consumed, last = consumed + now - last, now
        if step % 20 == 0:
            print(f"step {step}  {consumed / 60:.1f} min  loss {loss.item():.3f}", flush=True)
        if consumed > next_report:
            next_report = consumed + 300
            print(f"validation bits per byte {held_out_bpb(model, VALIDATION):.4f}", flush=True)
            state = {
                "step": step,
                "consumed": consumed,
                "model": model.state_dict(),
                "optimizers": [o.state_dict() for o in optimizers],
            }
            torch.save(state, checkpoint)
            last = time.monotonic()

    model = model.to(torch.bfloat16)
    model.save_pretrained(arguments.out)
    (arguments.out / "model.safetensors").chmod(0o644)
    report = {
        "recipe": asdict(recipe),
        "steps": step,
        "tokens_seen": step * recipe.batch * recipe.context,
        "minutes": round(consumed / 60, 1),
        "torch": torch.__version__,
        "validation": {VALIDATION: round(held_out_bpb(model, VALIDATION), 4)},
        "test": {TEST: round(held_out_bpb(model, TEST), 4)},
    }
    (arguments.out / "training.json").write_text(json.dumps(report, indent=2) + "\n")
    checkpoint.unlink(missing_ok=True)
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
