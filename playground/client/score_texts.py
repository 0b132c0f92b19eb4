"""Scores a text in several sessions, window by window, each compared with the reference."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

import msgspec

from playground.client.session import Session
from playground.core.errors import OptionsError, PlaygroundError
from playground.core.scoring import ScoreRequest, TextScore, joined
from playground.core.system.temporary import temporary_folder

LaneT = TypeVar("LaneT")
#: The windows whose log-probabilities are on disk at a time.
_AT_A_TIME = 1


_OTHER_TOKENS = OptionsError(
    "The model's tokenizer splits the text otherwise than the reference's: their distributions "
    "cannot be compared.",
    "Compare models that share a tokenizer.",
)


def score_text(
    sessions: Mapping[LaneT, Session],
    reference: LaneT,
    request: ScoreRequest,
    failed: Callable[[LaneT, PlaygroundError], None],
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> dict[LaneT, TextScore]:
    """Return the score of every lane; all but the reference's with their divergence.

    The models are loaded. `failed` is told of a lane that cannot be compared, which is then left
    out. `progress` is called with the windows done and their number. Raises PlaygroundError where
    the reference cannot score the text, and Interrupted.
    """
    parts: dict[LaneT, list[TextScore]] = {lane: [] for lane in sessions}
    with temporary_folder() as folder:
        path = str(folder / "reference.npy")
        first, windows = 0, 1
        while first < windows:
            part = msgspec.structs.replace(
                request, first=first, windows=_AT_A_TIME, path=path, self_check=first == 0
            )
            progress(first, windows)
            found = sessions[reference].score(msgspec.structs.replace(part, write=True))
            parts[reference].append(found)
            windows = found.protocol.windows
            for lane in [lane for lane in parts if lane != reference]:
                try:
                    score = sessions[lane].score(part)
                    if score.ids != found.ids:
                        raise _OTHER_TOKENS
                    parts[lane].append(score)
                except PlaygroundError as error:
                    del parts[lane]
                    failed(lane, error)
            first += _AT_A_TIME
        progress(windows, windows)
    return {lane: joined(scores) for lane, scores in parts.items()}
