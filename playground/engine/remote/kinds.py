"""Recognises servers by their answers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from playground.core.servers import ServerKind
from playground.engine.remote.connection import Connection
from playground.engine.remote.faults import ServerError

#: Where servers tell what they are; each kind has one or two of these.
_ASKED = (
    "/version",
    "/props",
    "/api/version",
    "/get_server_info",
    "/openapi.json",
    "/api/v0/models",
)


@dataclass(frozen=True)
class Recognised:
    """What a server told of itself, and of the model asked for; "" and 0 where it did not."""

    kind: ServerKind
    models: tuple[str, ...]
    version: str = ""
    precision: str = ""
    context_length: int = 0


async def recognise(connection: Connection, model: str) -> Recognised:
    """Ask a server what it is. Raises ServerError where not even its models can be listed."""
    listed, headers = await connection.get("/models")
    entries = _entries(listed)
    if entries is None:
        raise ServerError(
            "This is no server that speaks OpenAI's API: it lists no models.",
            "Check the address; it usually ends with /v1.",
        )
    found = next((entry for entry in entries if entry.get("id") == model), {})
    owner = next((str(e.get("owned_by", "")) for e in entries), "").lower()
    answers = await _ask_all(
        connection,
        [
            "/version",
            "/props",
            "/api/version",
            "/get_server_info",
            "/openapi.json",
            "/api/v0/models",
        ],
    )
    kind = _kind(owner, headers, answers)
    models = tuple(str(entry["id"]) for entry in entries if entry.get("id"))
    version, precision, context = _details(kind, found, answers)
    if kind is ServerKind.OLLAMA:
        context = _ollama_context(await _ask_all(connection, ("/api/ps",)), model)
    return Recognised(kind, models, version, precision, context)


async def _ask_all(connection: Connection, paths: Sequence[str]) -> dict[str, Any]:
    """Return the JSON answers of paths from the host's root; those that fail are left out."""

    async def ask(path: str) -> object:
        try:
            return (await connection.get(path, from_root=True))[0]
        except ServerError:
            return None

    answers = await asyncio.gather(*(ask(path) for path in paths))
    return {path: answer for path, answer in zip(paths, answers, strict=True) if answer}


def _entries(listed: object) -> list[dict[str, Any]] | None:
    data = listed.get("data") if isinstance(listed, dict) else None
    return [e for e in data if isinstance(e, dict)] if isinstance(data, list) else None


def _kind(owner: str, headers: Mapping[str, str], answers: Mapping[str, Any]) -> ServerKind:
    openapi = _dict(answers.get("/openapi.json"))
    title = str(_dict(openapi.get("info")).get("title", "")).lower()
    if owner == "vllm":
        return ServerKind.VLLM
    if owner == "sglang" or "/get_server_info" in answers:
        return ServerKind.SGLANG
    if "llama.cpp" in headers.get("server", "").lower() or "build_info" in _dict(
        answers.get("/props")
    ):
        return ServerKind.LLAMA_CPP
    if "llama.cpp" in title or "openai-processing-ms" in headers:
        return ServerKind.LLAMA_CPP_PYTHON
    if isinstance(answers.get("/api/v0/models"), dict):
        return ServerKind.LM_STUDIO
    if "/load_model" in _dict(openapi.get("paths")):
        return ServerKind.TRANSFORMERS
    if "version" in _dict(answers.get("/api/version")):
        return ServerKind.OLLAMA
    return ServerKind.UNKNOWN


def _details(
    kind: ServerKind, entry: Mapping[str, Any], answers: Mapping[str, Any]
) -> tuple[str, str, int]:
    """Return a server's version, and its model's precision and context length."""
    version = _text(_dict(answers.get("/version")).get("version"))
    match kind:
        case ServerKind.VLLM:
            return version, "", _size(entry.get("max_model_len"))
        case ServerKind.SGLANG:
            info = _dict(answers.get("/get_server_info"))
            precision = _text(info.get("quantization")) or _text(info.get("dtype"))
            context = _size(entry.get("max_model_len")) or _size(info.get("context_length"))
            return version or _text(info.get("version")), precision, context
        case ServerKind.LLAMA_CPP:
            props = _dict(answers.get("/props"))
            settings = _dict(props.get("default_generation_settings"))
            file = _text(props.get("model_path")).replace("\\", "/").rpartition("/")[2]
            context = _size(settings.get("n_ctx")) or _size(props.get("n_ctx"))
            return _text(props.get("build_info")), file, context
        case ServerKind.OLLAMA:
            return _text(_dict(answers.get("/api/version")).get("version")), "", 0
        case ServerKind.LM_STUDIO:
            models = _entries(answers.get("/api/v0/models")) or []
            found = next((m for m in models if m.get("id") == entry.get("id")), {})
            context = _size(found.get("loaded_context_length")) or _size(
                found.get("max_context_length")
            )
            return "", _text(found.get("quantization")), context
        case _:
            return "", "", _size(entry.get("max_model_len"))


def _ollama_context(answers: Mapping[str, Any], model: str) -> int:
    running = _dict(answers.get("/api/ps")).get("models")
    for entry in running if isinstance(running, list) else []:
        if _dict(entry).get("name") == model:
            return _size(_dict(entry).get("context_length"))
    return 0


def _dict(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    """Return a word that a server gave, printable and short."""
    text = value if isinstance(value, str) else ""
    return "".join(c for c in text if c.isprintable())[:80]


def _size(value: object) -> int:
    return value if type(value) is int and 0 < value < 1 << 31 else 0
