"""Reads the pages of models for a view, and decides what may be done with the one shown."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import QObject, QTimer, Signal, Slot

from playground.core.errors import PlaygroundError
from playground.core.facts import ModelSpec
from playground.core.format import plain_line, size_text
from playground.gui.downloads.controller import DownloadsController
from playground.gui.memory.controller import FitController
from playground.gui.model_page.lane_plans import LanePlan, comparison, trial, versus
from playground.gui.model_page.text import closed, warnings
from playground.gui.model_page.view import ModelPageView
from playground.gui.toolkit.background import Background, Task
from playground.gui.toolkit.links import ask_to_open
from playground.hub.catalog import DerivativeGroup, ModelPage, ModelRow, Where
from playground.hub.downloads.items import DownloadItem, DownloadState
from playground.hub.errors import HubError
from playground.hub.pages.read import FoundPage, read_row_page, read_versions
from playground.hub.place import HubPlace

#: A row that is only passed over in the list asks the Hub nothing.
SETTLE_MS = 150
_MOST_BACK = 50


class ModelPageController(QObject):
    """Shows the page of one row at a time: the newest wish counts, earlier answers are dropped."""

    lanes_chosen = Signal(object)  # list[tuple[ModelSpec, Precision]]
    quantize_chosen = Signal(object)  # ModelSpec
    turned = Signal(object)  # the ModelRow whose page is being read, or None
    page_shown = Signal(object)  # the ModelPage that was read

    def __init__(
        self,
        view: ModelPageView,
        background: Background,
        downloads: DownloadsController,
        parent: QObject | None = None,
        *,
        place: HubPlace | None = None,
        fit: FitController | None = None,
    ) -> None:
        """`place` is the Hub and its cache, if not what the environment says; `fit` feeds the
        view's memory chart."""
        super().__init__(parent)
        self.view = view
        self.page: ModelPage | None = None
        self.usable: ModelSpec | None = None
        self.groups: tuple[DerivativeGroup, ...] = ()
        self._background = background
        self._downloads = downloads
        self._place = place or HubPlace()
        self._fit = fit
        self._measured = False  # the chart has been asked for this page
        self._unknown = ""  # why its versions are not known
        self._row: ModelRow | None = None
        self._listed: ModelRow | None = None  # the row of the list that led to it
        self._before: list[ModelRow] = []
        self._gptq_beside = self._logged_in = False
        self._problem: HubError | None = None
        self._reading: Task | None = None
        self._asking: Task | None = None
        self._plan: LanePlan | None = None
        self._settle = QTimer(self, singleShot=True, interval=SETTLE_MS)
        self._settle.timeout.connect(self._read)
        self._connect()

    @property
    def row(self) -> ModelRow | None:
        """The row whose page is shown or being read."""
        return self._row

    def show_row(self, row: ModelRow | None) -> None:
        """Show the page of a row of the list, None for no page."""
        listed, self._listed = self._listed, row
        again = row is not None and listed is not None and row.spec == listed.spec
        if again and (self._before or row == self._row):
            return  # the list was read again: a page that was gone to from there stays
        self._before.clear()
        self._turn_to(row)

    def go_to(self, row: ModelRow) -> None:
        """Show the page of a model that the present page names; `back` returns."""
        if self._row is not None:
            self._before = [*self._before, self._row][-_MOST_BACK:]
        self._turn_to(row)

    @Slot()
    def back(self) -> None:
        if self._before:
            self._turn_to(self._before.pop())

    @Slot()
    def reload(self) -> None:
        """Read the page again: it, or what this machine has of it, may have changed."""
        self._turn_to(self._row)

    def close(self) -> None:
        """Take no answer any more."""
        self._settle.stop()
        for task in (self._reading, self._asking):
            if task is not None:
                task.abandon()
        self._reading = self._asking = None

    def _turn_to(self, row: ModelRow | None) -> None:
        self.close()
        self._row, self.page, self.usable, self.groups, self._problem = row, None, None, (), None
        self._measured, self._unknown = False, ""
        if self._fit is not None:
            self._fit.clear()
        self.view.head.back_button.setVisible(bool(self._before))
        self.turned.emit(row)
        if row is None:
            self.view.show_nothing()
            return
        self.view.show_reading(row.name)
        if row.is_local:
            self._read()
        else:
            self._settle.start()

    @Slot()
    def _read(self) -> None:
        if self._row is None:
            return
        work = partial(read_row_page, self._row, self._place)
        self._reading = self._background.start(work, self._came, self._failed)
        self.view.show_versions(())
        if self._row.where in (Where.HUB, Where.CACHE):
            self.view.versions.show_state("Asking the Hub for its quantized versions …")
            ask = partial(read_versions, self._row.name, self._place)
            self._asking = self._background.start(ask, self._versions_came, self._versions_failed)
        else:
            self.view.versions.show_state("")

    @Slot(object)
    def _came(self, found: FoundPage) -> None:
        self._reading = None
        self.page, self._gptq_beside = found.page, found.gptq_beside
        self._logged_in = found.logged_in
        self.usable = found.page.spec if found.usable else None
        self.view.show_page(found.page)
        self._describe_version(self.view.versions.current())
        self._offer()
        self._measure(self.view.sections.value())
        self.page_shown.emit(found.page)

    @Slot(str)
    def _measure(self, section: str) -> None:
        """Count the memory once somebody looks: it takes requests of its own."""
        page = self.page
        if section != "fit" or page is None or self._fit is None or self._measured:
            return
        self._measured = True
        if page.cannot_load:
            self._fit.clear(page.cannot_load)
        else:
            self._fit.read(page.spec, self._place, page.commit)

    @Slot(object)
    def _failed(self, error: PlaygroundError) -> None:
        self._reading = None
        if self._asking is not None:
            self._asking.abandon()
            self._asking = None
        self._problem = problem = error if isinstance(error, HubError) else None
        self.view.show_problem(self._row.name if self._row is not None else "", error)
        self.view.show_access(
            ask=problem is not None and bool(problem.ask_at),
            login=problem is not None and problem.login_helps,
        )

    @Slot(object)
    def _versions_came(self, groups: tuple[DerivativeGroup, ...]) -> None:
        self._asking = None
        self.groups = groups
        self.view.show_versions(groups)
        self._describe_version(None)
        self._offer()

    @Slot(object)
    def _versions_failed(self, error: PlaygroundError) -> None:
        self._asking = None
        self._unknown = f"Its quantized versions are not known. {error.message} {error.remedy}"
        self._describe_version(None)

    # What may be done

    def _offer(self) -> None:
        """Offer what the page allows; until the page is there, nothing."""
        page = self.page
        if page is None:
            return
        shut = closed(page)
        pair = comparison(page, self.groups, gptq_beside=self._gptq_beside)
        self._plan = None if shut else pair
        self.view.show_compare(*((self._plan.label, self._plan.first) if self._plan else ("", "")))
        self.view.quantize_button.setVisible(self._plain_here() is not None)
        only = trial(page)
        self.view.trial_button.setEnabled(only is not None)
        self.view.trial_button.setToolTip(
            f"Puts it into a lane{f', after downloading {only.first}' if only.first else ''}"
            if only
            else "No lane can run it"
        )
        self._offer_download(self._downloads.item(page.spec))
        self.view.show_access(ask=shut, login=shut and not self._logged_in)

    def _plain_here(self) -> ModelSpec | None:
        """The page's model where it can be quantized: here, and not quantized yet."""
        page = self.page
        return self.usable if page is not None and not page.row.quantization else None

    def _offer_download(self, item: DownloadItem | None) -> None:
        page = self.page
        if page is None or self.usable is not None or not _may_come(page):
            self.view.show_download("", enabled=False)
        elif item is not None and not item.state.is_over:
            self.view.show_download("Being downloaded", enabled=False)
        else:
            size = f" {size_text(page.load_bytes)}" if page.load_bytes else ""
            self.view.show_download(f"&Download{size}", enabled=True, primary=not closed(page))

    @Slot(object)
    def _describe_version(self, row: ModelRow | None) -> None:
        """Say what choosing a version means."""
        if self._asking is not None or self.page is None:
            return
        versions = self.view.versions
        if row is None:
            if self._unknown:
                versions.show_state(self._unknown.strip(), "warning")
            else:
                versions.show_state("" if self.groups else self._no_versions())
            return
        plan = versus(self.page, row)
        versions.compare_button.setEnabled(plan is not None)
        if plan is None:
            versions.show_state("No lane can run this one beside bf16.")
        else:
            versions.show_state(f"Downloads {plan.first} first." if plan.first else "All is here.")

    def _no_versions(self) -> str:
        if self.page is not None and not self.page.page_url:
            if self._gptq_beside:
                return "A GPTQ version of it lies beside its folder."
            return "It is a folder: nobody knows of versions of it."
        return "The Hub knows no quantized versions of it."

    # Wishes

    def _connect(self) -> None:
        view = self.view
        view.downloadRequested.connect(self._download)
        view.compareRequested.connect(self._compare)
        view.sections.chosen.connect(self._measure)
        view.quantizeRequested.connect(self._quantize)
        view.trialRequested.connect(self._try)
        view.accessRequested.connect(self._ask_access)
        view.loginRequested.connect(self._ask_login)
        view.retryRequested.connect(self.reload)
        view.webRequested.connect(self._open_web)
        view.backRequested.connect(self.back)
        view.linkRequested.connect(self._open_link)
        view.resultRequested.connect(self._open_result)
        view.versions.row_chosen.connect(self.go_to)
        view.versions.base_chosen.connect(self._show_base)
        view.versions.picked.connect(self._describe_version)
        view.versions.compare_asked.connect(self._compare_version)
        self._downloads.changed.connect(self._download_changed)
        self._downloads.logged_in.connect(self.reload)

    @Slot()
    def _download(self) -> None:
        if self.page is not None:
            self._offer_download(self._downloads.add(self.page.spec, self.page.commit))

    @Slot(object)
    def _download_changed(self, item: DownloadItem) -> None:
        if self.page is None or item.spec != self.page.spec:
            return
        if item.state is DownloadState.FINISHED:
            self.reload()
        else:
            self._offer_download(item)

    @Slot()
    def _compare(self) -> None:
        self._choose(self._plan)

    @Slot(object)
    def _compare_version(self, row: ModelRow) -> None:
        self._choose(versus(self.page, row) if self.page is not None else None)

    @Slot()
    def _quantize(self) -> None:
        if (spec := self._plain_here()) is not None:
            self.quantize_chosen.emit(spec)

    @Slot()
    def _try(self) -> None:
        self._choose(trial(self.page) if self.page is not None else None)

    def _choose(self, plan: LanePlan | None) -> None:
        if plan is not None:
            self.lanes_chosen.emit(list(plan.lanes))

    @Slot(str)
    def _show_base(self, id_: str) -> None:
        self.go_to(ModelRow(key=f"hub:{id_}", spec=ModelSpec(id_), where=Where.HUB, name=id_))

    @Slot()
    def _ask_access(self) -> None:
        page = self.page.ask_at if self.page is not None else ""
        ask_to_open(page or (self._problem.ask_at if self._problem else ""), self.view)

    @Slot()
    def _ask_login(self) -> None:
        self._downloads.ask_login(self.view.window())

    @Slot()
    def _open_web(self) -> None:
        if self.page is not None:
            ask_to_open(self.page.page_url, self.view)

    @Slot(str)
    def _open_link(self, address: str) -> None:
        page = self.page
        base = f"{page.page_url}/blob/{page.commit}/" if page is not None and page.page_url else ""
        if ask_to_open(address, self.view, base) is None and page is not None:
            told = f"This link leads to no web page: {plain_line(address[:100])}"
            self.view.head.show_warnings([told, *warnings(page)])

    @Slot(int)
    def _open_result(self, number: int) -> None:
        if self.page is not None and number < len(self.page.evaluations):
            ask_to_open(self.page.evaluations[number].source_url, self.view)


def _may_come(page: ModelPage) -> bool:
    """Whether the model can be downloaded: what is damaged in the cache again, no folder ever."""
    return page.row.where is Where.CACHE or (not page.row.is_local and not page.cannot_load)
