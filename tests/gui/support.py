"""What the tests of the controllers share."""

from __future__ import annotations

from collections.abc import Callable

from playground.app.main import Playground
from playground.core.facts import EngineFacts, LoadRequest
from playground.core.lane import LaneConfig
from playground.gui.engines.standby import StandbyEngines
from playground.gui.lanes.lane import LaneController
from playground.gui.lanes.stream_view import StreamView
from playground.gui.memory.chart import MemoryChart
from playground.gui.toolkit import paragraphs
from playground.hub.local.prepare import Prepared

#: Generous: the machine may be busy.
LONG = 60_000

MakeLane = Callable[..., LaneController]
MakeWindow = Callable[..., Playground]


def shown_text(view: StreamView) -> str:
    """A lane's whole text, without the breaks that only the view has."""
    document = view.document()
    return paragraphs.text_between(document.begin(), 0, document.characterCount() - 1)


def standby_pids(standby: StandbyEngines) -> dict[str, int]:
    """Return the process ids of the standby engines, by environment."""
    return {name: engine.pid for name, engine in standby.engines.items()}


def standby_ready(standby: StandbyEngines) -> bool:
    """Whether there are standby engines, and all have imported their libraries."""
    return bool(standby.engines) and all(e.ready for e in standby.engines.values())


def scripted_prepare(config: LaneConfig, _: EngineFacts | None) -> Prepared:
    """A scripted engine reads no folder."""
    return Prepared(
        LoadRequest(
            name="scripted",
            folder="scripted",
            commit="none",
            precision=config.precision,
            device=config.device,
        )
    )


def chart_text(chart: MemoryChart) -> str:
    """All that a memory chart says, a precision a line."""
    if chart.table is None:
        return chart.message.text()
    rows = [
        f"{row.precision.label}: "
        + ", ".join(
            label.text() for label in (row.needed, row.verdict, row.longest) if label.text()
        )
        for row in chart.rows.values()
        if row.shown
    ]
    return "\n".join([chart.free.text(), *rows, chart.notes.text()])
