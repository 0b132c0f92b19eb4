"""Shows one kept run, or two side by side: prompt, texts with marked differences, figures."""

from __future__ import annotations

from PySide6.QtCore import Qt, Slot
from PySide6.QtGui import QFont, QTextCharFormat, QTextCursor
from PySide6.QtWidgets import QPlainTextEdit, QWidget

from playground.gui.history.text import lane_line
from playground.gui.lanes.stream_view import visible
from playground.gui.toolkit import paragraphs, theme
from playground.gui.toolkit.text_table import RowsTable
from playground.gui.toolkit.widgets import muted_label, plain_label, v_box
from playground.history.report.page import pieces
from playground.history.report.summary import HEAD, LaneReport, RunReport

#: Of a longer text (characters) the rest is left out; a report holds all of it.
_SHOWN = 20_000
_NO_RUN = "Select a run to see its texts and figures, or two runs to compare them."


class RunView(QWidget):
    """Draws a RunReport; words that the reference lacks are underlined and tinted."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.title = plain_label("", "heading")
        self.note = muted_label(_NO_RUN, wrap=True)
        self.text = QPlainTextEdit()
        self.text.setProperty("kind", "input")
        self.text.setReadOnly(True)
        self.text.setUndoRedoEnabled(False)
        self.text.setTabChangesFocus(True)
        self.text.setAccessibleName("Texts of the run")
        self.text.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse
            | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        self.text.document().setDocumentMargin(10)
        self.figures = RowsTable(
            "Figures of the run",
            ("Lane", *HEAD),
            right=range(1, len(HEAD) + 1),
            widths={0: 220},
            stretch=len(HEAD),
        )
        column = v_box(self, spacing=6)
        column.addWidget(self.title)
        column.addWidget(self.note)
        column.addWidget(self.text, 1)
        column.addWidget(self.figures)
        self._report: RunReport | None = None
        theme.theme_changed.connect(self._draw)
        self.show_report(None)

    def show_report(self, report: RunReport | None, note: str = _NO_RUN) -> None:
        """Show a run, or `note` where there is none to show."""
        self._report = report
        for widget in (self.title, self.text, self.figures):
            widget.setVisible(report is not None)
        self.note.setAlignment(
            Qt.AlignmentFlag.AlignLeft if report else Qt.AlignmentFlag.AlignCenter
        )
        if report is None:
            self.note.setText(note)
            return
        state = report.run.row.state.value
        self.title.setText("Two runs" if report.also else f"Run {report.run.row.id} · {state}")
        options = ", ".join(f"{name.lower()} {value}" for name, value in report.options)
        self.note.setText(f"{report.created} · {options}")
        rows = [(_name(lane), *lane.cells) for lane in report.lanes]
        self.figures.rows.set_rows(rows)
        rows_height = self.figures.verticalHeader().defaultSectionSize() * len(rows)
        self.figures.setFixedHeight(
            self.figures.horizontalHeader().sizeHint().height() + rows_height + 18
        )
        self._draw()

    @Slot()
    def _draw(self) -> None:
        if self._report is None:
            return
        request = self._report.run.request
        self.text.clear()
        cursor = self.text.textCursor()
        cursor.beginEditBlock()
        if request.system.strip():
            _insert(cursor, "System prompt\n", _bold("muted"))
            _insert(cursor, f"{_cut(request.system)}\n\n", _colored("muted"))
        _insert(cursor, "Prompt\n", _bold("muted"))
        _insert(cursor, _cut(request.typed), _colored("muted"))
        for lane in self._report.lanes:
            self._insert_lane(cursor, lane)
        cursor.endEditBlock()
        self.text.moveCursor(QTextCursor.MoveOperation.Start)

    def _insert_lane(self, cursor: QTextCursor, lane: LaneReport) -> None:
        name = _bold("text")
        name.setForeground(theme.lane_text_color(lane.position))
        _insert(cursor, f"\n\n{_name(lane)}\n", name)
        _insert(cursor, f"{lane_line(lane)}\n", _colored("muted"))
        left = _SHOWN
        for text, differs in pieces(lane):
            _insert(cursor, text[:left], _marked() if differs else _colored("text"))
            left -= len(text)
            if left < 0:
                _insert(cursor, f"\n… {-left:,} more characters …", _colored("muted"))
                break
        if lane.failure and lane.failure != lane.ending:
            _insert(cursor, f"\n{lane.failure}", _colored("warning"))


def _name(lane: LaneReport) -> str:
    return f"★ {lane.name}" if lane.is_reference else lane.name


def _cut(text: str) -> str:
    over = len(text) - _SHOWN
    return text if over <= 0 else f"{text[:_SHOWN]}\n… {over:,} more characters …"


def _insert(cursor: QTextCursor, text: str, shape: QTextCharFormat) -> None:
    paragraphs.insert(cursor, visible(text), shape)


def _colored(role: str) -> QTextCharFormat:
    shape = QTextCharFormat()
    shape.setForeground(theme.color(role))
    return shape


def _bold(role: str) -> QTextCharFormat:
    shape = _colored(role)
    shape.setFontWeight(QFont.Weight.DemiBold)
    return shape


def _marked() -> QTextCharFormat:
    """Return the format of words that the reference lacks: readable in both themes."""
    shape = _colored("text")
    shape.setBackground(theme.color("warning_back"))
    shape.setFontUnderline(True)
    shape.setUnderlineColor(theme.color("warning"))
    return shape
