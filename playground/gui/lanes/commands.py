"""The commands that can be given to one lane."""

from __future__ import annotations

from enum import Enum, auto


class LaneCommand(Enum):
    """Commands of a lane's buttons and menu; the window's menus give them to the current lane."""

    CHOOSE_MODEL = auto()
    OPEN_FOLDER = auto()
    LOAD = auto()
    UNLOAD = auto()
    CANCEL = auto()
    REGENERATE = auto()
    COPY_ANSWER = auto()
    COPY_SCRIPT = auto()
    COPY_STAMP = auto()
    DUPLICATE = auto()
    REMOVE = auto()
    MOVE_LEFT = auto()
    MOVE_RIGHT = auto()
    ENLARGE = auto()
    REFERENCE = auto()
    SHOW_MEMORY = auto()
    MANAGE_ENVIRONMENTS = auto()
    MANAGE_SERVERS = auto()
    REVIEW_CODE = auto()
