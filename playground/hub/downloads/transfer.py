"""Brings single files of a model into the Hub's cache: resumed, verified, then linked.

The Hub's library writes each attempt to a new file and removes it when the attempt ends. So the
content is received here, with the library's own function for it, into a file that stays, and the
library then only links it into the snapshot. Xet's transfers cannot be resumed either: files are
requested by plain HTTP, except those of more than 50 GB, which the Hub sends by Xet only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import constants, get_hf_file_metadata, hf_hub_download, hf_hub_url
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.file_download import http_get
from huggingface_hub.hf_api import RepoSibling
from huggingface_hub.utils import (  # type: ignore[attr-defined]  # made lazily
    WeakFileLock,
    build_hf_headers,
)

from playground.hub.announced import is_hash, matches, remove_content
from playground.hub.downloads.partial_files import (
    bytes_written,
    lock_file,
    partial_file,
    remove_orphans,
    repository_folder,
)
from playground.hub.errors import HubError, HubProblem

_RANGE_NOT_SATISFIABLE = 416
#: A content that arrives damaged is fetched once more, from its first byte.
_TRIES = 2
#: Largest file in bytes that is compared with its hash although it has been here before.
_SMALL = 64 * 1024 * 1024


@dataclass(frozen=True)
class HubFile:
    """A file of a repository, with its size in bytes and the hash that the Hub announces."""

    name: str
    size: int
    oid: str


class Transfer:
    """Brings files of one model at one commit into the cache; usable from several threads."""

    def __init__(self, id_: str, commit: str, cache: Path) -> None:
        self.repository = repository_folder(cache, id_)
        self.folder = self.repository / "snapshots" / commit
        self._id = id_
        self._commit = commit
        self._cache = cache

    def describe(self, sibling: RepoSibling) -> HubFile:
        """Return a file's size and hash; a Hub that does not list them is asked for the file."""
        if sibling.lfs is not None:
            return HubFile(sibling.rfilename, sibling.lfs.size, sibling.lfs.sha256)
        if sibling.size is not None and sibling.blob_id:
            return HubFile(sibling.rfilename, sibling.size, sibling.blob_id)
        found = get_hf_file_metadata(self._url(sibling.rfilename))
        return HubFile(sibling.rfilename, found.size or 0, found.etag or "")

    def bytes_here(self, file: HubFile) -> int:
        """Return how many bytes of a file are here; all, where it is finished."""
        path = self.folder / file.name
        if path.exists() or (file.oid and (self.repository / "blobs" / file.oid).exists()):
            return file.size
        return min(bytes_written(self.repository, file.oid), file.size) if file.oid else 0

    def bring(self, file: HubFile, on_checked: Callable[[int], None]) -> None:
        """Bring a file. Raises HubError where it is damaged, and whatever the library raises.

        `on_checked` is called with the bytes that have been compared with their hash.
        """
        if (self.folder / file.name).exists():
            suspect = file.size <= _SMALL or (self.folder / file.name).stat().st_size != file.size
            if not (suspect and self.remove_damaged(file, on_checked)):
                return
        blob = self.repository / "blobs" / file.oid
        known = is_hash(file.oid)
        if known and file.size <= constants.MAX_HTTP_DOWNLOAD_SIZE:
            self._receive(file, blob, on_checked)
        received = known and blob.exists()
        # The library links the content; it downloads only what has not been received here.
        path = Path(
            hf_hub_download(self._id, file.name, revision=self._commit, cache_dir=self._cache)
        )
        verified = received and path.samefile(blob)
        if known and not verified and not _matches(path, file, on_checked):
            remove_content(path)
            raise self._damaged(file)

    def remove_damaged(self, file: HubFile, on_checked: Callable[[int], None]) -> bool:
        """Remove a finished file that is not what the Hub announces; return whether it was one."""
        path = self.folder / file.name
        if not is_hash(file.oid) or not path.exists() or _matches(path, file, on_checked):
            return False
        remove_content(path)
        return True

    def _receive(self, file: HubFile, blob: Path, on_checked: Callable[[int], None]) -> None:
        """Receive a content from where it stopped, and name it by its hash once it matches."""
        blob.parent.mkdir(parents=True, exist_ok=True)
        with WeakFileLock(lock_file(self.repository, file.oid)):
            if blob.exists():
                return
            remove_orphans(self.repository, file.oid)
            partial = partial_file(self.repository, file.oid)
            for _ in range(_TRIES):
                self._append(file, partial)
                if _matches(partial, file, on_checked):
                    partial.replace(blob)
                    return
                partial.unlink()
        raise self._damaged(file)

    def _append(self, file: HubFile, partial: Path) -> None:
        """Receive the bytes that are missing."""
        with partial.open("ab") as target:
            if target.tell() > file.size:
                target.truncate(0)
                target.seek(0)
            # The file's address is asked anew each time, because the link that it leads to
            # expires. If-Range would not do: the servers behind such links have tags of their
            # own. That all parts are of one content is what the hash at the end says.
            try:
                http_get(
                    self._url(file.name),
                    target,
                    resume_size=target.tell(),
                    headers={**build_hf_headers(), "Accept-Encoding": "identity"},
                    expected_size=file.size,
                )
            except HfHubHTTPError as error:
                if error.response.status_code == _RANGE_NOT_SATISFIABLE:
                    target.truncate(0)
                raise

    def _url(self, name: str) -> str:
        return hf_hub_url(self._id, name, revision=self._commit)

    def _damaged(self, file: HubFile) -> HubError:
        return HubError(
            f"{file.name} of {self._id} arrived damaged twice: its hash is not the one that the "
            "Hub announces.",
            "Try again; if that does not help, the network changes what it carries, or the disk "
            f"with {self._cache} is faulty.",
            problem=HubProblem.DAMAGED,
        )


def _matches(path: Path, file: HubFile, on_checked: Callable[[int], None]) -> bool:
    return path.stat().st_size == file.size and matches(path, file.oid, on_checked)
