"""A small Hugging Face Hub on loopback: the API that huggingface_hub speaks, and its faults.

`HubServer` is a context manager; repositories and faults are set on it before or while it
runs. Large files are redirected to a second host name, as the real Hub does with its CDN.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlencode, urlsplit

from tests.support.hub_repository import (
    LIST_PROPERTIES,
    SUFFIXES_IN_LFS,
    Crowd,
    Repository,
    blob_id,
    expanded,
    listed,
)

__all__ = ["Crowd", "Fault", "HubServer", "Repository"]

_ROUTE_LIST = re.compile(r"/api/models")
_ROUTE_WHOAMI = re.compile(r"/api/whoami-v2")
_ROUTE_INFO = re.compile(r"/api/models/(?P<id>.+?)(?:/revision/(?P<revision>[^/]+))?")
_ROUTE_TREE = re.compile(r"/api/models/(?P<id>.+?)/tree/(?P<revision>[^/]+)(?:/(?P<path>.*))?")
_ROUTE_RESOLVE = re.compile(r"/(?P<id>[^/]+(?:/[^/]+)?)/resolve/(?P<revision>[^/]+)/(?P<path>.+)")
_ROUTE_CDN = re.compile(r"/cdn/(?P<sha256>[0-9a-f]{64})")
_PIECE = 16 * 1024


@dataclass
class Fault:
    """What happens to a request whose "METHOD /path?query" matches `pattern`.

    With `status` it is answered so. Otherwise its body stops after `after` bytes: until
    `release` is set, and then, with `cut`, the connection is closed instead of going on.
    `times` is how often; None is always. `reached` is set when the fault has struck.
    """

    pattern: str
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    after: int | None = None
    cut: bool = False
    times: int | None = None
    reached: threading.Event = field(default_factory=threading.Event)
    release: threading.Event = field(default_factory=threading.Event)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore connections broken by killed clients; report anything else."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class HubServer:
    """The server and what it holds; `requests` lists "METHOD /path" of what came."""

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.tokens: dict[str, str] = {}  # token: user
        self.page_size = 1000
        self.crowd = Crowd(0)  # further models, which are in lists only
        self.requests: list[str] = []
        self.faults: list[Fault] = []
        self.blobs: dict[str, bytes] = {}
        self.links_until = 1  # links with another time of expiry are refused
        self.ranges: list[str] = []  # the Range header of each GET for a file, "" for none
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def __enter__(self) -> HubServer:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for fault in self.faults:
            fault.release.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def port(self) -> int:
        return self._server.server_port

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def add(self, repository: Repository) -> Repository:
        self.repositories[repository.id] = repository
        return repository

    def add_fault(self, fault: Fault) -> Fault:
        """Add a fault; the first one added that matches a request applies."""
        self.faults.append(fault)
        return fault

    def environment(self, home: Path, **more: str) -> dict[str, str]:
        """Return this process's variables, with the Hub's folder in `home` and this server."""
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("HF_")
        }
        environment["HF_HOME"] = str(home)
        environment["HF_ENDPOINT"] = self.endpoint
        return environment | more

    def cache(self, home: Path) -> Path:
        return home / "hub"

    def fault_for(self, request: str) -> Fault | None:
        with self._lock:
            for fault in self.faults:
                if fault.times != 0 and re.search(fault.pattern, request):
                    if fault.times is not None:
                        fault.times -= 1
                    return fault
        return None

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        class Handler(_Handler):
            hub = self

        return Handler


class _Handler(BaseHTTPRequestHandler):
    """One connection. Every route is one method; errors have the headers the client reads."""

    hub: HubServer
    protocol_version = "HTTP/1.1"
    _fault: Fault | None = None

    def do_HEAD(self) -> None:  # the standard library's name
        self._answer()

    def do_GET(self) -> None:  # the standard library's name
        self._answer()

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _answer(self) -> None:
        request = f"{self.command} {self.path}"
        self.hub.requests.append(request)
        if self.command == "GET" and not self.path.startswith("/api/"):
            self.hub.ranges.append(self.headers.get("Range", ""))
        self._fault = self.hub.fault_for(request)
        try:
            if self._fault is not None and self._fault.status:
                self._fault.reached.set()
                self._send(self._fault.status, self._fault.body, dict(self._fault.headers))
            else:
                self._route(urlsplit(self.path))
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _route(self, url: Any) -> None:
        routes: tuple[tuple[re.Pattern[str], Callable[..., None]], ...] = (
            (_ROUTE_LIST, self._list),
            (_ROUTE_WHOAMI, self._whoami),
            (_ROUTE_TREE, self._tree),
            (_ROUTE_INFO, self._info),
            (_ROUTE_CDN, self._cdn),
            (_ROUTE_RESOLVE, self._resolve),
        )
        self._query = parse_qs(url.query)
        for pattern, answer in routes:
            match = pattern.fullmatch(url.path)
            if match is not None:
                answer(**{k: unquote(v) if v else "" for k, v in match.groupdict().items()})
                return
        self._error(404, "", "Sorry, we can't find the page you are looking for.")

    # routes

    def _list(self) -> None:
        """Send the models that pass the filters, one page."""
        if not self._accepted():
            return
        asked = {name: values for name, values in self._query.items() if name != "cursor"}
        visible = [
            r for r in self.hub.repositories.values() if not r.private or self._user() in r.granted
        ]
        entries = listed(visible, self.hub.crowd, asked)
        start = int(self._query.get("cursor", ["0"])[0])
        end = start + min(int(asked.get("limit", ["1000"])[0]), self.hub.page_size)
        shown = [
            expanded(entry, asked.get("expand") or LIST_PROPERTIES) for entry in entries[start:end]
        ]
        if None in shown:
            self._error(400, "", "Invalid expand")
            return
        headers = {}
        if end < len(entries):
            following = urlencode(
                [*((k, v) for k, vs in asked.items() for v in vs), ("cursor", end)]
            )
            headers["Link"] = f'<{self.hub.endpoint}/api/models?{following}>; rel="next"'
        self._json(shown, headers)

    def _whoami(self) -> None:
        if self._user() is None:
            self._error(401, "", "Invalid username or password.")
            return
        self._json(
            {
                "type": "user",
                "name": self._user(),
                "orgs": [],
                "auth": {"accessToken": {"displayName": "playground", "role": "read"}},
            }
        )

    def _info(self, id: str, revision: str) -> None:
        found = self._find(id, revision or "main")
        if found is None:
            return
        repository, commit = found
        info = repository.info(commit)
        if "blobs" in self._query:
            info["siblings"] = repository.blobs(commit)
        asked = self._query.get("expand")
        told = expanded(info, asked) if asked else info
        if told is None:
            self._error(400, "", "Invalid expand")
        else:
            self._json(told)

    def _tree(self, id: str, revision: str, path: str) -> None:
        found = self._find(id, revision)
        if found is None:
            return
        entries = [e for e in found[0].tree(found[1]) if e["path"].startswith(path)]
        start = int(self._query.get("cursor", ["0"])[0])
        end = start + self.hub.page_size
        headers = {}
        if end < len(entries):
            address = f"{self.hub.endpoint}{self.path.split('?')[0]}?recursive=True&cursor={end}"
            headers["Link"] = f'<{address}>; rel="next"'
        self._json(entries[start:end], headers)

    def _resolve(self, id: str, revision: str, path: str) -> None:
        found = self._find(id, revision)
        if found is None:
            return
        repository, commit = found
        headers = {"X-Repo-Commit": commit}
        if repository.gated and self._user() not in repository.granted:
            self._error(
                403 if self._user() else 401,
                "GatedRepo",
                f"Access to model {id} is restricted and you are not in the authorized list.",
            )
            return
        data = repository.files_at(commit).get(path)
        if data is None:
            self._error(404, "EntryNotFound", "Entry not found", headers)
            return
        sent = repository.damaged.get(path, data)
        if not path.endswith(SUFFIXES_IN_LFS):
            self._body(sent, headers | {"ETag": f'"{blob_id(data)}"'})
            return
        sha256 = hashlib.sha256(data).hexdigest()
        self.hub.blobs[sha256] = sent
        headers["X-Linked-Etag"] = f'"{sha256}"'
        headers["X-Linked-Size"] = str(repository.size(path, data))
        # Another host name, so that the client must not send its token along.
        headers["Location"] = (
            f"http://localhost:{self.hub.port}/cdn/{sha256}?name={quote(path)}"
            f"&Expires={self.hub.links_until}"
        )
        self._send(302, b"", headers)

    def _cdn(self, sha256: str) -> None:
        data = self.hub.blobs.get(sha256)
        if data is None or self.headers.get("Authorization"):
            self._error(400, "", "Not a signed request")
        elif self._query.get("Expires") != [str(self.hub.links_until)]:
            self._send(403, b"<Error><Code>AccessDenied</Code></Error>", {})
        else:
            # A tag of the storage's own, as a file in several parts has it.
            tag = hashlib.md5(data, usedforsecurity=False).hexdigest()
            self._body(data, {"ETag": f'"{tag}-2"'})

    # answers

    def _find(self, id: str, revision: str) -> tuple[Repository, str] | None:
        """Return the repository and commit; without access send the error and return None."""
        if not self._accepted():
            return None
        repository = self.hub.repositories.get(id)
        if repository is None or (repository.private and self._user() not in repository.granted):
            # The real Hub doesn't tell strangers what exists.
            self._error(404 if self._user() else 401, "RepoNotFound", "Repository not found")
            return None
        commit = repository.commit(revision)
        if commit is None:
            self._error(404, "RevisionNotFound", f"Invalid rev id: {revision}")
            return None
        return repository, commit

    def _accepted(self) -> bool:
        """Return whether the request has no token or a valid one; else send the error."""
        if self._token() and self._user() is None:
            self._error(401, "", "Invalid credentials in Authorization header")
            return False
        return True

    def _token(self) -> str:
        return self.headers.get("Authorization", "").removeprefix("Bearer ")

    def _user(self) -> str | None:
        return self.hub.tokens.get(self._token())

    def _error(
        self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        told = {"X-Error-Message": message, **(headers or {})}
        if code:
            told["X-Error-Code"] = code
        self._send(status, json.dumps({"error": message}).encode(), told)

    def _json(self, value: object, headers: Mapping[str, str] | None = None) -> None:
        told = {"Content-Type": "application/json; charset=utf-8", **(headers or {})}
        self._send(200, json.dumps(value).encode(), told)

    def _body(self, data: bytes, headers: Mapping[str, str]) -> None:
        """Send a file, or the part that a Range header requests (RFC 9110, 13.1.5 and 14)."""
        headers = {"Accept-Ranges": "bytes", **headers}
        asked = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
        same = self.headers.get("If-Range", headers["ETag"]) == headers["ETag"]
        if asked is None or not any(asked.groups()) or not same:
            self._send(200, data, headers)
            return
        size = len(data)
        if asked[1]:
            start, end = int(asked[1]), min(int(asked[2] or size), size - 1)
        else:  # the last so many bytes
            start, end = max(0, size - int(asked[2])), size - 1
        if start > end:
            self._send(416, b"", {**headers, "Content-Range": f"bytes */{size}"})
            return
        told = {**headers, "Content-Range": f"bytes {start}-{end}/{size}"}
        self._send(206, data[start : end + 1], told)

    def _send(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        fault = self._fault
        if fault is None or fault.after is None:
            self.wfile.write(body)
            return
        for start in range(0, fault.after, _PIECE):
            self.wfile.write(body[start : min(start + _PIECE, fault.after)])
        self.wfile.flush()
        fault.reached.set()
        fault.release.wait()
        if fault.cut:
            self.close_connection = True
        else:
            self.wfile.write(body[fault.after :])
