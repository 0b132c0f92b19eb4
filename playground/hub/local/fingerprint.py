"""Names the version of a folder that has no commits: by a hash of its files, whole or sampled."""

from __future__ import annotations

import functools
import hashlib
import os
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from playground.core.errors import ModelError
from playground.hub.local import file_hashes

#: How a fingerprint begins: every byte was hashed, or only samples of large files.
WHOLE, SAMPLED = "sha256:", "sampled:"
_SUFFIXES = (".json", ".safetensors", ".model", ".txt", ".jinja", ".py")
#: Bytes of files that are hashed whenever a folder is looked at: some hundredths of a second.
_AT_ONCE = 32 * 1024 * 1024
_SMALL = 1024 * 1024
_PIECE = 1024 * 1024
_SAMPLES = 16
_SAMPLE_BYTES = 4096


@dataclass(frozen=True)
class _File:
    """A file as it is now; the same size and time mean the same content."""

    path: Path
    size: int
    mtime_ns: int


#: The files that this process has sampled, by their fingerprint.
_files_of: dict[str, list[_File]] = {}


def fingerprint(folder: Path) -> str:
    """Return 16 hex digits that change with the model in a folder, after WHOLE or SAMPLED.

    They are of the whole files where their hashes are remembered, or quickly made. Otherwise of
    each large file 16 samples and, in safetensors files, the header are hashed, until
    `hash_whole` has been called. Raises ModelError where the folder cannot be read.
    """
    try:
        files = _files(folder)
        known = _remembered(files)
        missing = [file for file in files if file not in known]
        if sum(file.size for file in missing) > _AT_ONCE:
            sampled = SAMPLED + _sampled(files)
            _files_of[sampled] = files
            return sampled
        return WHOLE + _whole(files, known | {file: _at_once(file) for file in missing})
    except OSError as error:
        raise _unreadable(folder, error) from error


def hash_whole(
    folder: Path, on_bytes: Callable[[int], None] = lambda _: None, *, anew: bool = False
) -> str:
    """Hash a folder's files, remember their hashes, and return its fingerprint.

    Files whose hash is remembered are read again only where `anew` is set. `on_bytes` is called
    with the number of bytes of each piece read; what it raises ends the work, and files that are
    done are remembered. Raises ModelError where a file cannot be read.
    """
    try:
        files = _files(folder)
        known = {} if anew else _remembered(files)
        for file in files:
            if file not in known:
                known[file] = _hash(file.path, on_bytes)
                if file.size > _SMALL and _as_it_is(file.path) == file:
                    file_hashes.remember(str(file.path), file.size, file.mtime_ns, known[file])
        return WHOLE + _whole(files, known)
    except OSError as error:
        raise _unreadable(folder, error) from error


def whole_of(folder: Path, sampled: str, on_bytes: Callable[[int], None] = lambda _: None) -> str:
    """Hash a folder as `hash_whole` does, and return the fingerprint in place of `sampled`.

    It is "" where the files are not those any more that this process has sampled.
    """
    whole = hash_whole(folder, on_bytes)
    return whole if _files_of.get(sampled) == _files(folder) else ""


def is_sampled(commit: str) -> bool:
    """Whether a commit is the fingerprint of a folder whose files were only sampled."""
    return commit.startswith(SAMPLED)


def bytes_to_hash(folder: Path) -> int:
    """Return the bytes of the files that the model consists of."""
    return sum(file.size for file in _files(folder))


def _files(folder: Path) -> list[_File]:
    """Return the files that the model consists of, by name."""
    return [
        _as_it_is(path)
        for path in sorted(folder.iterdir())
        if not path.name.startswith(".") and path.suffix in _SUFFIXES and path.is_file()
    ]


def _as_it_is(path: Path) -> _File:
    stat = path.stat()
    return _File(path, stat.st_size, stat.st_mtime_ns)


def _remembered(files: Iterable[_File]) -> dict[_File, str]:
    """Return the remembered hashes of large files."""
    large = [file for file in files if file.size > _SMALL]
    if sum(file.size for file in large) <= _AT_ONCE:
        return {}
    stored = file_hashes.load()
    return {
        file: hash_
        for file in large
        if (hash_ := stored.get((str(file.path), file.size, file.mtime_ns)))
    }


@functools.lru_cache(maxsize=512)
def _at_once(file: _File) -> str:
    return _hash(file.path, lambda _: None)


def _hash(path: Path, on_bytes: Callable[[int], None]) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as opened:
        while piece := opened.read(_PIECE):
            digest.update(piece)
            on_bytes(len(piece))
    return digest.hexdigest()


def _whole(files: Iterable[_File], hashes: dict[_File, str]) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(os.fsencode(file.path.name) + f"\0{file.size}\0{hashes[file]}\0".encode())
    return digest.hexdigest()[:16]


def _sampled(files: Iterable[_File]) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(os.fsencode(file.path.name) + f"\0{file.size}\0".encode())
        with file.path.open("rb") as opened:
            if file.size <= _SMALL:
                digest.update(opened.read(_SMALL))
                continue
            (header,) = struct.unpack("<Q", opened.read(8))
            start = 8
            if file.path.suffix == ".safetensors" and header <= _AT_ONCE:
                digest.update(opened.read(header))
                start += header
            for sample in range(_SAMPLES):
                opened.seek(start + (file.size - start) * sample // _SAMPLES)
                digest.update(opened.read(_SAMPLE_BYTES))
    return digest.hexdigest()[:16]


def _unreadable(folder: Path, error: OSError) -> ModelError:
    return ModelError(
        f"The folder {folder} cannot be read: {error.strerror}.",
        "Check that its files may be read.",
        str(error),
    )
