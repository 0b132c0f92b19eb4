"""A run as one HTML page, with its plot inside and nothing loaded from elsewhere."""

from __future__ import annotations

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from playground.history.report.plot import COLORS, plot_of
from playground.history.report.summary import HEAD, LaneReport, RunReport


def page_of(report: RunReport) -> str:
    """Return the page. Everything that a model or a person wrote is escaped."""
    return _template().render(
        report=report,
        request=report.run.request,
        head=HEAD,
        plot=plot_of(report),
        colors=COLORS,
        pieces=pieces,
    )


def pieces(lane: LaneReport) -> list[tuple[str, bool]]:
    """Return a lane's text in pieces, each with whether the reference lacks it."""
    found, end = [], 0
    for low, high in lane.spans:
        found += [(lane.text[end:low], False), (lane.text[low:high], True)]
        end = high
    found.append((lane.text[end:], False))
    return [(text, differs) for text, differs in found if text]


@cache
def _template() -> Template:
    loader = PackageLoader("playground.history.report", "")
    return Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True
    ).get_template("page.html")
