"""The dialog in which a lane's model is chosen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QSize, Signal, Slot
from PySide6.QtGui import QDragEnterEvent, QDragLeaveEvent, QDropEvent
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QHBoxLayout,
    QPushButton,
    QSplitter,
    QVBoxLayout,
    QWidget,
)

from playground.core.facts import EngineFacts, ModelSpec
from playground.core.settings import MAX_FOLDERS
from playground.gui.browser.controller import BrowserController
from playground.gui.browser.deletion import DeletionController
from playground.gui.browser.model_list import FreeMemory
from playground.gui.browser.view import BrowserView
from playground.gui.downloads.controller import DownloadsController
from playground.gui.downloads.panel import DownloadsPanel
from playground.gui.memory.controller import FitController
from playground.gui.model_page.controller import ModelPageController
from playground.gui.model_page.view import ModelPageView
from playground.gui.toolkit.background import Background
from playground.gui.toolkit.elided import ElidedLabel
from playground.gui.toolkit.widgets import announce, set_kind
from playground.hub.catalog import ModelPage, ModelRow
from playground.hub.downloads.items import DownloadItem
from playground.hub.place import HubPlace

#: Height of the downloads, two rows of them.
_PANEL = 150
_SIZE, _LEAST = (1280, 860), (1000, 640)


@dataclass(frozen=True, kw_only=True)
class PickerShelf:
    """What the user has: models used lately and marked, model folders, where a folder was
    chosen last; `current` is the lane's model, `in_use` those of all lanes, `free_memory` tells the
    memory that another model in its place could have, `engine` what an engine found here, and
    `reclaimable` the bytes that unloading the lane's present model frees on a device."""

    recents: Sequence[ModelSpec] = ()
    favourites: Sequence[ModelSpec] = ()
    folders: Sequence[str] = ()
    last_folder: str = ""
    current: ModelSpec | None = None
    in_use: Sequence[ModelSpec] = ()
    free_memory: Callable[[], FreeMemory] = FreeMemory
    engine: Callable[[], EngineFacts | None] = lambda: None
    reclaimable: Callable[[str], int] = lambda _: 0


