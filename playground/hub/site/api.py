"""Requests to a Hub, each for one page or small file, with time-outs, limits and clear errors.

They use the Hub library's session, headers and errors. Its `list_models` and `hf_hub_download`
do not serve for browsing: the first has no time-out and retries for up to half a minute, the
second leaves an incomplete model in the cache for each one looked at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote, urlsplit

from huggingface_hub import constants, get_session, hf_raise_for_status
from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]  # made lazily

from playground.core.errors import FileError, ModelError
from playground.core.system.reader import parse_json
from playground.hub.errors import HubError, HubProblem
from playground.hub.site.failures import explain, no_hub

ANSWER_WITHIN_S = 20.0
#: Most bytes of a JSON answer; the largest real ones have some MB.
_JSON_LIMIT = 32 * 1024 * 1024
_PART, _NOTHING_THERE = 206, 416
Params = Mapping[str, str | int | bool | Sequence[str]]


class HubSite:
    """A Hub and how to reach it. Safe to use from several threads.

    Empty values stand for the environment's: HF_ENDPOINT, the cache folder, the stored token.
    Every request blocks for up to ANSWER_WITHIN_S seconds, and raises HubError (a ModelError).
    """

    def __init__(
        self, endpoint: str = "", cache: Path | None = None, token: str | None = None
    ) -> None:
        self.endpoint = (endpoint or str(constants.ENDPOINT)).rstrip("/")
        self.cache = cache or Path(constants.HF_HUB_CACHE)
        self._token = token

    def page_url(self, id_: str) -> str:
        """Return the address of a model's page."""
        return f"{self.endpoint}/{id_}"

    def get_list(
        self, address: str, params: Params | None = None, id_: str = "", revision: str = ""
    ) -> tuple[list[object], str]:
        """Return one page of a list, and the address of the next one ("" after the last).

        `address` is a path, or the next address of an earlier page. `id_` and `revision` name the
        model in an error's text.
        """
        data, following = self._read(self._url(address), id_, revision, _JSON_LIMIT, params)
        value = self._parsed(data)
        if not isinstance(value, list):
            raise no_hub(self.endpoint)
        return value, following

    def get_json(
        self, path: str, id_: str, revision: str = "", params: Params | None = None
    ) -> object:
        """Return the JSON at a path. `id_` and `revision` name the model in an error's text."""
        return self._parsed(self._read(self._url(path), id_, revision, _JSON_LIMIT, params)[0])

    def get_file(
        self, id_: str, commit: str, name: str, limit: int, start: int = 0
    ) -> bytes | None:
        """Return at most `limit` bytes of a file from `start` on; None where it does not exist.

        A server that ignores ranges is cut off after that many bytes.
        """
        path = f"/{id_}/resolve/{quote(commit, safe='')}/{quote(name)}"
        part = f"bytes={start}-{start + limit - 1}"
        try:
            return self._read(self._url(path), id_, commit, limit, part=part, start=start)[0]
        except HubError as error:
            if error.problem is HubProblem.NO_FILE:
                return None
            raise

    def _read(
        self,
        url: str,
        id_: str,
        revision: str,
        limit: int,
        params: Params | None = None,
        *,
        part: str = "",
        start: int = 0,
    ) -> tuple[bytes, str]:
        """Return what the Hub answers, and the address of a list's next page."""
        data = bytearray()
        try:
            with get_session().stream(
                "GET",
                url,
                params=_plain(params) if params else None,
                headers=self._headers() | ({"Range": part} if part else {}),
                timeout=ANSWER_WITHIN_S,
                follow_redirects=True,
            ) as response:
                if response.status_code == _NOTHING_THERE:
                    return b"", ""
                if response.status_code >= 400:
                    response.read()
                hf_raise_for_status(response)
                following = str(response.links.get("next", {}).get("url", ""))
                skip = start if response.status_code != _PART else 0
                for chunk in response.iter_bytes():
                    data += chunk[skip:]
                    skip = max(0, skip - len(chunk))
                    if len(data) > limit:
                        break
        except Exception as error:
            raise self._explained(error, id_, revision) from error
        if len(data) > limit and not part:
            raise no_hub(self.endpoint, f"more than {limit} bytes")
        return bytes(data[:limit]), following

    def _parsed(self, data: bytes) -> object:
        try:
            return parse_json(data, "The answer")
        except FileError as error:
            raise no_hub(self.endpoint, error.message) from error

    def _explained(self, error: Exception, id_: str, revision: str) -> ModelError:
        return explain(error, id_, revision, downloading=False, endpoint=self.endpoint)

    def _headers(self) -> dict[str, str]:
        headers: dict[str, str] = build_hf_headers(token=self._token)
        return headers

    def _url(self, address: str) -> str:
        """Return an address on this Hub. Raises HubError for other hosts: no token may go there."""
        if address.startswith("/"):
            return self.endpoint + address
        there, here = urlsplit(address), urlsplit(self.endpoint)
        if (there.scheme, there.netloc) != (here.scheme, here.netloc):
            raise no_hub(self.endpoint, f"It refers to {there.netloc} for the next page.")
        return address


def _plain(params: Params) -> dict[str, str | int | Sequence[str]]:
    """Return parameters as the Hub reads them, with true and false in lower case."""
    return {
        name: ("true" if value else "false") if isinstance(value, bool) else value
        for name, value in params.items()
    }
