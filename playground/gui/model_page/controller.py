"""Reads a model's page for the view, and decides what may be done with the model."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import QObject, QTimer, Signal, Slot

from playground.core.errors import PlaygroundError
from playground.core.facts import ModelSpec
from playground.core.format import plain_line, size_text
from playground.gui.context import AppContext
from playground.gui.memory.controller import MemoryController
from playground.gui.model_page.check_controller import FilesCheckController
from playground.gui.model_page.lane_plans import LanePlan, comparison, trial, versus
from playground.gui.model_page.text import closed, warnings
from playground.gui.model_page.view import ModelPageView
from playground.gui.toolkit.background import Task
from playground.gui.toolkit.links import ask_to_open
from playground.hub.catalog import DerivativeGroup, ModelPage, ModelRow, Where
from playground.hub.downloads.items import DownloadItem, DownloadState
from playground.hub.errors import HubError
from playground.hub.pages.read import FoundPage, read_row_page, read_versions

#: A row must stay current for this long before the Hub is asked about it.
SETTLE_MS = 150
_MOST_BACK = 50


class ModelPageController(QObject):
    """Shows the page of one row at a time; answers to earlier requests are dropped."""

    lanes_chosen = Signal(object)  # list[tuple[ModelSpec, Precision]]
    quantize_requested = Signal(object)  # the ModelSpec to make a quantized copy of
    turned = Signal(object)  # the ModelRow whose page is being read, or None
    page_shown = Signal(object)  # the ModelPage that was read

    def __init__(
        self,
        view: ModelPageView,
        context: AppContext,
        memory: MemoryController,
        parent: QObject | None = None,
    ) -> None:
        """`memory` feeds the view's memory chart."""
        super().__init__(parent)
        self.view = view
        self.page: ModelPage | None = None
        self.usable: ModelSpec | None = None
        self.groups: tuple[DerivativeGroup, ...] = ()
        self._background = context.background
        self._downloads = context.downloads
        self._hub = context.hub
        self._memory = memory
        self._measured = False  # the memory chart has been filled for this page
        self._versions_problem = ""  # why its versions are not known
        self._row: ModelRow | None = None
        self._listed: ModelRow | None = None  # the row of the list that led to it
        self._history: list[ModelRow] = []
        self._gptq_beside = self._logged_in = False
        self._ask_at = ""  # the Hub's page to request access on, where reading failed
        self._reading: Task | None = None
        self._asking: Task | None = None
        self._plan: LanePlan | None = None
        self.check = FilesCheckController(view.check, context, self)
        self._settle = QTimer(self, singleShot=True, interval=SETTLE_MS)
        self._settle.timeout.connect(self._read)
        self._connect()

    @property
    def row(self) -> ModelRow | None:
        """The row whose page is shown or being read."""
        return self._row

    def show_row(self, row: ModelRow | None) -> None:
        """Show the page of a row of the list, or no page for None."""
        listed, self._listed = self._listed, row
        again = row is not None and listed is not None and row.spec == listed.spec
        if again and (self._history or row == self._row):
            return  # the list was read again: keep the page that the user has gone to
        self._history.clear()
        self._turn_to(row)

    def go_to(self, row: ModelRow) -> None:
        """Show the page of a model that the current page links to; `back` returns."""
        if self._row is not None:
            self._history = [*self._history, self._row][-_MOST_BACK:]
        self._turn_to(row)

    @Slot()
    def back(self) -> None:
        if self._history:
            self._turn_to(self._history.pop())

    @Slot()
    def check_files(self) -> None:
        """Show the files of the page's model, and compare them with their hashes."""
        self.view.show_section("files")
        self.check.start()

    @Slot()
    def reload(self) -> None:
        """Read the page again: it, or the model's files here, may have changed."""
        self._turn_to(self._row)

    def close(self) -> None:
        """Stop asking, and drop answers that are still to come."""
        self._settle.stop()
        self.check.close()
        for task in (self._reading, self._asking):
            if task is not None:
                task.abandon()
        self._reading = self._asking = None

    def _turn_to(self, row: ModelRow | None) -> None:
        self.close()
        self._row, self.page, self.usable, self.groups = row, None, None, ()
        self._measured, self._versions_problem, self._ask_at = False, "", ""
        self._memory.clear()
        self.check.show_row(row)
        self.view.head.back_button.setVisible(bool(self._history))
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
        work = partial(read_row_page, self._row, self._hub)
        self._reading = self._background.start(work, self._on_page, self._on_failure)
        self.view.show_versions(())
        if self._row.where in (Where.HUB, Where.CACHE):
            self.view.versions.show_state("Asking the Hub for its quantized versions …")
            ask = partial(read_versions, self._row.name, self._hub)
            self._asking = self._background.start(ask, self._on_versions, self._on_versions_failure)
        else:
            self.view.versions.show_state("")

    @Slot(object)
    def _on_page(self, found: FoundPage) -> None:
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
        """Fill the memory chart once it is looked at: it takes requests to the Hub."""
        page = self.page
        if section != "memory" or page is None or self._measured:
            return
        self._measured = True
        if page.cannot_load:
            self._memory.clear(page.cannot_load)
        else:
            self._memory.read(page.spec, page.commit)

    @Slot(object)
    def _on_failure(self, error: PlaygroundError) -> None:
        self._reading = None
        if self._asking is not None:
            self._asking.abandon()
            self._asking = None
        self.view.show_problem(self._row.name if self._row is not None else "", error)
        if isinstance(error, HubError):
            self._ask_at = error.ask_at
            self.view.show_access(ask=bool(error.ask_at), login=error.login_helps)

    @Slot(object)
    def _on_versions(self, groups: tuple[DerivativeGroup, ...]) -> None:
        self._asking = None
        self.groups = groups
        self.view.show_versions(groups)
        self._describe_version(None)
        self._offer()

    @Slot(object)
    def _on_versions_failure(self, error: PlaygroundError) -> None:
        self._asking = None
        self._versions_problem = f"Its quantized versions are not known. {error}"
        self._describe_version(None)

    # What may be done

    def _offer(self) -> None:
        """Offer what the page allows; nothing before it is read."""
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
        """Return the page's model if it is on this machine and not quantized, else None."""
        page = self.page
        return self.usable if page is not None and not page.row.quantization else None

    def _offer_download(self, item: DownloadItem | None) -> None:
        page = self.page
        if page is None or self.usable is not None or not _downloadable(page):
            self.view.show_download("", enabled=False)
        elif item is not None and not item.state.is_over:
            self.view.show_download("Downloading …", enabled=False)
        else:
            size = f" {size_text(page.load_bytes)}" if page.load_bytes else ""
            self.view.show_download(f"&Download{size}", enabled=True, primary=not closed(page))

    @Slot(object)
    def _describe_version(self, row: ModelRow | None) -> None:
        """Say what comparing with a version would take."""
        if self._asking is not None or self.page is None:
            return
        versions = self.view.versions
        if row is None:
            if self._versions_problem:
                versions.show_state(self._versions_problem, "warning")
            else:
                versions.show_state("" if self.groups else self._no_versions())
            return
        plan = versus(self.page, row)
        versions.compare_button.setEnabled(plan is not None)
        if plan is None:
            versions.show_state("No lane can run this version beside bf16.")
        else:
            versions.show_state(
                f"Downloads {plan.first} first." if plan.first else "Everything is on this machine."
            )

    def _no_versions(self) -> str:
        if self.page is not None and not self.page.page_url:
            if self._gptq_beside:
                return "A GPTQ version of it lies beside its folder."
            return "A folder on this machine has no list of versions."
        return "The Hub lists no quantized versions of it."

    # What the user asks for

    def _connect(self) -> None:
        view = self.view
        view.sections.chosen.connect(self._measure)
        view.download_button.clicked.connect(self._download)
        view.compare_button.clicked.connect(self._compare)
        view.quantize_button.clicked.connect(self._quantize)
        view.trial_button.clicked.connect(self._try)
        view.access_button.clicked.connect(self._ask_access)
        view.login_button.clicked.connect(self._ask_login)
        view.retry_button.clicked.connect(self.reload)
        view.head.web_button.clicked.connect(self._open_web)
        view.head.back_button.clicked.connect(self.back)
        view.card.link_clicked.connect(self._open_link)
        view.results.used.connect(self._open_result)
        view.versions.row_chosen.connect(self.go_to)
        view.versions.base_chosen.connect(self._show_base)
        view.versions.picked.connect(self._describe_version)
        view.versions.compare_requested.connect(self._compare_version)
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
            self.quantize_requested.emit(spec)

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
        ask_to_open(self.page.ask_at if self.page is not None else self._ask_at, self.view)

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
            warning = f"This link does not lead to a web page: {plain_line(address[:100])}"
            self.view.head.show_warnings([warning, *warnings(page)])

    @Slot(int)
    def _open_result(self, number: int) -> None:
        if self.page is not None and number < len(self.page.evaluations):
            ask_to_open(self.page.evaluations[number].source_url, self.view)


def _downloadable(page: ModelPage) -> bool:
    """Whether the model can be downloaded: also again, where its copy in the cache is damaged."""
    return page.row.where is Where.CACHE or (not page.row.is_local and not page.cannot_load)
