"""The dialog that chooses a lane's model, and lanes or a quantized copy from a model's page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QSize, Qt, Signal, Slot
from PySide6.QtGui import QDragEnterEvent, QDragLeaveEvent, QDragMoveEvent, QDropEvent
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFrame,
    QHBoxLayout,
    QPushButton,
    QScrollArea,
    QSplitter,
    QVBoxLayout,
    QWidget,
)

from playground.core.errors import FileError
from playground.core.facts import EngineFacts, ModelSpec
from playground.core.lane import LaneChoice
from playground.core.settings import MAX_FOLDERS
from playground.core.system.paths import full_path
from playground.gui.browser.controller import BrowserController
from playground.gui.browser.deletion import DeletionController
from playground.gui.browser.model_list import FreeMemory
from playground.gui.browser.view import BrowserView
from playground.gui.context import AppContext
from playground.gui.downloads.panel import DownloadsPanel
from playground.gui.lanes.presenter import LanePresenter
from playground.gui.memory.controller import MemoryController
from playground.gui.model_page.controller import ModelPageController
from playground.gui.model_page.view import ModelPageView
from playground.gui.models.choice import ModelChoice
from playground.gui.toolkit.drops import accept_copy, local_folders
from playground.gui.toolkit.elided import ElidedLabel
from playground.gui.toolkit.file_dialog import folder_dialog
from playground.gui.toolkit.screen import open_at_size
from playground.gui.toolkit.widgets import announce, set_kind
from playground.hub.catalog import ModelRow
from playground.hub.downloads.items import DownloadItem

#: Largest height (pixels) of the downloads: two rows.
_PANEL = 150
_SIZE, _LEAST = (1280, 860), (1000, 640)


@dataclass(frozen=True, kw_only=True)
class PickerTarget:
    """The lane that a model is chosen for, and what decides whether another model fits into it.

    `current` is the lane's model, `in_use` those of all lanes. `free_memory` returns the memory
    that another model could have in the lane, `engine` what its engine found on this machine, and
    `reclaimable` the bytes that unloading its model frees on a device.
    """

    lane: LanePresenter | None = None
    current: ModelSpec | None = None
    in_use: Sequence[ModelSpec] = ()
    free_memory: Callable[[], FreeMemory] = FreeMemory
    engine: Callable[[], EngineFacts | None] = lambda: None
    reclaimable: Callable[[str], int] = lambda _: 0


class ModelPicker(QDialog):
    """Choose a model from the Hub, this machine, the favourites, the recent ones, or a folder.

    Show it with `open()`. Favourites and folders are stored in the settings as they change.
    """

    chosen = Signal(object)  # a ModelChoice; the dialog has closed

    def __init__(
        self,
        context: AppContext,
        target: PickerTarget | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle("Choose a model")
        self.setAcceptDrops(True)
        available = parent.window().size() if parent is not None else QSize(*_SIZE)
        size = available.expandedTo(QSize(*_LEAST)).boundedTo(QSize(*_SIZE)) - QSize(24, 24)
        open_at_size(self, size.width(), size.height())
        target = target or PickerTarget()
        self._context = context
        self._lane = target.lane
        self._build()
        self.memory = MemoryController(
            self.page.memory, context, target.engine, target.reclaimable, parent=self
        )
        self.memory.use_device(target.free_memory().device)
        self.pages = ModelPageController(self.page, context, self.memory, self)
        context.downloads.attach(self.panel)
        values = context.settings.values
        self.browser = BrowserController(
            self.view,
            context,
            recents=values.recents,
            favourites=values.favourites,
            folders=values.model_folders,
            current=target.current,
            free_memory=target.free_memory,
            parent=self,
        )
        self.deletion = DeletionController(context, target.in_use, self)
        self._connect()
        self.browser.start()

    @property
    def spec(self) -> ModelSpec | None:
        """The selected model, None where it cannot be used."""
        return self.pages.usable

    def use_folder(self, path: str) -> None:
        """Put a folder into the list and select it."""
        try:
            self.browser.go_to(ModelSpec(str(full_path(path))), opened=True)
        except FileError as error:
            self._context.notify.error(error)

    @Slot()
    def ask_folder(self) -> None:
        """Open a file dialog for a model's folder."""
        self._ask_folder("Open a model's folder", self._folder_chosen)

    @Slot()
    def ask_model_folder(self) -> None:
        """Open a file dialog for a folder that holds models."""
        self._ask_folder("Add a folder that holds models", self._model_folder_chosen)

    # Overrides

    def accept(self) -> None:
        if (spec := self.spec) is not None:
            self._finish(ModelChoice(self._lane, model=spec))

    def done(self, code: int) -> None:
        self.browser.close()
        self.pages.close()
        self.memory.clear()
        super().done(code)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if local_folders(event.mimeData()):
            accept_copy(event)
            set_kind(self.page, "dropping", True)

    def dragMoveEvent(self, event: QDragMoveEvent) -> None:
        accept_copy(event)

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:
        set_kind(self.page, "dropping", False)

    def dropEvent(self, event: QDropEvent) -> None:
        set_kind(self.page, "dropping", False)
        accept_copy(event)
        # All are put into the list, and the first is selected.
        for folder in reversed(local_folders(event.mimeData())):
            self.use_folder(str(folder))

    # Internals

    def _build(self) -> None:
        self.view = BrowserView()
        self.page = ModelPageView()
        self.panel = DownloadsPanel()
        self.panel.setMaximumHeight(_PANEL)
        self.panel.hide()  # until there are downloads
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
        around = QScrollArea()  # for screens that are too narrow for both
        around.setWidgetResizable(True)
        around.setFrameShape(QFrame.Shape.NoFrame)
        around.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        around.setWidget(halves)
        below = QHBoxLayout()
        below.addWidget(self.open_button)
        below.addWidget(self._state, 1)
        below.addWidget(buttons)
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 16, 16, 16)
        column.setSpacing(12)
        column.addWidget(around, 1)
        column.addWidget(self.panel)
        column.addLayout(below)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        self.view.filters.search.setFocus()

    def _connect(self) -> None:
        downloads = self._context.downloads
        self.browser.picked.connect(self.pages.show_row)
        self.browser.used.connect(self._used)
        self.browser.favourites_changed.connect(self._favourites_changed)
        self.view.folder_add_requested.connect(self.ask_model_folder)
        self.view.folder_remove_requested.connect(self._remove_folder)
        self.view.delete.triggered.connect(self._delete)
        self.view.check.triggered.connect(self.pages.check_files)
        self.deletion.deleted.connect(self.browser.read_here)
        self.deletion.reported.connect(self._say)
        self.pages.turned.connect(self._enable_use)
        self.pages.page_shown.connect(self._enable_use)
        self.pages.lanes_chosen.connect(self._lanes_chosen)
        self.pages.quantize_requested.connect(self._quantize_chosen)
        downloads.finished.connect(self._downloaded)
        # Downloading hides its button: give the focus to the list, where Enter uses the model.
        self.page.download_button.clicked.connect(self.view.list.setFocus)
        downloads.listed.connect(self._show_panel)
        self._show_panel(downloads.items())
        self.open_button.clicked.connect(self.ask_folder)

    @Slot()
    def _enable_use(self) -> None:
        self.use_button.setEnabled(self.spec is not None)

    @Slot(object)
    def _lanes_chosen(self, lanes: Sequence[LaneChoice]) -> None:
        self._finish(ModelChoice(self._lane, lanes=tuple(lanes)))

    @Slot(object)
    def _quantize_chosen(self, spec: ModelSpec) -> None:
        self._finish(ModelChoice(self._lane, quantize=spec))

    def _finish(self, choice: ModelChoice) -> None:
        self.done(QDialog.DialogCode.Accepted)
        self.chosen.emit(choice)

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
            self._say(f"{row.name} is not on this machine; press Space to download it.", False)

    @Slot(object)
    def _downloaded(self, item: DownloadItem) -> None:
        self._say(f"{item.spec.source} is on this machine now.", False)
        self.browser.read_here()

    @Slot(str)
    def _folder_chosen(self, path: str) -> None:
        self._context.change_settings(last_folder=str(Path(path).parent))
        self.use_folder(path)

    @Slot(str)
    def _model_folder_chosen(self, path: str) -> None:
        self._context.change_settings(last_folder=str(Path(path).parent))
        if path not in self.browser.folders:
            self._set_folders((*self.browser.folders, path)[-MAX_FOLDERS:])

    @Slot(str)
    def _remove_folder(self, path: str) -> None:
        self._set_folders(tuple(known for known in self.browser.folders if known != path))

    def _set_folders(self, folders: tuple[str, ...]) -> None:
        self.browser.set_folders(folders)
        self._context.change_settings(model_folders=folders)

    @Slot(object)
    def _favourites_changed(self, favourites: tuple[ModelSpec, ...]) -> None:
        self._context.change_settings(favourites=favourites)

    def _ask_folder(self, title: str, chosen: Callable[[str], None]) -> None:
        folder_dialog(self, title, chosen, self._context.settings.values.last_folder).open()

    @Slot()
    def _delete(self) -> None:
        row = self.browser.current()
        if row is not None and self.browser.may_delete(row):
            self.deletion.ask(row)

    @Slot(str, bool)
    def _say(self, text: str, bad: bool) -> None:
        set_kind(self._state, "tone", "danger" if bad else "muted")
        self._state.set_full_text(text)
        announce(self, text)
