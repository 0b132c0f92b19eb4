"""The search box of the model browser, its filters and its order."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QLineEdit, QWidget

from playground.core.memory.plan import Fit
from playground.gui.browser.model_list import Scope
from playground.gui.toolkit.elided import ElidedComboBox
from playground.gui.toolkit.segments import Segments
from playground.gui.toolkit.widgets import fill_combo, h_box, v_box
from playground.hub.catalog import LIBRARIES, LICENCES, TASKS, SearchFilters, Sort
from playground.hub.site.rows import METHODS

_SIZES = (0.5, 1, 3, 8, 14, 32, 70)  # billions of parameters
#: The worst verdict to list, and all verdicts that are listed then.
_FITS = {"": (), Fit.FITS: (Fit.FITS,), Fit.TIGHT: (Fit.FITS, Fit.TIGHT)}
_LIBRARY_NAMES = {"transformers": "Transformers", "safetensors": "Safetensors"}


class SearchBox(QLineEdit):
    """The search field, which passes on the keys that lead to the list."""

    down = Signal()  # Down or Page Down
    entered = Signal()  # Enter

    def __init__(self) -> None:
        super().__init__()
        self.setPlaceholderText("Search by name, or paste owner/name or a model's address")
        self.setAccessibleName("Search models")
        self.setAccessibleDescription("Down moves to the list, Enter searches at once")
        self.setClearButtonEnabled(True)
        self.setMaxLength(400)
        self.setAcceptDrops(False)  # the window around it takes dropped folders

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Down, Qt.Key.Key_PageDown):
            self.down.emit()
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            event.accept()  # not the dialog's default button
            self.entered.emit()
        else:
            super().keyPressEvent(event)


class BrowserFilters(QWidget):
    """The search box, the scope, the order and the filters."""

    typed = Signal()  # the text of the search box has changed
    changed = Signal()  # another choice has changed

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.search = SearchBox()
        self.scope = Segments(
            "List",
            [
                (Scope.ALL, "&Everything", "This machine and the Hub"),
                (Scope.HERE, "&Here", "Only models on this machine; the network is not used"),
                (Scope.FAVOURITES, "&Favourites", "Only models that you marked"),
                (Scope.RECENT, "Re&cent", "Only models used recently"),
            ],
        )
        self.sort = _combo("Order", [(sort.label, sort) for sort in Sort], "Order of the list")
        self.sort.setCurrentIndex(list(Sort).index(SearchFilters().sort))
        self.task = _combo(
            "Task", [("Any task", ""), *((label, task) for task, label in TASKS.items())]
        )
        self.task.setCurrentIndex(1 + list(TASKS).index(SearchFilters().task))
        self.least = _combo(
            "Minimum of parameters",
            [("Any size", 0), *((f"From {n:g} B", round(n * 1e9)) for n in _SIZES)],
        )
        self.most = _combo(
            "Maximum of parameters",
            [("Any size", 0), *((f"To {n:g} B", round(n * 1e9)) for n in _SIZES)],
        )
        self.licence = _combo("Licence", [("Any licence", ""), *((x, x) for x in LICENCES)])
        self.library = _combo(
            "Library or stored precision",
            [
                ("Any format", ""),
                *((_LIBRARY_NAMES.get(x) or METHODS.get(x, x), x) for x in LIBRARIES),
            ],
        )
        self.gate = _combo(
            "Access", [("Open or gated", None), ("Open only", False), ("Gated only", True)]
        )
        self.fits = _combo(
            "Memory",
            [("Any memory need", ""), ("Fits now", Fit.FITS), ("Fits or tight", Fit.TIGHT)],
            "Whether the weights fit into the memory that is free now",
        )
        for combo, short in (
            (self.least, "Min. size"), (self.most, "Max. size"), (self.licence, "Licence"),
            (self.library, "Format"), (self.gate, "Access"), (self.fits, "Memory"),
        ):  # fmt: skip
            combo.setItemData(0, short, ElidedComboBox.SHORT)
        self._combos = (
            self.task,
            self.least,
            self.most,
            self.licence,
            self.library,
            self.gate,
            self.fits,
        )
        self._place()
        self.search.textChanged.connect(self.typed)
        self.scope.chosen.connect(self.changed)
        for combo in (self.sort, *self._combos):
            combo.currentIndexChanged.connect(self.changed)

    def filters(self) -> SearchFilters:
        """Return the search as it is set."""
        return SearchFilters(
            text=self.search.text(),
            task=self.task.currentData(),
            min_parameters=self.least.currentData(),
            max_parameters=self.most.currentData(),
            licence=self.licence.currentData(),
            library=self.library.currentData(),
            gated=self.gate.currentData(),
            here_only=self.chosen_scope() is not Scope.ALL,
            sort=Sort(self.sort.currentData()),
        )

    def set_sort(self, sort: Sort) -> None:
        """Set the order of the list; emits `changed` where it differs."""
        self.sort.setCurrentIndex(list(Sort).index(sort))

    def chosen_scope(self) -> Scope:
        return Scope(self.scope.value())

    def chosen_fits(self) -> tuple[Fit, ...]:
        """Return the memory verdicts to list, () for all."""
        return _FITS[self.fits.currentData()]

    def narrows(self) -> bool:
        """Whether a text or a filter narrows the list."""
        return bool(self.search.text().strip()) or any(c.currentData() for c in self._combos)

    def loosen(self) -> None:
        """Clear every filter and the text; emits `changed` once."""
        for widget in (self.search, *self._combos):
            widget.blockSignals(True)
        self.search.clear()
        for combo in self._combos:
            combo.setCurrentIndex(0)
        for widget in (self.search, *self._combos):
            widget.blockSignals(False)
        self.changed.emit()

    def _place(self) -> None:
        second = h_box(self.scope)
        second.addWidget(self.task, 1)
        second.addWidget(self.sort, 1)
        third = h_box(spacing=6)
        for combo in self._combos[1:]:
            third.addWidget(combo, 1)
        column = v_box(self)
        column.addWidget(self.search)
        column.addLayout(second)
        column.addLayout(third)


def _combo(name: str, choices: Sequence[tuple[str, object]], tip: str = "") -> ElidedComboBox:
    combo = ElidedComboBox()
    fill_combo(combo, name, choices, tip)
    return combo
