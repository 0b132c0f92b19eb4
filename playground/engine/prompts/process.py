"""Encodes prompts and texts in a child process, whose time and memory are limited.

Chat templates and tokenizers come with the model, and can run forever or take all memory. Neither
a template's string methods nor a tokenizer's Rust code can be interrupted: only a process can.
"""

from __future__ import annotations

import array
import contextlib
import ctypes
import os
import resource
import signal
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import NoReturn, TypeVar

import msgspec
from transformers import PreTrainedTokenizerBase

from playground.core.errors import ModelError, OptionsError, PlaygroundError
from playground.core.generation import Prompt
from playground.engine.machine.errors import encodable
from playground.engine.prompts.encode import (
    EncodedPrompt,
    EncodedText,
    Text,
    encode_prompt,
    encode_text,
)

TIME_LIMIT_S = 15.0
#: Characters of a text for which a slow tokenizer may take a second more.
_CHARACTERS_PER_S = 20_000
MEMORY_LIMIT = 2 * 2**30  # bytes, more than the process has when it starts
#: Seconds between two looks at whether the request was cancelled.
_INTERVAL_S = 0.05
_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG


@dataclass(frozen=True)
class _Words:
    """How an error names what was encoded, and what encoded it."""

    what: str
    by: str
    remedy: str


_PROMPT = _Words(
    "prompt",
    "chat template or tokenizer",
    "Use raw completion or a shorter prompt; if that fails too, choose another model.",
)
_TEXT = _Words(
    "text", "tokenizer", "Choose a shorter text; if that fails too, choose another model."
)


class _Started(msgspec.Struct, tag="started"):
    """A worker is ready. `pid` is the one to kill."""

    pid: int


class _Encoded(msgspec.Struct, tag="encoded"):
    """The prompt's ids, as an array of int64."""

    ids: bytes
    parts: bool


class _Refused(msgspec.Struct, tag="refused"):
    """The error to raise. `by_options`: an OptionsError, not a ModelError."""

    message: str
    remedy: str
    detail: str
    by_options: bool


#: The reply that a job expects.
_Reply = TypeVar("_Reply", _Encoded, EncodedText)

_encoder = msgspec.msgpack.Encoder()
_jobs = msgspec.msgpack.Decoder(Prompt | Text)
_replies = msgspec.msgpack.Decoder(_Started | _Encoded | EncodedText | _Refused)


class PromptEncoder:
    """A model's tokenizer in a child process.

    The child is a fork, so that it has the tokenizer at once, whatever its class. It is made
    before the weights are loaded: a fork copies the page tables of all memory.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        """Start the child, which ends with this object. Raises OSError where memory lacks."""
        self._tokenizer = tokenizer
        self._connection = self._start()
        self._worker = self._receive_start()

    def _start(self) -> Connection:
        ours, theirs = Pipe()
        with warnings.catch_warnings():
            # Python 3.12 warns of forks beside threads. This one uses none of their locks.
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if not child:
            _fork_workers(self._tokenizer, theirs)
        theirs.close()
        return ours

    def encode(self, prompt: Prompt, should_stop: Callable[[], str]) -> EncodedPrompt | str:
        """Return the encoded prompt, or the reason to stop that `should_stop` gave.

        Raises what `encode_prompt` raises, and ModelError where a limit is exceeded.
        """
        reply = self._ask(prompt, _Encoded, should_stop, _PROMPT, TIME_LIMIT_S)
        if isinstance(reply, str):
            return reply
        return EncodedPrompt(array.array("q", reply.ids).tolist(), reply.parts)

    def encode_text(self, text: Text, should_stop: Callable[[], str]) -> EncodedText | str:
        """Return the encoded text, or the reason to stop that `should_stop` gave.

        Raises ModelError where the tokenizer fails, or where a limit is exceeded.
        """
        limit = TIME_LIMIT_S + len(text.text) / _CHARACTERS_PER_S
        return self._ask(text, EncodedText, should_stop, _TEXT, limit)

    def _ask(
        self,
        job: Prompt | Text,
        expected: type[_Reply],
        should_stop: Callable[[], str],
        words: _Words,
        limit_s: float,
    ) -> _Reply | str:
        try:
            self._connection.send_bytes(_encoder.encode(job))
            deadline = time.monotonic() + limit_s
            while not self._connection.poll(_INTERVAL_S):
                reason = should_stop()
                if reason or time.monotonic() > deadline:
                    self._restart()
                    if reason:
                        return reason
                    raise ModelError(
                        f"The model's {words.by} did not finish this {words.what} within "
                        f"{limit_s:.0f} seconds.",
                        words.remedy,
                    )
            reply = _replies.decode(self._connection.recv_bytes())
        except (EOFError, OSError) as error:  # the system has killed the child
            self._connection.close()
            self._connection = self._start()
            self._worker = self._receive_start()
            raise _memory_error(words) from error
        if isinstance(reply, expected):
            return reply
        if isinstance(reply, _Refused):
            kind = OptionsError if reply.by_options else ModelError
            raise kind(reply.message, reply.remedy, reply.detail)
        if isinstance(reply, _Started):  # the worker was killed, and another has taken its place
            self._worker = reply.pid
        raise _memory_error(words)

    def _restart(self) -> None:
        """Kill the worker. Its answer may come before that; the next worker's start comes last."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._worker, signal.SIGKILL)
        self._worker = self._receive_start()

    def _receive_start(self) -> int:
        while True:
            reply = _replies.decode(self._connection.recv_bytes())
            if isinstance(reply, _Started):
                return reply.pid


