"""The dialog of the engine environments: what each can do; adding and removing them."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt, Slot
from PySide6.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QFileDialog,
    QFrame,
    QHeaderView,
    QProgressBar,
    QScrollArea,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from playground.client.environment_builder import created_folder
from playground.client.environments import precisions, shown_versions
from playground.core.choices import AUTO_GPTQ
from playground.gui.environments.controller import EnvironmentsController, EnvironmentState
from playground.gui.toolkit.elided import ElidedLabel
from playground.gui.toolkit.file_dialog import file_dialog
from playground.gui.toolkit.question import Question
from playground.gui.toolkit.screen import open_at_size
from playground.gui.toolkit.widgets import (
    h_box,
    muted_label,
    plain_label,
    push_button,
    set_kind,
    v_box,
)

_EXPLANATION = (
    "Other Python environments in which a lane's engine can run, for libraries that cannot be "
    "installed together with the playground's. Choose one for a lane in the lane's menu."
)
_NONE_YET = (
    f"There is none yet. “Install {AUTO_GPTQ}” sets up the original auto-gptq with the versions "
    "it needs; “Add a Python” adds an existing environment."
)

_TONES = {"warning": "warning", "error": "danger"}


class EnvironmentsDialog(QDialog):
    """Shows what the controller knows; an installation continues after the dialog is closed."""

    def __init__(self, environments: EnvironmentsController, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Engine environments")
        open_at_size(self, 820, 440)
        self._environments = environments
        self._removing = ""  # the name of the environment that a question is about
        self._build()
        environments.changed.connect(self._show)
        environments.building_changed.connect(self._show_building)
        environments.progressed.connect(self._show_progress)
        environments.notify.message.connect(self._show_message)  # the window's bar is behind
        self._show()
        self._show_building(environments.building)
        environments.look_all()

    @property
    def chosen(self) -> EnvironmentState | None:
        """The environment that is selected in the list."""
        row = self.list.currentIndex().row()
        states = self._environments.states()
        return states[row] if 0 <= row < len(states) else None

    def _build(self) -> None:
        self.list = QTreeWidget()
        self.list.setAccessibleName("Engine environments")
        self.list.setHeaderLabels(["Name", "Python", "Where"])
        self.list.setRootIsDecorated(False)
        self.list.setUniformRowHeights(True)
        self.list.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.list.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        header = self.list.header()
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(1, QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(2, QHeaderView.ResizeMode.Stretch)
        self.list.currentItemChanged.connect(self._show_chosen)
        self.details = plain_label(wrap=True)
        self.details.setObjectName("scrolled")  # transparent, as the style sheet says
        self.details.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.details.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse
            | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        scrolled = QScrollArea()
        scrolled.setAccessibleName("What is known of the environment")
        scrolled.setFrameShape(QFrame.Shape.NoFrame)
        scrolled.setWidgetResizable(True)
        scrolled.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scrolled.setWidget(self.details)
        card = QFrame()
        card.setObjectName("card")
        around = QVBoxLayout(card)
        around.setContentsMargins(10, 8, 10, 8)
        around.addWidget(scrolled)
        self.check_button = push_button("&Check", "Start an engine in it to see what it can do")
        self.check_button.clicked.connect(self._check)
        self.remove_button = push_button("&Remove…", "Remove it from this list")
        self.remove_button.clicked.connect(self._ask_to_remove)
        self.add_button = push_button("&Add a Python…", "Choose the python of an environment")
        self.add_button.clicked.connect(self._ask_python)
        self.create_button = push_button(
            f"&Install {AUTO_GPTQ}",
            "A Python with the original auto-gptq 0.7.1; takes minutes, and 3 GB or more",
        )
        self.create_button.clicked.connect(self._environments.create)
        self.step = ElidedLabel()
        self.progress = QProgressBar()
        self.progress.setRange(0, 100)
        self.progress.setTextVisible(False)
        self.progress.setAccessibleName("Progress of the installation")
        self.cancel_button = push_button(
            "Ca&ncel", "Stop, and delete what is installed so far", kind="danger"
        )
        self.cancel_button.clicked.connect(self._environments.cancel)
        self.note = plain_label(wrap=True)
        self.note.hide()
        close = push_button("C&lose")
        close.clicked.connect(self.reject)

        self.building = QWidget()
        making = h_box(self.step, self.progress, self.cancel_button)
        making.setStretch(0, 2)
        making.setStretch(1, 1)
        self.building.setLayout(making)
        below = h_box(self.add_button, self.create_button, self.check_button, self.remove_button)
        below.addStretch(1)
        below.addWidget(close)
        column = v_box(self, margin=16, spacing=12)
        column.addWidget(muted_label(_EXPLANATION, wrap=True))
        column.addWidget(self.list, 3)
        column.addWidget(card, 2)
        column.addWidget(self.note)
        column.addWidget(self.building)
        column.addLayout(below)

    # What is shown

    @Slot()
    def _show(self) -> None:
        states = self._environments.states()
        row = max(0, self.list.currentIndex().row())
        self.list.blockSignals(True)
        self.list.clear()
        for state in states:
            item = QTreeWidgetItem(
                [state.environment.name, state.version or "…", state.environment.python]
            )
            if state.problem:
                item.setText(1, "does not work")
            if state.busy:
                item.setText(1, f"{state.busy} …")
            item.setToolTip(2, state.environment.python)
            self.list.addTopLevelItem(item)
        self.list.blockSignals(False)
        if states:
            self.list.setCurrentIndex(self.list.model().index(min(row, len(states) - 1), 0))
        self._show_chosen()

    @Slot()
    def _show_chosen(self) -> None:
        state = self.chosen
        self.details.setText(details_text(state) if state else _NONE_YET)
        set_kind(self.details, "tone", "danger" if state and state.problem else "")
        idle = state is not None and not state.busy
        self.check_button.setEnabled(idle)
        self.remove_button.setEnabled(idle)
        names = [known.environment.name for known in self._environments.states()]
        self.create_button.setEnabled(AUTO_GPTQ not in names and not self._environments.building)

    @Slot(bool)
    def _show_building(self, building: bool) -> None:
        if building:
            self.note.hide()
            self._show_progress("starting", 0.0)
            self.cancel_button.setEnabled(True)
        self.building.setVisible(building)
        self._show_chosen()

    @Slot(str, float)
    def _show_progress(self, text: str, fraction: float) -> None:
        self.step.set_full_text(f"Installing {AUTO_GPTQ}: {text}")
        if fraction:
            self.progress.setValue(round(100 * fraction))

    @Slot(str, str, str)
    def _show_message(self, text: str, level: str, remedy: str) -> None:
        self.note.setText(f"{text} {remedy}".strip())
        set_kind(self.note, "tone", _TONES.get(level, ""))
        self.note.show()

    # What the user asks for

    @Slot()
    def _check(self) -> None:
        if self.chosen:
            self.note.hide()
            self._environments.check(self.chosen.environment.name)

    @Slot()
    def _ask_python(self) -> None:
        dialog = file_dialog(self, "Choose the python of an environment", self._python_chosen)
        # The link is in the environment; the Python that it leads to is not.
        dialog.setOption(QFileDialog.Option.DontResolveSymlinks)
        dialog.open()

    @Slot(str)
    def _python_chosen(self, path: str) -> None:
        self.note.hide()
        self._environments.add(Path(path))

    @Slot()
    def _ask_to_remove(self) -> None:
        state = self.chosen
        if state is None:
            return
        self._removing = state.environment.name
        question = Question(
            self,
            "Remove an environment",
            f"Remove the environment “{self._removing}”?",
            removal_text(state),
            do="&Remove",
            keep="&Keep",
        )
        question.answered.connect(self._answered)
        question.open()

    @Slot(bool)
    def _answered(self, agreed: bool) -> None:
        if agreed:
            self._environments.remove(self._removing)


def details_text(state: EnvironmentState) -> str:
    """Return what is known of an environment, in sentences."""
    if state.problem:
        return state.problem
    if state.facts is None:
        return "Not checked yet. “Check” starts an engine in it, which takes a few seconds."
    libraries = ", ".join(f"{name} {v}" for name, v in shown_versions(state.facts).items())
    reasons = precisions(state.facts)
    supported = ", ".join(one.label for one, reason in reasons.items() if not reason)
    missing: dict[str, list[str]] = {}
    for precision, reason in reasons.items():
        if reason:
            missing.setdefault(reason, []).append(precision.label)
    lines = [f"Python {state.facts.python}, {libraries}", f"Runs {supported or 'nothing'}."]
    lines += [f"Cannot run {', '.join(labels)}: {reason}" for reason, labels in missing.items()]
    return "\n".join(lines)


def removal_text(state: EnvironmentState) -> str:
    """Return what removing an environment means for its files and for lanes."""
    folder = created_folder(state.environment)
    files = f"Its folder {folder} is deleted." if folder else "Its files stay as they are."
    return f"{files} Lanes that use it need another one."
