"""The commands that can be given to one lane."""

from __future__ import annotations

from enum import Enum, auto


class LaneCommand(Enum):
    """A lane's own buttons and menu give these to it, the window's menus to the current lane."""

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
    SHOW_MEMORY = auto()
    MANAGE_ENVIRONMENTS = auto()
    REVIEW_CODE = auto()
