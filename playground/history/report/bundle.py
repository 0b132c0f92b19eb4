"""Writes a run as a zip file that opens again on another machine, and reads it there."""

from __future__ import annotations

import platform
import zipfile
from importlib import metadata
from pathlib import Path

import msgspec

from playground.core.errors import PlaygroundError
from playground.core.facts import Answer, Stamp
from playground.core.floor import Floor
from playground.core.generation import Prompt
from playground.core.precision import Precision
from playground.core.system.machine import processor
from playground.core.token_record import TokenRecord
from playground.history.records import KeptAnswer, KeptRun, LaneRow, RunRequest, RunRow, RunState
from playground.history.report.page import page_of
from playground.history.report.summary import summarise

FORMAT = 1
#: No run is larger; a file that says so is not read.
MAX_BYTES = 512 * 1024 * 1024
_RUN, _REPORT = "run.json", "report.html"


class _Lane(msgspec.Struct):
    precision: Precision | None = None
    failure: str = ""


class _Answer(msgspec.Struct):
    position: int
    repeat: int
    prompt: Prompt
    text: str
    tokens: TokenRecord
    answer: Answer | None = None
    floor: Floor | None = None


class _Bundle(msgspec.Struct):
    format: int
    created: float
    state: RunState
    request: RunRequest
    lanes: list[_Lane]
    answers: list[_Answer]


def write_bundle(run: KeptRun, path: Path) -> None:
    """Write a run. Folders' paths are left out. Raises PlaygroundError where that fails."""
    bundle = _Bundle(
        format=FORMAT,
        created=run.row.created,
        state=run.row.state,
        request=run.request,
        lanes=[_Lane(lane.precision, lane.failure) for lane in run.row.lanes],
        answers=[
            _Answer(
                kept.position,
                kept.repeat,
                kept.prompt,
                kept.text,
                kept.tokens,
                kept.answer and _without_paths(kept.answer),
                kept.floor,
            )
            for kept in run.answers
        ],
    )
    try:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(_RUN, msgspec.json.encode(bundle))
            archive.writestr(_REPORT, page_of(summarise(run)))
    except OSError as error:
        raise PlaygroundError(
            f"The run could not be saved to {path}: {error.strerror}.",
            "Choose a folder that you can write to.",
            str(error),
        ) from error


def read_bundle(path: Path) -> KeptRun:
    """Return the run of a bundle. Raises PlaygroundError where the file is none."""
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo(_RUN).file_size > MAX_BYTES:
                raise _no_bundle(path, f"its {_RUN} is too large")
            data = archive.read(_RUN)
        bundle = msgspec.json.decode(data, type=_Bundle)
    except FileNotFoundError as error:
        raise PlaygroundError(f"There is no file {path}.", "Check the name.") from error
    except OSError as error:
        raise PlaygroundError(
            f"The file {path} cannot be read: {error.strerror}.", "Check the file.", str(error)
        ) from error
    except (zipfile.BadZipFile, KeyError, NotImplementedError, RuntimeError) as error:
        raise _no_bundle(path, "it is not one of the playground's zip files", error) from error
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        raise _no_bundle(path, f"its {_RUN} is damaged", error) from error
    if bundle.format > FORMAT:
        raise PlaygroundError(
            f"The run {path} was written by a newer version of the playground.",
            "Open it with that version; the report inside opens in any browser.",
        )
    if len(bundle.lanes) != len(bundle.request.lanes) or any(
        not 0 <= answer.position < len(bundle.lanes) for answer in bundle.answers
    ):
        raise _no_bundle(path, "its lanes do not fit its answers")
    rows = tuple(
        LaneRow(asked.model.source, lane.precision, lane.failure)
        for asked, lane in zip(bundle.request.lanes, bundle.lanes, strict=True)
    )
    return KeptRun(
        RunRow(0, bundle.created, bundle.request.typed, bundle.state, rows),
        bundle.request,
        tuple(
            KeptAnswer(a.position, a.repeat, a.prompt, a.text, a.tokens, a.answer, a.floor)
            for a in bundle.answers
        ),
    )


def differences(stamp: Stamp, versions: dict[str, str], device_name: str) -> list[str]:
    """Return how this machine differs from the one of a stamp, a line each.

    `versions` are those of the libraries here, "" or missing where one is not installed.
    """
    lines = [
        f"{name} {theirs} there, {versions.get(name) or 'not installed'} here"
        for name, theirs in stamp.versions.items()
        if versions.get(name, "") != theirs
    ]
    if device_name and stamp.device_name != device_name:
        lines.append(f"{stamp.device_name} there, {device_name} here")
    return lines


def differences_here(run: KeptRun) -> list[str]:
    """Return how this machine differs from the one that made a run, a line each."""
    stamps = [kept.answer.stamp for kept in run.answers if kept.answer is not None]
    versions = {name: _version(name) for stamp in stamps for name in stamp.versions}
    lines = [
        line
        for stamp in stamps
        for line in differences(stamp, versions, processor().name if stamp.device == "cpu" else "")
    ]
    return list(dict.fromkeys(lines))


def _version(library: str) -> str:
    if library == "python":
        return platform.python_version()
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return ""


def _without_paths(answer: Answer) -> Answer:
    stamp = msgspec.structs.replace(answer.stamp, folder="")
    return msgspec.structs.replace(answer, stamp=stamp)


def _no_bundle(path: Path, reason: str, error: Exception | None = None) -> PlaygroundError:
    return PlaygroundError(
        f"{path} is no run that can be opened: {reason}.",
        "Choose a file that `playground history export` or the History window wrote.",
        str(error or ""),
    )
