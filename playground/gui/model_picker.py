"""The dialog in which a lane's model is chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from PySide6.QtCore import Signal, Slot
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
from playground.gui.model_choices import Choice, Described
from playground.gui.picker_download import PickerDownload
from playground.gui.picker_facts import PickerFacts
from playground.gui.picker_list import PickerList
from playground.gui.picker_reader import PickerReader
from playground.hub.source import SourceKind, kind_of


class ModelPicker(QDialog):
    """Choose a model: bundled, recent, cached, a folder, or downloaded from the Hub.

    Show it with `open()`. `chosen` carries the ModelSpec when the user accepts; `spec` has
    it too. `folder_used` tells the folder that a file dialog was left in.
    """

    chosen = Signal(object)
    folder_used = Signal(str)

    def __init__(
        self,
        recents: Sequence[ModelSpec] = (),
        current: ModelSpec | None = None,
        parent: QWidget | None = None,
        *,
        last_folder: str = "",
        environment: Mapping[str, str] | None = None,
        cache: Path | None = None,
    ) -> None:
        """`environment` is for the download's process, `cache` the Hub's cache, if not usual."""
        super().__init__(parent)
        self.setWindowTitle("Choose a model")
        self.setAcceptDrops(True)
        self.resize(880, 560)
        self._recents = tuple(recents)
        self._opened: tuple[ModelSpec, ...] = ()
        self._wanted = current or ModelSpec()
        self._last_folder = last_folder
        self._described: Described | None = None
        self._question: QMessageBox | None = None
        self._leaving_with = QDialog.DialogCode.Rejected
        self._reader = PickerReader(cache)
        self._reader.listed.connect(self._listed)
        self._reader.looked.connect(self._looked)
        self._build(environment)
        self.refresh()

    @property
    def spec(self) -> ModelSpec | None:
        """The model that is selected and can be used."""
        return self._described.spec if self._described else None

    @Slot()
    def refresh(self) -> None:
        """List again what is there."""
        self._reader.list_models(self._recents, self._opened)

    def use_folder(self, path: str) -> None:
        """Put a folder into the list and select it."""
        spec = ModelSpec(str(Path(path).expanduser().absolute()))
        self._opened = (spec, *(other for other in self._opened if other != spec))
        self._wanted = spec
        self.refresh()

    @Slot()
    def ask_folder(self) -> None:
        """Open a file dialog for a model's folder."""
        dialog = QFileDialog(self, "Open a model's folder", self._last_folder)
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.setOption(QFileDialog.Option.ShowDirsOnly)
        dialog.fileSelected.connect(self._folder_chosen)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

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
        self.list = PickerList()
        self.facts = PickerFacts()
        self.download = PickerDownload(environment=environment)
        self.open_button = QPushButton("&Open folder…")
        self.open_button.setAutoDefault(False)
        self.open_button.setToolTip("Or drop a folder on this window")
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self.use_button = QPushButton("&Use this model")
        self.use_button.setProperty("kind", "primary")
        self.use_button.setEnabled(False)
        buttons.addButton(self.use_button, QDialogButtonBox.ButtonRole.AcceptRole)
        self.use_button.setDefault(True)
        halves = QSplitter()
        halves.setChildrenCollapsible(False)
        halves.setHandleWidth(12)
        halves.addWidget(self.list)
        halves.addWidget(self.facts)
        halves.setSizes([380, 470])
        below = QHBoxLayout()
        below.addWidget(self.open_button)
        below.addStretch(1)
        below.addWidget(buttons)
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 16, 16, 16)
        column.setSpacing(12)
        column.addWidget(halves, 1)
        column.addWidget(self.download)
        column.addLayout(below)
        self.list.picked.connect(self._picked)
        self.list.used.connect(self._used)
        self.download.completed.connect(self._downloaded)
        self.open_button.clicked.connect(self.ask_folder)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        self.list.setFocus()

    # What happens

    @Slot(object)
    def _listed(self, choices: list[Choice]) -> None:
        self.list.show_choices(choices, self._wanted)

    @Slot(object)
    def _picked(self, spec: ModelSpec) -> None:
        self._wanted = spec
        self._described = None
        self.use_button.setEnabled(False)
        choice = self.list.current_choice()
        self.facts.show_reading(choice.title if choice else spec.source)
        self._reader.look(spec)
        if choice is not None and not choice.usable and kind_of(spec.source) is SourceKind.HUB:
            at = f"@{spec.revision}" if spec.revision else ""
            self.download.set_text(f"{spec.source}{at}")

    @Slot(object, object)
    def _looked(self, spec: ModelSpec, found: Described | PlaygroundError) -> None:
        if isinstance(found, Described):
            self._described = found
            self.facts.show_model(found)
            self.use_button.setEnabled(True)
        else:
            choice = self.list.current_choice()
            self.facts.show_problem(choice.title if choice else spec.source, found)

    @Slot(object)
    def _used(self, spec: ModelSpec) -> None:
        if self.spec == spec:
            self.accept()

    @Slot(object)
    def _downloaded(self, spec: ModelSpec) -> None:
        self._wanted = spec
        if spec.revision and spec not in self._opened:  # another name of a listed commit, maybe
            self._opened = (spec, *self._opened)
        self.list.setFocus()
        self.refresh()

    @Slot(str)
    def _folder_chosen(self, path: str) -> None:
        self._last_folder = str(Path(path).parent)
        self.folder_used.emit(self._last_folder)
        self.use_folder(path)

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
        self._reader.close()
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
