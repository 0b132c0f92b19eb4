"""The dialog of the settings: a list of pages, most built from the settings' declarations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from PySide6.QtCore import Qt, QUrl, Signal, Slot
from PySide6.QtGui import QDesktopServices, QGuiApplication
from PySide6.QtWidgets import (
    QAbstractItemView,
    QCheckBox,
    QDialog,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QPushButton,
    QSpinBox,
    QStackedWidget,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from playground.core.facts import CodeConsent
from playground.core.settings import (
    IN_DIALOG,
    MAX_FOLDERS,
    OF_HISTORY,
    Settings,
    choices,
    descriptions,
    limits,
)
from playground.gui.toolkit.elided import ElidedLabel
from playground.gui.toolkit.file_dialog import folder_dialog
from playground.gui.toolkit.screen import open_at_size
from playground.gui.toolkit.segments import Segments
from playground.gui.toolkit.widgets import (
    h_box,
    label_for,
    muted_label,
    plain_label,
    push_button,
    spin_box,
    v_box,
)

_FOLDERS = "The list of models shows what they contain."
_CODE = "Each was reviewed and allowed for one commit; another commit needs another consent."
_ENGINES = (
    "Some libraries cannot be installed together with the playground's own: the original "
    "auto-gptq, for one."
)
_LABELS = {
    "theme": "Colours",
    "timing": "Lanes run",
    "plot_view": "Plot",
    "plot_floor": "Show the floor",
    "mark_differences": "Mark differences",
    "token_details": "Probability of each token",
    "keep_standby": "Keep a standby engine",
    "keep_history": "Keep runs in the history",
    "history_limit_mb": "Size of the history",
}


class SettingsDialog(QDialog):
    """Shows the settings; every change is emitted immediately, and stored by the controller."""

    changed = Signal(str, object)  # the name of a setting and its new value
    revoked = Signal(object)  # a CodeConsent

    def __init__(
        self, values: Settings, places: Mapping[str, Path], parent: QWidget | None = None
    ) -> None:
        """`places` are the program's files and folders, by their contents."""
        super().__init__(parent)
        self.setWindowTitle("Settings")
        open_at_size(self, 760, 420)
        self._descriptions = descriptions()
        self._folders = list(values.model_folders)
        self._consents = list(values.code_consents)
        self.fields: dict[str, Segments | QCheckBox | QSpinBox] = {}
        self.pages = QListWidget()
        self.pages.setAccessibleName("Pages")
        self.pages.setFixedWidth(150)
        self.pages.ensurePolished()  # else its rows lack the style sheet's padding
        self._stack = QStackedWidget()
        for title, page in (
            ("General", self._declared("General", IN_DIALOG, values)),
            ("History", self._declared("History", OF_HISTORY, values)),
            ("Model folders", self._folder_page()),
            ("Engines", self._engine_page()),
            ("Models' own code", self._code_page()),
            ("Files", self._files_page(places)),
        ):
            self.pages.addItem(title)
            self._stack.addWidget(page)
        self.pages.currentRowChanged.connect(self._stack.setCurrentIndex)
        self.pages.setCurrentRow(0)
        close = QPushButton("C&lose")
        close.setDefault(True)
        close.clicked.connect(self.reject)
        halves = h_box(self.pages, self._stack, spacing=16)
        halves.setStretch(1, 1)
        below = h_box(muted_label("Changes take effect immediately."), close)
        below.setStretch(0, 1)
        column = v_box(self, margin=16, spacing=12)
        column.addLayout(halves, 1)
        column.addLayout(below)

    # Pages

    def _declared(self, title: str, names: Sequence[str], values: Settings) -> QWidget:
        """Make the page of settings whose declarations say how they are changed."""
        page, column = _page(title)
        for name in names:
            label, help_ = _LABELS.get(name, _words(name)), self._descriptions[name]
            value = getattr(values, name)
            if isinstance(value, bool):
                box = QCheckBox(label)
                box.setChecked(value)
                box.setAccessibleDescription(help_)
                box.toggled.connect(partial(self.changed.emit, name))
                self.fields[name] = box
                column.addWidget(box)
            elif isinstance(value, int):
                spin = spin_box(label, help_, limits(name), 100)
                spin.setSuffix(" MB")
                spin.setGroupSeparatorShown(True)
                spin.setKeyboardTracking(False)
                spin.setValue(value)
                spin.valueChanged.connect(partial(self.changed.emit, name))
                self.fields[name] = spin
                row = h_box(label_for(label, spin), spin)
                row.insertStretch(1, 1)
                column.addLayout(row)
            else:
                options = [(one, one.capitalize(), help_) for one in choices(name)]
                segments = Segments(label, options)
                segments.set_value(value)
                segments.chosen.connect(partial(self.changed.emit, name))
                self.fields[name] = segments
                row = h_box(QLabel(label), segments)
                row.insertStretch(1, 1)
                column.addLayout(row)
            column.addWidget(muted_label(help_, wrap=True))
            column.addSpacing(8)
        column.addStretch(1)
        return page

    def _folder_page(self) -> QWidget:
        page, column = _page("Model folders")
        column.addWidget(
            muted_label(f"{self._descriptions['model_folders']} {_FOLDERS}", wrap=True)
        )
        self.folders = QListWidget()
        self.folders.setAccessibleName("Model folders")
        self.folders.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.add_folder = push_button("&Add…")
        self.add_folder.clicked.connect(self._ask_folder)
        self.remove_folder = push_button("&Remove", "Remove it from this list; its files stay")
        self.remove_folder.clicked.connect(self._remove_folder)
        column.addWidget(self.folders, 1)
        column.addLayout(_left(self.add_folder, self.remove_folder))
        self._show_folders()
        return page

    def _engine_page(self) -> QWidget:
        page, column = _page("Engines")
        text = f"{self._descriptions['environments']} {_ENGINES}"
        column.addWidget(muted_label(text, wrap=True))
        self.environments_button = push_button("&Engine environments…")
        column.addLayout(_left(self.environments_button))
        column.addStretch(1)
        return page

    def _code_page(self) -> QWidget:
        page, column = _page("Models' own code")
        text = f"{self._descriptions['code_consents']} {_CODE}"
        column.addWidget(muted_label(text, wrap=True))
        self.consents = QTreeWidget()
        self.consents.setAccessibleName("Models whose code may run")
        self.consents.setHeaderLabels(["Model", "Commit"])
        self.consents.setRootIsDecorated(False)
        self.consents.setUniformRowHeights(True)
        self.consents.ensurePolished()  # as for the pages
        self.consents.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.consents.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.consents.setColumnWidth(0, 260)
        self.revoke_button = push_button("Re&voke", "Ask again before this model's code runs")
        self.revoke_button.clicked.connect(self._revoke)
        column.addWidget(self.consents, 1)
        column.addLayout(_left(self.revoke_button))
        self._show_consents()
        return page

    def _files_page(self, places: Mapping[str, Path]) -> QWidget:
        page, column = _page("Files")
        column.addWidget(muted_label("Where the playground keeps its files.", wrap=True))
        grid = QGridLayout()
        grid.setHorizontalSpacing(12)
        grid.setVerticalSpacing(8)
        grid.setColumnStretch(1, 1)
        for row, (name, place) in enumerate(places.items()):
            path = ElidedLabel(str(place))
            path.elide_mode = Qt.TextElideMode.ElideMiddle
            folder = place if place.suffix == "" else place.parent
            opener, copier = push_button("Open"), push_button("Copy")
            opener.setAccessibleName(f"Open the folder of {name}")
            opener.setEnabled(folder.is_dir())
            opener.clicked.connect(partial(_open_folder, str(folder)))
            copier.setAccessibleName(f"Copy the path of {name}")
            copier.clicked.connect(partial(_copy, str(place)))
            for column_, widget in enumerate((QLabel(name), path, opener, copier)):
                grid.addWidget(widget, row, column_)
        column.addLayout(grid)
        column.addStretch(1)
        return page

    # What the user asks for

    @Slot()
    def _ask_folder(self) -> None:
        folder_dialog(self, "Choose a folder that holds models", self._folder_chosen).open()

    @Slot(str)
    def _folder_chosen(self, path: str) -> None:
        if path not in self._folders:
            self._folders.append(path)
            self._show_folders()
            self.changed.emit("model_folders", tuple(self._folders))

    @Slot()
    def _remove_folder(self) -> None:
        row = self.folders.currentRow()
        if 0 <= row < len(self._folders):
            del self._folders[row]
            self._show_folders()
            self.changed.emit("model_folders", tuple(self._folders))

    @Slot()
    def _revoke(self) -> None:
        row = self.consents.currentIndex().row()
        if 0 <= row < len(self._consents):
            revoked = self._consents.pop(row)
            self._show_consents()
            self.revoked.emit(revoked)

    # What is shown

    def _show_folders(self) -> None:
        self.folders.clear()
        self.folders.addItems(self._folders)
        self.folders.setCurrentRow(0)
        self.remove_folder.setEnabled(bool(self._folders))
        self.add_folder.setEnabled(len(self._folders) < MAX_FOLDERS)

    def _show_consents(self) -> None:
        self.consents.clear()
        for consent in self._consents:
            self.consents.addTopLevelItem(_consent_item(consent))
        self.consents.setCurrentIndex(self.consents.model().index(0, 0))
        self.revoke_button.setEnabled(bool(self._consents))


def _consent_item(consent: CodeConsent) -> QTreeWidgetItem:
    item = QTreeWidgetItem([consent.model, consent.commit])
    item.setToolTip(0, consent.model)
    item.setToolTip(1, consent.commit)
    return item


def _page(title: str) -> tuple[QWidget, QVBoxLayout]:
    page = QWidget()
    column = v_box(page)
    column.addWidget(plain_label(title, "heading"))
    return page, column


def _left(*buttons: QPushButton) -> QHBoxLayout:
    row = h_box(*buttons)
    row.addStretch(1)
    return row


def _open_folder(path: str) -> None:
    QDesktopServices.openUrl(QUrl.fromLocalFile(path))


def _copy(path: str) -> None:
    QGuiApplication.clipboard().setText(path)


def _words(name: str) -> str:
    return name.replace("_", " ").capitalize()
