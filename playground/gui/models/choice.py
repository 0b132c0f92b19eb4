"""What the model picker returns."""

from __future__ import annotations

from dataclasses import dataclass

from playground.core.facts import ModelSpec
from playground.core.lane import LaneChoice
from playground.gui.lanes.presenter import LanePresenter


@dataclass(frozen=True)
class ModelChoice:
    """What was chosen, and for which lane; one of the three is given.

    `model` is the lane's new model. `lanes` are to be set up, after downloading what is missing.
    `quantize` is a model to make a quantized copy of.
    """

    lane: LanePresenter | None
    model: ModelSpec | None = None
    lanes: tuple[LaneChoice, ...] = ()
    quantize: ModelSpec | None = None
