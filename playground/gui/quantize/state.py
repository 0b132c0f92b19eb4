"""What the quantizing dialog shows, as one value."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from playground.core.lane import Failure
from playground.core.model.checkpoint import Checkpoint
from playground.core.quantizing.request import Estimate, LayerProgress, QuantizedModel


class QuantizeStage(StrEnum):
    """Where the dialog is between reading the model and having a copy."""

    READING = "reading the model"
    CHOOSING = "choosing"
    RUNNING = "running"
    DONE = "done"


@dataclass(frozen=True)
class QuantizeState:
    """The state of the dialog.

    `activity` is what the engine is doing, "" while it is idle, and `since` when that began, in
    monotonic seconds. `measured`: the estimate rests on a measured layer. `stopping`: a cancel has
    been sent. `note` is a sentence on how the last copy ended without a failure.
    """

    stage: QuantizeStage = QuantizeStage.READING
    checkpoint: Checkpoint | None = None
    activity: str = ""
    fraction: float | None = None
    since: float = 0.0
    layer: LayerProgress | None = None
    estimate: Estimate | None = None
    measured: bool = False
    free_bytes: int = 0  # free memory of the device, 0: not known
    stopping: bool = False
    failure: Failure | None = None
    note: str = ""
    result: QuantizedModel | None = None
    unresponsive: bool = False  # the engine gives no sign of life

    def at(
        self,
        stage: QuantizeStage,
        *,
        activity: str = "",
        since: float = 0.0,
        failure: Failure | None = None,
        note: str = "",
    ) -> QuantizeState:
        """Return the state at the beginning of a stage, without the results of an earlier copy."""
        return replace(
            self,
            stage=stage,
            activity=activity,
            since=since,
            fraction=None,
            layer=None,
            stopping=False,
            failure=failure,
            note=note,
            result=None,
            unresponsive=False,
        )

    @property
    def can_start(self) -> bool:
        return self.stage in (QuantizeStage.CHOOSING, QuantizeStage.DONE) and (
            self.checkpoint is not None
        )

    @property
    def running(self) -> bool:
        return self.stage is QuantizeStage.RUNNING
