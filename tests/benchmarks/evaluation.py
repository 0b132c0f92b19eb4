"""Measures evaluations: items a minute of GSM8K beside lm-evaluation-harness at batch 1."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from playground.cli.console import Console
from playground.cli.options import Parser, path, positive, threads
from playground.client.session import Session
from playground.core.comparison import median
from playground.core.errors import OptionsError
from playground.core.facts import LoadRequest
from playground.core.generation import GenerationOptions, RawPrompt
from playground.core.precision import Precision
from playground.core.system.machine import processor
from playground.core.system.resources import resource
from playground.evaluation.case import Suite
from playground.evaluation.suites.benchmarks import gsm8k
from playground.evaluation.suites.prompts import prefix_of, prompt_of
from tests.benchmarks import entry

_SHOTS = 4
_WANTED = 3.0
_DTYPES = {Precision.BF16: "bfloat16", Precision.FP32: "float32"}


def bench_evaluation(args: argparse.Namespace) -> int:
    """Measure and print. Raises PlaygroundError."""
    console = Console(json=args.json)
    suite = gsm8k(args.folder, _SHOTS)
    prompts = [_text(suite, number) for number in range(args.items)]
    console.note(f"{processor().name}, {args.threads} threads; {suite.source}")
    met = True
    for precision in _DTYPES:
        ours = _Ours(suite, precision, args)
        theirs = _Theirs(suite, precision, args)
        times: dict[str, list[float]] = {"ours": [], "harness": []}
        with ours:
            for _ in range(args.rounds):
                for name, answer in (("ours", ours.answer), ("harness", theirs.answer)):
                    console.status(f"{precision}: {name}")
                    times[name].append(_timed(answer, prompts))
        per_minute = {name: 60 * args.items / (median(s) or 1.0) for name, s in times.items()}
        ratio = per_minute["ours"] / per_minute["harness"]
        met &= ratio >= _WANTED
        console.end_status()
        console.event("evaluation", precision=precision, **per_minute, ratio=ratio, times=times)
        console.print(
            f"{precision}: {per_minute['ours']:.0f} items a minute, lm-evaluation-harness "
            f"{per_minute['harness']:.0f}: {ratio:.2f}× (wanted: ≥ {_WANTED:g}×)"
        )
    return 0 if met else 1


def _text(suite: Suite, number: int) -> str:
    prompt = prompt_of(suite, suite.cases[number])
    if not isinstance(prompt, RawPrompt):
        raise OptionsError("The suite is a conversation.")
    return prompt.text


def _timed(answer: Callable[[Sequence[str]], None], prompts: Sequence[str]) -> float:
    began = time.perf_counter()
    answer(prompts)
    return time.perf_counter() - began


class _Ours:
    """An engine that reads the worked examples once, as evaluations do."""

    def __init__(self, suite: Suite, precision: Precision, args: argparse.Namespace) -> None:
        self._suite = suite
        self._options = GenerationOptions(max_new_tokens=args.new_tokens, stop=suite.stop)
        self._session = Session()
        self._request = LoadRequest(
            name="bundled",
            folder=str(_model()),
            commit="",
            precision=precision,
            threads=args.threads,
        )

    def __enter__(self) -> _Ours:
        self._session.__enter__()
        self._session.load(self._request)
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def answer(self, prompts: Sequence[str]) -> None:
        prefix = RawPrompt(prefix_of(self._suite))
        shared = self._session.generate(prefix, GenerationOptions(max_new_tokens=1))
        for prompt in prompts:
            self._session.generate(RawPrompt(prompt), self._options, reuse=shared.prompt_tokens)


class _Theirs:
    """lm-evaluation-harness' HFLM at batch 1."""

    def __init__(self, suite: Suite, precision: Precision, args: argparse.Namespace) -> None:
        try:
            import torch
            from lm_eval.api.instance import Instance
            from lm_eval.models.huggingface import HFLM
        except ImportError as error:
            raise OptionsError(
                "lm-evaluation-harness is not installed.",
                "Run `pip install 'language-model-playground[harness]'`.",
            ) from error
        torch.set_num_threads(args.threads)
        self._instance: Any = Instance
        self._until = {
            "until": list(suite.stop),
            "max_gen_toks": args.new_tokens,
            "do_sample": False,
        }
        self._model: Any = HFLM(
            pretrained=str(_model()), dtype=_DTYPES[precision], batch_size=1, device="cpu"
        )

    def answer(self, prompts: Sequence[str]) -> None:
        requests = [
            self._instance(
                request_type="generate_until", doc={}, arguments=(p, dict(self._until)), idx=n
            )
            for n, p in enumerate(prompts)
        ]
        self._model.generate_until(requests, disable_tqdm=True)


def _model() -> Path:
    return resource("models", "classics-6m")


def arguments() -> Parser:
    """Return the parser of the command line."""
    parser = entry.parser(
        "evaluation",
        "Items a minute of GSM8K with four examples on the bundled model, beside "
        "lm-evaluation-harness (the extra [harness]) with the same prompts.",
    )
    parser.add_argument(
        "--folder", type=path, required=True, metavar="DIR", help="holds gsm8k/test.jsonl"
    )
    parser.add_argument("--items", type=positive, default=24, metavar="N")
    parser.add_argument("--new-tokens", type=positive, default=64, metavar="N")
    parser.add_argument("--rounds", type=positive, default=3, metavar="N")
    parser.add_argument("--threads", type=threads, default=2, metavar="N")
    return parser


if __name__ == "__main__":
    entry.run(arguments(), bench_evaluation)
