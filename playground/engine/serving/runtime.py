"""Carries out the commands of an engine: load one model, and answer prompts with it."""

from __future__ import annotations

import logging
from functools import partial

import torch
from transformers import PreTrainedModel

from playground.core.errors import EngineError
from playground.core.facts import DeviceFacts, LoadedModel, LoadRequest
from playground.core.floor import Floor
from playground.core.generation import GenerationOptions
from playground.core.protocol import (
    Activity,
    ContinuationsScored,
    Counted,
    CountTokens,
    Generate,
    Loaded,
    Progress,
    Score,
    ScoreContinuations,
    Scored,
)
from playground.core.scoring import ScoringProtocol, TextScore
from playground.engine.decoding.decoder import Decoder
from playground.engine.decoding.generate import GenerateDecoder
from playground.engine.decoding.interruption import InterruptedForwardError
from playground.engine.decoding.model_rules import take_rules
from playground.engine.loading import diagnose
from playground.engine.loading import load as loading
from playground.engine.loading.positions import true_context
from playground.engine.loading.step_bytes import step_floor
from playground.engine.loading.verify import count_parameters, verify
from playground.engine.machine import bandwidth, compat, devices, memory
from playground.engine.machine.errors import is_explained, may_be_files
from playground.engine.machine.libraries import versions
from playground.engine.prompts.encode import has_chat_template
from playground.engine.scoring.continuations import score_continuations
from playground.engine.scoring.text import TextScorer, as_bytes
from playground.engine.serving.answering import Answering, Session
from playground.engine.serving.choose_decoder import choose_decoder, instead_of
from playground.engine.serving.detokenize import token_texts
from playground.engine.serving.unknown_tokens import tokens_beyond
from playground.engine.wire.inbox import Inbox
from playground.engine.wire.progress import LoadProgress
from playground.engine.wire.sender import Sender

log = logging.getLogger(__name__)

_WARM_UP_PROMPT = 16  # tokens
_WARM_UP_TOKENS = 8