def _memory_error(words: _Words) -> ModelError:
    return ModelError(
        f"The model's {words.by} failed on this {words.what}: it needs more than "
        f"{MEMORY_LIMIT / 2**30:.0f} GiB of memory.",
        words.remedy,
    )


def _fork_workers(tokenizer: PreTrainedTokenizerBase, connection: Connection) -> NoReturn:
    """Be the parent of one worker at a time: fork another where one was killed."""
    try:
        _end_with_parent()
        _close_all_but(connection.fileno())
        while True:
            worker = os.fork()
            if not worker:
                _work(tokenizer, connection)
            _, status = os.waitpid(worker, 0)
            if os.WIFEXITED(status):  # not killed: the engine has closed its end
                os._exit(0)
    finally:
        os._exit(1)


def _work(tokenizer: PreTrainedTokenizerBase, connection: Connection) -> NoReturn:
    try:
        _end_with_parent()
        _limit_memory()
        connection.send_bytes(_encoder.encode(_Started(os.getpid())))
        while True:
            job = _jobs.decode(connection.recv_bytes())
            connection.send_bytes(_encoder.encode(_reply(tokenizer, job)))
    finally:
        os._exit(0)  # the end of the connection is one of the reasons


def _reply(
    tokenizer: PreTrainedTokenizerBase, job: Prompt | Text
) -> _Encoded | EncodedText | _Refused:
    try:
        if isinstance(job, Text):
            return encode_text(tokenizer, job)
        encoded = encode_prompt(tokenizer, job)
        return _Encoded(array.array("q", encoded.ids).tobytes(), encoded.parts)
    except PlaygroundError as error:
        found = error
    except MemoryError:
        found = _memory_error(_TEXT if isinstance(job, Text) else _PROMPT)
    return _Refused(
        encodable(found.message),
        encodable(found.remedy),
        encodable(found.detail),
        by_options=isinstance(found, OptionsError),
    )


def _end_with_parent() -> None:
    """Let Linux kill this process with its parent; elsewhere it ends with the connection."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)


def _limit_memory() -> None:
    try:
        with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123
            pages = int(file.read().split()[0])
    except OSError:
        return
    limit = pages * resource.getpagesize() + MEMORY_LIMIT
    _, highest = resource.getrlimit(resource.RLIMIT_AS)
    if highest != resource.RLIM_INFINITY:
        limit = min(limit, highest)
    resource.setrlimit(resource.RLIMIT_AS, (limit, highest))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _close_all_but(kept: int) -> None:
    """Close what the fork inherited: pipes whose end the client waits for, and devices."""
    for descriptor in [int(name) for name in os.listdir("/dev/fd")]:  # noqa: PTH208
        if descriptor != kept:
            try:
                os.close(descriptor)
            except OSError:
                continue  # that of the listing itself
    null = os.open(os.devnull, os.O_RDWR)  # takes the lowest number, 0
    os.dup2(null, 1)
    os.dup2(null, 2)
