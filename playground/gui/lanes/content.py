"""What a lane shows of its conversation, as a value that can be shown again."""

from __future__ import annotations

from dataclasses import dataclass, field

from playground.gui.lanes.conversation import Conversation
from playground.gui.lanes.generation import Generation


@dataclass(frozen=True)
class LaneContent:
    """A conversation, the generation of its last answer, and the number of that one's run."""

    conversation: Conversation = field(default_factory=Conversation)
    generation: Generation | None = None
    run: int = 0
