"""The dialog in which a lane's model is chosen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from PySide6.QtCore import QSize, Signal, Slot
from PySide6.QtGui import QDragEnterEvent, QDragLeaveEvent, QDropEvent
from PySide6.QtWidgets import (
    QAbstractButton,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QHBoxLayout,
    QMessageBox,
    QPushButton,
    QSplitter,
    QVBoxLayout,
    QWidget,
)

from playground.core.errors import PlaygroundError
from playground.core.facts import ModelSpec
from playground.core.settings import MAX_FOLDERS
from playground.gui.background import Background, Task
from playground.gui.browser_controller import BrowserController
from playground.gui.browser_rows import Room
from playground.gui.browser_sources import HubPlace
from playground.gui.deletion_controller import DeletionController
from playground.gui.model_choices import Described, describe
from playground.gui.picker_download import PickerDownload
from playground.gui.picker_facts import PickerFacts
from playground.gui.views.browser_view import BrowserView
from playground.gui.views.widgets import ElidedLabel, announce, set_kind
from playground.hub.catalog import ModelRow, Where

_SIZE, _LEAST = (1280, 860), (1000, 640)


@dataclass(frozen=True, kw_only=True)
class PickerShelf:
    """What the user has: models used lately and marked, model folders, where a folder was
    chosen last; `current` is the lane's model, `in_use` those of all lanes, and `room` tells
    the memory that another model in its place could have."""

    recents: Sequence[ModelSpec] = ()
    favourites: Sequence[ModelSpec] = ()
    folders: Sequence[str] = ()
    last_folder: str = ""
    current: ModelSpec | None = None
    in_use: Sequence[ModelSpec] = ()
    room: Callable[[], Room] = Room


class ModelPicker(QDialog):
    """Choose a model: found on the Hub, on this machine, marked, used lately, or a folder.

    Show it with `open()`. `chosen` carries the ModelSpec when the user accepts; `spec` has
    it too. `folder_used` tells the folder that a file dialog was left in.
    """

    chosen = Signal(object)
    folder_used = Signal(str)
    favourites_changed = Signal(object)  # tuple[ModelSpec, ...]
    folders_changed = Signal(object)  # tuple[str, ...]

    def __init__(
        self,
        background: Background,
        shelf: PickerShelf | None = None,
        parent: QWidget | None = None,
        *,
        environment: Mapping[str, str] | None = None,
        place: HubPlace | None = None,
    ) -> None:
        """`environment` is for the download's process, `place` the Hub and the cache, if not
        the usual ones."""
        super().__init__(parent)
        self.setWindowTitle("Choose a model")
        self.setAcceptDrops(True)
        room = parent.window().size() if parent is not None else QSize(*_SIZE)
        self.resize(room.expandedTo(QSize(*_LEAST)).boundedTo(QSize(*_SIZE)) - QSize(24, 24))
        shelf = shelf or PickerShelf()
        self._background = background
        self._place = place or HubPlace()
        self._last_folder = shelf.last_folder
        self._described: Described | None = None
        self._looking: Task | None = None
        self._question: QMessageBox | None = None
        self._leaving_with = QDialog.DialogCode.Rejected
        self._build(environment)
        self.browser = BrowserController(
            self.view,
            background,
            recents=shelf.recents,
            favourites=shelf.favourites,
            folders=shelf.folders,
            current=shelf.current,
            place=self._place,
            room=shelf.room,
            parent=self,
        )
        self.deletion = DeletionController(self, background, shelf.in_use, self._place.cache)
        self._connect()
        self.browser.start()

    @property
    def spec(self) -> ModelSpec | None:
        """The model that is selected and can be used."""
        return self._described.spec if self._described else None

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
        if self._described is None:
            return
        if self.download.running:
            self._ask_to_leave(QDialog.DialogCode.Accepted)
        else:
            self._leave(QDialog.DialogCode.Accepted)

    def reject(self) -> None:
        if self.download.running:
            self._ask_to_leave(QDialog.DialogCode.Rejected)
        else:
            self._leave(QDialog.DialogCode.Rejected)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if _dropped_folder(event) is not None:
            event.acceptProposedAction()
            self.facts.setProperty("dropping", True)
            self._restyle_card()

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:
        self.facts.setProperty("dropping", False)
        self._restyle_card()

    def dropEvent(self, event: QDropEvent) -> None:
        self.facts.setProperty("dropping", False)
        self._restyle_card()
        folder = _dropped_folder(event)
        if folder is not None:
            event.acceptProposedAction()
            self.use_folder(folder)

    # What it is made of

    def _build(self, environment: Mapping[str, str] | None) -> None:
        self.view = BrowserView()
        self.facts = PickerFacts()
        self.download = PickerDownload(environment=environment)
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
        halves.addWidget(self.facts)
        halves.setSizes([620, 560])
        below = QHBoxLayout()
        below.addWidget(self.open_button)
        below.addWidget(self._state, 1)
        below.addWidget(buttons)
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 16, 16, 16)
        column.setSpacing(12)
        column.addWidget(halves, 1)
        column.addWidget(self.download)
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
        self.download.completed.connect(self._downloaded)
        self.open_button.clicked.connect(self.ask_folder)

    # What happens

    @Slot(object)
    def _picked(self, row: ModelRow | None) -> None:
        self._described = None
        self.use_button.setEnabled(False)
        if self._looking is not None:
            self._looking.abandon()
        if row is None:
            self.facts.show_nothing()
            return
        self.facts.show_reading(row.name)
        work = partial(describe, row.spec, self._place.cache)
        self._looking = self._background.start(work, self._looked, self._not_usable)
        if row.where is Where.HUB or row.problem:
            self.download.set_text("@".join(filter(None, (row.spec.source, row.spec.revision))))

    @Slot(object)
    def _looked(self, found: Described) -> None:
        self._described = found
        self.facts.show_model(found)
        self.use_button.setEnabled(True)

    @Slot(object)
    def _not_usable(self, error: PlaygroundError) -> None:
        row = self.browser.current()
        self.facts.show_problem(row.name if row is not None else "", error)

    @Slot(object)
    def _used(self, row: ModelRow) -> None:
        if self.spec == row.spec:
            self.accept()

    @Slot(object)
    def _downloaded(self, spec: ModelSpec) -> None:
        self.browser.go_to(spec)

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

    def _ask_to_leave(self, code: QDialog.DialogCode) -> None:
        """Ask before a running download is thrown away. Doesn't block: the answer comes later."""
        if self._question is not None:
            return
        box = QMessageBox(self)
        box.setIcon(QMessageBox.Icon.Question)
        box.setWindowTitle("Download running")
        box.setText(f"{self.download.model} is still being downloaded.")
        box.setInformativeText("Closing stops it. Finished files are kept.")
        box.addButton("&Stop and close", QMessageBox.ButtonRole.DestructiveRole)
        go_on = box.addButton("&Keep downloading", QMessageBox.ButtonRole.RejectRole)
        box.setDefaultButton(go_on)
        box.setEscapeButton(go_on)
        box.buttonClicked.connect(self._answered)
        box.finished.connect(self._asked)
        self._question, self._leaving_with = box, code
        box.open()

    @Slot(QAbstractButton)
    def _answered(self, button: QAbstractButton) -> None:
        box = self._question
        if box is None or box.buttonRole(button) != QMessageBox.ButtonRole.DestructiveRole:
            return
        self.download.close_down()
        self._leave(self._leaving_with)

    @Slot()
    def _asked(self) -> None:
        if self._question is not None:
            self._question.deleteLater()
            self._question = None

    def _leave(self, code: QDialog.DialogCode) -> None:
        self.browser.close()
        if self._looking is not None:
            self._looking.abandon()
        if code is QDialog.DialogCode.Accepted and self._described is not None:
            self.chosen.emit(self._described.spec)
        self.done(code)

    def _restyle_card(self) -> None:
        self.facts.style().unpolish(self.facts)
        self.facts.style().polish(self.facts)


def _dropped_folder(event: QDropEvent) -> str | None:
    """The first folder among what is dragged."""
    for url in event.mimeData().urls():
        if url.isLocalFile() and Path(url.toLocalFile()).is_dir():
            return url.toLocalFile()
    return None
