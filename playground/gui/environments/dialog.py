"""The dialog of the engine environments: what is there, what each can do, and more of them."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt, Slot
from PySide6.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QFileDialog,
    QFrame,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from playground.client.environment_builder import made_folder
from playground.client.environments import precisions, shown_versions
from playground.core.environments import AUTO_GPTQ
from playground.gui.environments.controller import EnvironmentsController, EnvironmentState
from playground.gui.toolkit.elided import ElidedLabel
from playground.gui.toolkit.question import Question
from playground.gui.toolkit.widgets import muted_label, set_kind

_WHAT = (
    "Other Pythons that a lane's engine can run in, for libraries that do not go together with "
    "the playground's own. Choose one for a lane in the lane's menu."
)


class EnvironmentsDialog(QDialog):
    """Shows what the controller knows; making an environment goes on when this is closed."""

    def __init__(self, environments: EnvironmentsController, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Engine environments")
        self.resize(820, 440)
        self._environments = environments
        self._removing = ""  # the name that a question is about
        self._build()
        environments.changed.connect(self._show)
        environments.building_changed.connect(self._show_building)
        environments.progressed.connect(self._show_progress)
        environments.message.connect(self._show_message)
        self._show()
        self._show_building(environments.building)
        environments.look_all()

    @property
    def chosen(self) -> EnvironmentState | None:
        """The environment that is marked in the list."""
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
        self.details = QLabel()
        self.details.setObjectName("scrolled")  # it lets the card's colour through
        self.details.setTextFormat(Qt.TextFormat.PlainText)
        self.details.setWordWrap(True)
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
        self.check_button = _button("&Check", "Start an engine in it, to see what it can do")
        self.check_button.clicked.connect(self._check)
        self.remove_button = _button("&Remove…", "Take it out of this list")
        self.remove_button.clicked.connect(self._ask_to_remove)
        self.add_button = _button("&Add a Python…", "The python of an environment that is there")
        self.add_button.clicked.connect(self._ask_python)
        self.create_button = _button(
            f"&Make {AUTO_GPTQ}",
            "A Python with the original auto-gptq 0.7.1; takes some minutes and 3 GB or more",
        )
        self.create_button.clicked.connect(self._environments.create)
        self.step = ElidedLabel()
        self.progress = QProgressBar()
        self.progress.setRange(0, 100)
        self.progress.setTextVisible(False)
        self.progress.setAccessibleName("Progress of making the environment")
        self.cancel_button = _button("Ca&ncel", "Stop and delete what was made so far")
        self.cancel_button.setProperty("kind", "danger")
        self.cancel_button.clicked.connect(self._environments.cancel)
        self.note = QLabel()
        self.note.setTextFormat(Qt.TextFormat.PlainText)
        self.note.setWordWrap(True)
        self.note.hide()
        close = _button("C&lose", "")
        close.clicked.connect(self.reject)

        what = muted_label(_WHAT, wrap=True)
        self.building = QWidget()
        making = QHBoxLayout(self.building)
        making.setContentsMargins(0, 0, 0, 0)
        making.setSpacing(8)
        making.addWidget(self.step, 2)
        making.addWidget(self.progress, 1)
        making.addWidget(self.cancel_button)
        below = QHBoxLayout()
        below.setSpacing(8)
        for button in (self.add_button, self.create_button, self.check_button, self.remove_button):
            below.addWidget(button)
        below.addStretch(1)
        below.addWidget(close)
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 16, 16, 16)
        column.setSpacing(12)
        column.addWidget(what)
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
        self.details.setText(
            details_text(state)
            if state
            else f"There is none yet. “{self.create_button.text().replace('&', '')}” installs the "
            "original auto-gptq with the versions it needs; “Add a Python” takes an environment "
            "of yours."
        )
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
        self.step.set_full_text(f"Making {AUTO_GPTQ}: {text}")
        if fraction:
            self.progress.setValue(round(100 * fraction))

    @Slot(str, str, str)
    def _show_message(self, text: str, level: str, remedy: str) -> None:
        self.note.setText(f"{text} {remedy}".strip())
        set_kind(self.note, "tone", "danger" if level == "error" else "")
        self.note.show()

    # What is asked for

    @Slot()
    def _check(self) -> None:
        if self.chosen:
            self.note.hide()
            self._environments.check(self.chosen.environment.name)

    @Slot()
    def _ask_python(self) -> None:
        dialog = QFileDialog(self, "Choose the python of an environment")
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        # A link's own place tells the environment, not that of the Python it was made from.
        dialog.setOption(QFileDialog.Option.DontResolveSymlinks)
        dialog.fileSelected.connect(self._python_chosen)
        dialog.finished.connect(dialog.deleteLater)
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
            f"Remove the environment {self._removing}?",
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
    """What is known of an environment, for people."""
    if state.problem:
        return state.problem
    if state.facts is None:
        return "Not checked yet: “Check” starts an engine in it, which takes some seconds."
    libraries = ", ".join(f"{name} {v}" for name, v in shown_versions(state.facts).items())
    reasons = precisions(state.facts)
    runs = ", ".join(precision.label for precision, reason in reasons.items() if not reason)
    lacks: dict[str, list[str]] = {}
    for precision, reason in reasons.items():
        if reason:
            lacks.setdefault(reason, []).append(precision.label)
    lines = [f"Python {state.facts.python}, {libraries}", f"Runs {runs or 'nothing'}."]
    lines += [f"Not {', '.join(labels)}: {reason}" for reason, labels in lacks.items()]
    return "\n".join(lines)


def removal_text(state: EnvironmentState) -> str:
    """What removing means for the files, and for lanes."""
    folder = made_folder(state.environment)
    files = f"Its folder {folder} is deleted." if folder else "Its files stay as they are."
    return f"{files} A lane that is set to it has to be given another one."


def _button(text: str, tip: str) -> QPushButton:
    button = QPushButton(text)
    button.setAutoDefault(False)
    button.setToolTip(tip)
    return button