class Runtime:
    """Carries out commands; each method raises PlaygroundError or whatever a library raises."""

    def __init__(self, sender: Sender, inbox: Inbox, importing_s: float) -> None:
        self._sender = sender
        self._inbox = inbox
        self._importing_s = importing_s
        self._session: Session | None = None

    @property
    def device(self) -> str:
        """The device of the loaded model, the CPU without one."""
        return self._session.loaded.request.device if self._session else "cpu"

    def load(self, request: LoadRequest) -> None:
        """Load a model; after a failure another load may be tried."""
        if self._session is not None:
            raise EngineError(
                "This engine has a model already.", "Start another engine for another model."
            )
        try:
            session = self._load(request)
        except BaseException as error:
            if is_explained(error) or not may_be_files(error):
                raise
            raise diagnose.model_fault(request) from error
        self._sender.send(Loaded(session.loaded))
        self._session = session

    def measure_ahead(self) -> None:
        """Measure the CPU's memory bandwidth unless it is known, while no command waits."""
        cpu = devices.cpu()
        if torch.cuda.is_available() or bandwidth.known("cpu", cpu.name) is not None:
            return
        self._sender.send(Progress(Activity.MEASURING))
        try:
            bandwidth.bandwidth("cpu", cpu.name)
        except Exception:
            log.exception("the memory bandwidth could not be measured")  # a load tries again

    def generate(self, command: Generate) -> None:
        """Answer a prompt."""
        Answering(self._loaded_session(), command, self._sender, self._inbox).run()

    def score(self, command: Score) -> None:
        """Score a text."""
        session = self._loaded_session()
        try:
            score: TextScore | None = self._scored(session, command)
        except InterruptedForwardError:
            score = None
        self._sender.send(Scored(command.request_id, score))

    def count(self, command: CountTokens) -> None:
        """Count the tokens of prompts."""
        session = self._loaded_session()
        counts: list[int] = []
        for prompt in command.prompts:
            encoded = session.prompts.encode(prompt, partial(self._should_stop, command.request_id))
            if isinstance(encoded, str):
                counts.clear()
                break
            counts.append(len(encoded.ids) + len(prompt.prefix_ids))
        self._sender.send(Counted(command.request_id, tuple(counts)))

    def score_continuations(self, command: ScoreContinuations) -> None:
        """Score texts as continuations of a context."""
        session = self._loaded_session()
        should_stop = partial(self._should_stop, command.request_id)
        try:
            scores = score_continuations(
                session.model,
                session.prompts,
                session.loaded.context_length,
                command.context,
                command.continuations,
                should_stop,
            )
        except InterruptedForwardError:
            scores = ()
        self._sender.send(ContinuationsScored(command.request_id, scores))

    def _loaded_session(self) -> Session:
        if self._session is None:
            raise EngineError("No model is loaded.", "Load a model first.")
        return self._session

    def _should_stop(self, request_id: int) -> str:
        return "cancelled" if self._inbox.is_cancelled(request_id) else ""

    def _scored(self, session: Session, command: Score) -> TextScore:
        def progress(fraction: float) -> None:
            self._sender.send(Progress(Activity.SCORING, fraction))

        loaded = session.loaded
        scorer = TextScorer(
            session.model,
            session.prompts,
            session.tokenizer.bos_token_id,
            session.decoder,
            loaded.context_length,
            partial(self._should_stop, command.request_id),
        )
        scores = scorer.score(command.request, progress)
        return TextScore(
            ids=as_bytes(scores.ids),
            nll=as_bytes(scores.nll),
            mean=as_bytes(scores.mean),
            deviation=as_bytes(scores.deviation),
            text_bytes=scores.text_bytes,
            protocol=ScoringProtocol(
                window=scores.window,
                stride=scores.stride,
                windows=scores.windows,
                bos=scores.bos,
            ),
            verified=loaded.verified,
            kernel=loaded.kernel,
            decoder=session.decoder.name,
            divergence=scores.divergence,
            self_check=scores.self_check,
        )

    def _load(self, request: LoadRequest) -> Session:
        progress = LoadProgress(self._sender, self._importing_s)
        before = memory.resident()
        memory.reset_peak("cpu")
        with memory.large_blocks_apart():
            return self._loaded(request, progress, before)

    def _loaded(self, request: LoadRequest, progress: LoadProgress, before: int) -> Session:
        weights = loading.load(request, progress)
        model, tokenizer = weights.model, weights.tokenizer
        rules = take_rules(model, tokenizer)
        eos_ids = frozenset(rules.eos)
        vocabulary = int(compat.text_config(model).vocab_size)
        context = true_context(model, weights.checkpoint.context_length)
        with progress.activity(Activity.WARMING_UP):
            # Some kernels repack their weights at the first call.
            warm_up(GenerateDecoder(model, eos_ids), vocabulary, context, 1)
            chosen = choose_decoder(
                model,
                eos_ids,
                context,
                request.decoder,
                progress.detail,
                key=_choice_key(request, weights.device),
            )
            if request.warm_up:
                try:
                    warm_up(chosen.decoder, vocabulary, context, _WARM_UP_TOKENS)
                except Exception as error:
                    if isinstance(chosen.decoder, GenerateDecoder):
                        raise
                    chosen = instead_of(error, model, eos_ids)
        if chosen.note:
            weights.notes.append(chosen.note)
        on_cpu = request.device == "cpu"
        # Read before the floor is measured, which takes memory too.
        peak = memory.peak("cpu") if on_cpu else torch.cuda.max_memory_reserved(request.device)
        tokens = _WARM_UP_PROMPT + _WARM_UP_TOKENS
        predicted = loading.compare(weights, request.precision, tokens, before, peak)
        floor = _floor(model, weights.device, progress)
        verified, kernel = verify(model)
        loaded = LoadedModel(
            request=request,
            verified=verified,
            kernel=kernel,
            device_name=weights.device.name,
            architecture=type(model).__name__,
            parameters=count_parameters(model),
            context_length=context,
            has_chat_template=has_chat_template(tokenizer),
            load_s={name: round(seconds, 4) for name, seconds in progress.seconds.items()},
            memory_bytes=memory.resident()
            if on_cpu
            else torch.cuda.memory_allocated(request.device),
            peak_bytes=peak,
            predicted_peak_bytes=predicted,
            notes=tuple(weights.notes),
            floor=floor,
            step_seconds=chosen.step_seconds,
        )
        return Session(
            model,
            tokenizer,
            weights.prompts,
            token_texts(tokenizer),
            rules,
            chosen.decoder,
            loaded,
            versions(),
            tokens_beyond(tokenizer, model),
        )


def _choice_key(request: LoadRequest, device: DeviceFacts) -> str:
    """Return what stands for a model and all else that decides which decode step is fast."""
    libraries = " ".join(f"{name} {version}" for name, version in versions().items())
    where = f"{device.name}, {torch.get_num_threads()} threads"
    return f"{request.commit or request.folder}, {request.precision}, {where}, {libraries}"


def warm_up(decoder: Decoder, vocabulary: int, context: int, tokens: int) -> None:
    """Make the slow first calls (kernels built, weights repacked) before anything is timed.

    `context` in tokens, 0: unknown. A shorter one shortens the prompt first, then the answer.
    """
    prompt = _WARM_UP_PROMPT
    if context:
        prompt = max(1, min(prompt, context - tokens))
        tokens = max(1, min(tokens, context - prompt))
    ids = [i % vocabulary for i in range(1, prompt + 1)]
    for greedy in (True, False):
        options = GenerationOptions(greedy=greedy, ignore_eos=True)
        decoder.decode(ids, options, tokens, lambda *_: None, lambda: "")


def _floor(model: PreTrainedModel, device: DeviceFacts, progress: LoadProgress) -> Floor | None:
    """Return the memory-bandwidth bound of a step; None where measuring or counting fails."""
    try:
        found = bandwidth.known(device.id, device.name)
        if found is None:
            with progress.activity(Activity.MEASURING):
                found = bandwidth.bandwidth(device.id, device.name)
        return step_floor(model, found.bytes_per_s, steady=found.steady)
    except Exception:
        log.exception("the model's floor could not be counted")
        return None
