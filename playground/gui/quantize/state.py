"""What the window for a quantized copy shows, as one value."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from playground.core.lane import Failure
from playground.core.model.checkpoint import Checkpoint
from playground.core.quantize import Estimate, LayerProgress, QuantizedModel


class QuantizeStage(StrEnum):
    LOOKING = "looking at the model"
    CHOOSING = "choosing"
    RUNNING = "running"
    DONE = "done"


@dataclass(frozen=True)
class QuantizeState:
    """`doing` is what the engine is at, "" where it waits; `since` is monotonic seconds."""

    stage: QuantizeStage = QuantizeStage.LOOKING
    checkpoint: Checkpoint | None = None
    doing: str = ""
    fraction: float | None = None
    since: float = 0.0
    layer: LayerProgress | None = None
    estimate: Estimate | None = None
    measured: bool = False
    free_bytes: int = 0  # memory of the device, 0: not known
    stopping: bool = False
    failure: Failure | None = None
    note: str = ""
    made: QuantizedModel | None = None

    @property
    def can_start(self) -> bool:
        return self.stage in (QuantizeStage.CHOOSING, QuantizeStage.DONE) and (
            self.checkpoint is not None
        )

    @property
    def running(self) -> bool:
        return self.stage is QuantizeStage.RUNNING