class ModelPicker(QDialog):
    """Choose a model: found on the Hub, on this machine, marked, used lately, or a folder.

    Show it with `open()`. `chosen` carries the ModelSpec when the user accepts; `spec` has
    it too. `lanes_chosen` asks for lanes in its place. `folder_used` tells the folder that a
    file dialog was left in.
    """

    chosen = Signal(object)
    lanes_chosen = Signal(object)  # list[tuple[ModelSpec, Precision]]: what is missing comes first
    quantize_chosen = Signal(object)  # the ModelSpec to make a quantized copy of
    folder_used = Signal(str)
    favourites_changed = Signal(object)  # tuple[ModelSpec, ...]
    folders_changed = Signal(object)  # tuple[str, ...]

    def __init__(
        self,
        background: Background,
        downloads: DownloadsController,
        shelf: PickerShelf | None = None,
        parent: QWidget | None = None,
        *,
        place: HubPlace | None = None,
    ) -> None:
        """`place` is the Hub and the cache, if not the usual ones."""
        super().__init__(parent)
        self.setWindowTitle("Choose a model")
        self.setAcceptDrops(True)
        room = parent.window().size() if parent is not None else QSize(*_SIZE)
        self.resize(room.expandedTo(QSize(*_LEAST)).boundedTo(QSize(*_SIZE)) - QSize(24, 24))
        shelf = shelf or PickerShelf()
        self._downloads = downloads
        self._place = place or HubPlace()
        self._last_folder = shelf.last_folder
        self._build()
        self.fit = FitController(
            self.page.fit, background, shelf.engine, shelf.reclaimable, parent=self
        )
        self.fit.use_device(shelf.free_memory().device)
        self.pages = ModelPageController(
            self.page, background, downloads, self, place=self._place, fit=self.fit
        )
        downloads.attach(self.panel)
        self.browser = BrowserController(
            self.view,
            background,
            recents=shelf.recents,
            favourites=shelf.favourites,
            folders=shelf.folders,
            current=shelf.current,
            place=self._place,
            free_memory=shelf.free_memory,
            parent=self,
        )
        self.deletion = DeletionController(self, background, shelf.in_use, self._place.cache)
        self._connect()
        self.browser.start()

    @property
    def spec(self) -> ModelSpec | None:
        """The model that is selected and can be used."""
        return self.pages.usable

    def use_folder(self, path: str) -> None:
        """Put a folder into the list and select it."""
        self.browser.go_to(ModelSpec(str(Path(path).expanduser().absolute())), opened=True)

    @Slot()
    def ask_folder(self) -> None:
        """Open a file dialog for a model's folder."""
        self._ask_folder("Open a model's folder", self._folder_chosen)

    @Slot()
    def ask_model_folder(self) -> None:
        """Open a file dialog for a folder that holds models."""
        self._ask_folder("Add a folder that holds models", self._model_folder_chosen)

    # Qt's own

    def accept(self) -> None:
        spec = self.spec
        if spec is not None:
            self.chosen.emit(spec)
            self.done(QDialog.DialogCode.Accepted)

    def done(self, code: int) -> None:
        self.browser.close()
        self.pages.close()
        self.fit.clear()
        super().done(code)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if _dropped_folder(event) is not None:
            event.acceptProposedAction()
            self.page.setProperty("dropping", True)
            self._restyle_card()

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:
        self.page.setProperty("dropping", False)
        self._restyle_card()

    def dropEvent(self, event: QDropEvent) -> None:
        self.page.setProperty("dropping", False)
        self._restyle_card()
        folder = _dropped_folder(event)
        if folder is not None:
            event.acceptProposedAction()
            self.use_folder(folder)

    # What it is made of

    def _build(self) -> None:
        self.view = BrowserView()
        self.page = ModelPageView()
        self.panel = DownloadsPanel()
        self.panel.setMaximumHeight(_PANEL)
        self.panel.hide()  # until there is something in it
        self.open_button = QPushButton("&Open folder…")
        self.open_button.setAutoDefault(False)
        self.open_button.setToolTip("Use a model's folder; or drop one on this window")
        self._state = ElidedLabel()
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self.use_button = QPushButton("&Use this model")
        self.use_button.setProperty("kind", "primary")
        self.use_button.setEnabled(False)
        buttons.addButton(self.use_button, QDialogButtonBox.ButtonRole.AcceptRole)
        self.use_button.setDefault(True)
        halves = QSplitter()
        halves.setChildrenCollapsible(False)
        halves.setHandleWidth(12)
        halves.addWidget(self.view)
        halves.addWidget(self.page)
        halves.setSizes([620, 560])
        below = QHBoxLayout()
        below.addWidget(self.open_button)
        below.addWidget(self._state, 1)
        below.addWidget(buttons)
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 16, 16, 16)
        column.setSpacing(12)
        column.addWidget(halves, 1)
        column.addWidget(self.panel)
        column.addLayout(below)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        self.view.filters.search.setFocus()

    def _connect(self) -> None:
        self.browser.picked.connect(self._picked)
        self.browser.used.connect(self._used)
        self.browser.favourites_changed.connect(self.favourites_changed)
        self.view.folder_wanted.connect(self.ask_model_folder)
        self.view.folder_unwanted.connect(self._remove_folder)
        self.view.delete.triggered.connect(self._delete)
        self.deletion.deleted.connect(self._deleted)
        self.deletion.told.connect(self._say)
        self.pages.turned.connect(self._turned)
        self.pages.page_shown.connect(self._page_shown)
        self.pages.lanes_chosen.connect(self._lanes_chosen)
        self.pages.quantize_chosen.connect(self._quantize_chosen)
        self._downloads.finished.connect(self._arrived)
        # The button goes when it is pressed, and Enter in the list uses what has arrived.
        self.page.downloadRequested.connect(self.view.list.setFocus)
        self._downloads.listed.connect(self._show_panel)
        self._show_panel(self._downloads.items())
        self.open_button.clicked.connect(self.ask_folder)

    # What happens

    @Slot(object)
    def _picked(self, row: ModelRow | None) -> None:
        self.pages.show_row(row)

    @Slot(object)
    def _turned(self, _: ModelRow | None) -> None:
        self.use_button.setEnabled(False)

    @Slot(object)
    def _page_shown(self, _: ModelPage) -> None:
        self.use_button.setEnabled(self.spec is not None)

    @Slot(object)
    def _lanes_chosen(self, lanes: object) -> None:
        self.lanes_chosen.emit(lanes)
        self.done(QDialog.DialogCode.Accepted)

    @Slot(object)
    def _quantize_chosen(self, spec: ModelSpec) -> None:
        self.done(QDialog.DialogCode.Accepted)
        self.quantize_chosen.emit(spec)

    @Slot(object)
    def _show_panel(self, items: Sequence[DownloadItem]) -> None:
        self.panel.setVisible(bool(items))

    @Slot(object)
    def _used(self, row: ModelRow) -> None:
        download = self.page.download_button
        if self.spec == row.spec:
            self.accept()
        elif self.pages.row == row and download.isVisible() and download.isEnabled():
            download.setFocus()
            self._say(f"{row.name} is not on this machine: the space bar downloads it.", False)

    @Slot(object)
    def _arrived(self, item: DownloadItem) -> None:
        self._say(f"{item.spec.source} is on this machine now.", False)
        self.browser.read_here()

    @Slot(str)
    def _folder_chosen(self, path: str) -> None:
        self._note_folder(path)
        self.use_folder(path)

    @Slot(str)
    def _model_folder_chosen(self, path: str) -> None:
        self._note_folder(path)
        if path not in self.browser.folders:
            self._set_folders((*self.browser.folders, path)[-MAX_FOLDERS:])

    @Slot(str)
    def _remove_folder(self, path: str) -> None:
        self._set_folders(tuple(known for known in self.browser.folders if known != path))

    def _set_folders(self, folders: tuple[str, ...]) -> None:
        self.browser.set_folders(folders)
        self.folders_changed.emit(folders)

    def _note_folder(self, path: str) -> None:
        self._last_folder = str(Path(path).parent)
        self.folder_used.emit(self._last_folder)

    def _ask_folder(self, title: str, chosen: Callable[[str], None]) -> None:
        dialog = QFileDialog(self, title, self._last_folder)
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.setOption(QFileDialog.Option.ShowDirsOnly)
        dialog.fileSelected.connect(chosen)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    @Slot()
    def _delete(self) -> None:
        row = self.browser.current()
        if row is not None and self.browser.may_delete(row):
            self.deletion.ask(row)

    @Slot(object)
    def _deleted(self, row: ModelRow) -> None:
        self.browser.read_here()

    @Slot(str, bool)
    def _say(self, text: str, bad: bool) -> None:
        set_kind(self._state, "tone", "danger" if bad else "muted")
        self._state.set_full_text(text)
        announce(self, text)

    def _restyle_card(self) -> None:
        self.page.style().unpolish(self.page)
        self.page.style().polish(self.page)


def _dropped_folder(event: QDropEvent) -> str | None:
    """The first folder among what is dragged."""
    for url in event.mimeData().urls():
        if url.isLocalFile() and Path(url.toLocalFile()).is_dir():
            return url.toLocalFile()
    return None
