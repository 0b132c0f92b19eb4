"""Streams one answer of one model in one precision: `playground run`."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from playground.cli.console import Console, table
from playground.cli.figures import HEAD, loaded_fields, row, what_runs
from playground.cli.interrupts import interrupting
from playground.cli.lanes import load_model
from playground.cli.requests import local_model
from playground.cli.server_lane import load_from, open_session
from playground.client.environments import process_of
from playground.client.session import Session
from playground.core.answer_figures import answer_fields, count_text, figures_of
from playground.core.errors import ModelError, OptionsError, PlaygroundError
from playground.core.facts import Answer, LoadedModel, ModelSpec
from playground.core.format import seconds_text
from playground.core.generation import (
    ChatPrompt,
    GenerationOptions,
    Message,
    Prompt,
    RawPrompt,
    clean_prompt_text,
)
from playground.core.lane import LaneConfig
from playground.core.model.checkpoint import read_checkpoint
from playground.core.precision import Precision
from playground.core.protocol import Activity, Event, Finished, Progress, Started, Tokens
from playground.core.servers import find_server
from playground.core.settings import SettingsStore
from playground.core.system import paths
from playground.core.token_record import TokenDetail, detail_fields
from playground.history.recorder import RunRecorder
from playground.history.records import RunRequest, RunState
from playground.history.writer import HistoryWriter
from playground.hub.source import model_spec


def run(args: argparse.Namespace) -> int:
    """Stream one answer. Raises PlaygroundError, and Interrupted before there is an answer."""
    console = Console(json=args.json)
    options = generation_options(args)
    prompt = _prompt(args, console)
    details: list[TokenDetail] = []

    def observe(event: Event) -> None:
        show(event, console)
        if isinstance(event, Tokens):
            details.extend(event.details)

    target = (_on_server if args.server else _on_this_machine)(args, observe, console)
    session = target.session
    with interrupting([session]) as interrupts, session:
        loaded = target.load()
        with _keeping(args, prompt, options, target, console) as kept:
            answer = session.generate(prompt, options)
            if kept is not None:
                kept.answered(0, answer, loaded.floor)
    _print_answer(answer, loaded, details, console)
    if loaded.mismatch:
        console.warn(f"{loaded.mismatch} Choose the precision that really runs.")
    if interrupts.requested:
        raise KeyboardInterrupt
    return 1 if loaded.mismatch else 0


@dataclass(frozen=True)
class _Target:
    """Where the prompt goes: a session, how its model is loaded, and the lane that this is."""

    session: Session
    load: Callable[[], LoadedModel]
    lane: LaneConfig


def _on_this_machine(
    args: argparse.Namespace, observe: Callable[[Event], None], console: Console
) -> _Target:
    spec = model_spec(args.model, args.revision)
    resolved = local_model(spec, args.precision, console)
    if args.chat and not read_checkpoint(resolved.folder).has_chat_template:
        raise ModelError(
            f"{resolved.name} has no chat template.",
            "Leave out --chat: the model then continues the prompt as it stands.",
        )
    known = SettingsStore().values.environments if args.environment else ()
    session = Session(observe, process_of(args.environment, known))

    def load() -> LoadedModel:
        return load_model(
            session,
            resolved,
            args.precision,
            args,
            console,
            decoder=args.decoder,
            environment=args.environment,
        )

    return _Target(session, load, LaneConfig(spec, args.precision))


def _on_server(
    args: argparse.Namespace, observe: Callable[[Event], None], console: Console
) -> _Target:
    server = find_server(SettingsStore().values.servers, args.server)
    session = open_session(observe)
    model = "" if args.model == "bundled" else args.model

    def load() -> LoadedModel:
        loaded = load_from(session, server, model, console)
        console.event("loaded", **loaded_fields(loaded))
        console.note(what_runs(loaded))
        return loaded

    lane = LaneConfig(ModelSpec(model), Precision.SERVER, server=server.name)
    return _Target(session, load, lane)


@contextlib.contextmanager
def _keeping(
    args: argparse.Namespace,
    prompt: Prompt,
    options: GenerationOptions,
    target: _Target,
    console: Console,
) -> Iterator[RunRecorder | None]:
    """Keep the run in the history while inside, unless it is private."""
    settings = SettingsStore().values
    if args.private or not settings.keep_history:
        yield None
        return
    typed = prompt.text if isinstance(prompt, RawPrompt) else prompt.messages[-1].content
    request = RunRequest(
        typed=typed,
        mode="chat" if args.chat else "raw",
        system=args.system or "",
        options=options,
        lanes=(target.lane,),
    )
    writer = HistoryWriter(
        paths.history_file(),
        settings.history_limit_mb * 1_000_000,
        lambda error: console.warn(str(error)),
    )
    recorder = RunRecorder(writer, request)
    recorder.sent(0, 0, prompt)
    session = target.session
    observe = session.observe

    def observed(event: Event) -> None:
        observe(event)
        if isinstance(event, Tokens):
            recorder.streamed(0, [event])

    session.observe = observed
    state = RunState.FINISHED
    try:
        yield recorder
    except BaseException as error:
        state = RunState.STOPPED
        recorder.broke_off(0, str(error) if isinstance(error, PlaygroundError) else "")
        raise
    finally:
        recorder.ended(state)
        writer.close()


def generation_options(args: argparse.Namespace) -> GenerationOptions:
    """Return the options of a `run` command line. Raises OptionsError for impossible ones."""
    sampling = {
        name: value
        for name in ("temperature", "top_k", "top_p", "min_p")
        if (value := getattr(args, name)) is not None
    }
    if args.greedy and sampling:
        given = ", ".join(f"--{name.replace('_', '-')}" for name in sampling)
        raise OptionsError(
            f"--greedy leaves no choice for {given} to act on.", "Leave out one of them."
        )
    options = GenerationOptions(
        max_new_tokens=args.new_tokens,
        greedy=not sampling,
        seed=args.seed,
        repetition_penalty=args.repetition_penalty,
        stop=tuple(args.stop),
        ignore_eos=args.ignore_eos,
        top=args.top,
        **sampling,
    )
    options.check()
    return options


def prompt_text(given: str, console: Console) -> str:
    """Return the prompt, read from stdin for "-". Raises OptionsError for an empty one."""
    if given == "-":
        given = sys.stdin.buffer.read().decode("utf-8", "replace")
    text, notice = clean_prompt_text(given)
    if notice:
        console.warn(notice)
    return text


def _prompt(args: argparse.Namespace, console: Console) -> Prompt:
    text = prompt_text(args.prompt, console)
    if not args.chat:
        if args.system:
            raise OptionsError("--system needs --chat.", "Add --chat, or leave out --system.")
        return RawPrompt(text)
    system, _ = clean_prompt_text(args.system) if args.system else ("", "")
    turns = (Message("system", system),) if system else ()
    return ChatPrompt((*turns, Message("user", text)))


def show(event: Event, console: Console) -> None:
    """Print an engine's event: tokens to stdout, progress to stderr, or everything as JSON."""
    match event:
        case Progress(activity=activity, fraction=fraction, detail=detail):
            console.event("progress", activity=activity, fraction=fraction, detail=detail)
            share = f" {fraction:.0%}" if fraction is not None and console.live else ""
            doing = f": {detail}" if activity is Activity.WARMING_UP and detail else ""
            console.status(f"{activity.label}{doing}{share}")
        case Started(prompt_tokens=count):
            console.event("started", prompt_tokens=count)
            console.end_status()
        case Tokens(ids=ids, texts=texts, times=times, details=details):
            more = {"details": detail_fields(details)} if details else {}
            console.event("tokens", ids=ids, texts=texts, times=times, **more)
            console.stream("".join(texts))
        case Finished(tail=tail):
            console.stream(tail)


def _where(answer: Answer) -> str:
    """Return the environment's part of the stamp's line; "" for the playground's own."""
    return f"environment {answer.stamp.environment} · " if answer.stamp.environment else ""


def _origin(answer: Answer) -> str:
    """Return what tells the model apart: its commit, or of a server how the times were taken."""
    server = answer.stamp.server
    if server is None:
        return f"commit {answer.stamp.commit or 'none'}"
    trip = seconds_text(server.round_trip_s)
    return f"times measured here, network included (round trip {trip})"


def _print_answer(
    answer: Answer, loaded: LoadedModel, details: list[TokenDetail], console: Console
) -> None:
    console.print()
    name = loaded.request.precision.short_label if loaded.server else loaded.request.precision
    for line in table(
        [HEAD, row(name, figures_of(answer, loaded.floor), answer.peak_memory_bytes)]
    ):
        console.note(line)
    stamp = answer.stamp
    console.note(
        f"{count_text(answer)}, {answer.ending} · seed {stamp.options.seed} · "
        f"{stamp.decoder_text} · {_where(answer)}{_origin(answer)}"
    )
    more = {"token_details": detail_fields(details)} if details else {}
    console.event("finished", **answer_fields(answer, loaded.floor), **more)
