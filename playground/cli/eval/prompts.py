"""Prints the prompts of a suite: `playground eval prompts`."""

from __future__ import annotations

import argparse

from playground.cli.console import Console
from playground.core.generation import RawPrompt
from playground.evaluation.suites.named import find_suite
from playground.evaluation.suites.prompts import prompt_of


def prompts(args: argparse.Namespace) -> int:
    """Print what models are asked. Raises PlaygroundError."""
    console = Console(json=args.json)
    suite = find_suite(args.suite, args.folder, args.shots)
    for case in suite.cases[: args.limit or None]:
        prompt = prompt_of(suite, case)
        if isinstance(prompt, RawPrompt):
            asked: dict[str, object] = {"prompt": prompt.text}
            shown = prompt.text
        else:
            turns = [{"role": m.role, "content": m.content} for m in prompt.messages]
            asked = {"messages": turns}
            shown = "\n".join(f"{m.role}: {m.content}" for m in prompt.messages)
        console.event("prompt", id=case.id, **asked, target=list(case.targets), source=suite.source)
        console.print(f"--- {case.id}")
        console.print(shown)
    console.note(f"{len(suite.cases):,} cases · {suite.source}")
    return 0
