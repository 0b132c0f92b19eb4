"""Draws a model's page: everything known of a model before it is downloaded or loaded."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt, Slot
from PySide6.QtWidgets import (
    QFrame,
    QScrollArea,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from playground.core.errors import PlaygroundError
from playground.core.format import plain_line, size_text
from playground.gui.memory.chart import MemoryChart
from playground.gui.model_page.card_markdown import drawable
from playground.gui.model_page.card_view import CardView
from playground.gui.model_page.check_view import FilesCheckBar
from playground.gui.model_page.head import PageHead
from playground.gui.model_page.text import (
    CAVEAT,
    FILE_COLUMNS,
    RESULT_COLUMNS,
    card_text,
    fact_lines,
    files_line,
    origin,
    result_cells,
    result_tip,
    warnings,
)
from playground.gui.model_page.versions_view import VersionsView
from playground.gui.toolkit.segments import Segments
from playground.gui.toolkit.text_table import RowsTable
from playground.gui.toolkit.thin_bar import ThinBar
from playground.gui.toolkit.widgets import (
    h_box,
    message_label,
    muted_label,
    push_button,
    set_kind,
    v_box,
    wrapping_policy,
)
from playground.hub.catalog import DerivativeGroup, ModelPage

_CUT = (
    "Only the beginning of this card is shown, since it is very long. "
    "The model's page on the Hub has all of it."
)
_SECTIONS = (
    ("card", "C&ard", "What its authors write"),
    ("memory", "Will it &fit?", "The memory it takes at every precision, and what is free"),
    ("versions", "&Versions", "What it was made from, and its quantized versions"),
    ("results", "&Results", "Published evaluation results"),
    ("files", "F&iles", "Files and their sizes"),
)


class ModelPageView(QFrame):
    """Shows a page, that one is being read, or why it cannot be read."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("card")
        self.setAccessibleName("The selected model")
        self.head = PageHead()
        self._bar = ThinBar()
        self.problem = QFrame()
        self.problem.setObjectName("failure")
        self.message, self.remedy = message_label("danger"), message_label()
        self.retry_button = push_button("&Try again")
        self.download_button = push_button("&Download")
        self.compare_button = push_button("Compare &bf16 and GPTQ")
        self.quantize_button = push_button(
            "Make a &GPTQ version…", "Quantize it on this machine, or save it in int8 or NF4"
        )
        self.access_button = push_button("Ask for &access…")
        self.login_button = push_button("&Log in…")
        self.first = muted_label("", wrap=True)
        self.first.setSizePolicy(wrapping_policy())
        self.sections = Segments("Part of the page", _SECTIONS)
        self.card = CardView()
        self.cut = muted_label(_CUT, wrap=True)
        self.memory = MemoryChart()
        self.versions = VersionsView()
        self.results = RowsTable(
            "Evaluation results", RESULT_COLUMNS, right=(1,), widths={3: 112, 4: 112}, wrap=True
        )
        self._caveat = muted_label(CAVEAT, wrap=True)
        self._no_results = QWidget()  # fills the space of the table
        self.trial_button = push_button("Try it on &my own prompts")
        self.files = RowsTable("Files", FILE_COLUMNS, right=(1,))
        self._files_line = muted_label("", wrap=True)
        self.check = FilesCheckBar()
        self._stack = QStackedWidget()
        self._pages: dict[str, QWidget] = {}
        self._build()
        self.sections.chosen.connect(self.show_section)
        self.show_nothing()

    def show_nothing(self) -> None:
        """Show that no model is selected."""
        self._show("", empty=True)

    def show_reading(self, title: str) -> None:
        """Show that a page is being read, and nothing of the page before."""
        self._show(title, reading=True)

    def show_problem(self, title: str, error: PlaygroundError) -> None:
        """Show why a page cannot be read."""
        self.message.setText(error.message)
        self.remedy.setText(error.remedy)
        self.remedy.setVisible(bool(error.remedy))
        self._show(title, problem=True)

    def show_access(self, *, ask: bool, login: bool) -> None:
        """Offer to ask for access and to log in, where these may help."""
        self.access_button.setVisible(ask)
        self.login_button.setVisible(login)

    def show_page(self, page: ModelPage) -> None:
        """Show a page without its versions, which `show_versions` shows when they arrive."""
        self.head.show_facts(fact_lines(page))
        self.head.show_warnings(warnings(page))
        card, cut = drawable(card_text(page))
        self.card.show_card(card)
        self.cut.setVisible(cut or page.card_cut)
        self.versions.show_origin(origin(page), page.base_models)
        self.results.rows.set_rows(
            [result_cells(result) for result in page.evaluations],
            [result_tip(result) for result in page.evaluations],
        )
        none = "" if page.evaluations else "No evaluation results are published with it. "
        self._caveat.setText(none + CAVEAT)
        self.results.setVisible(bool(page.evaluations))
        self._no_results.setVisible(not page.evaluations)
        self.files.rows.set_rows(
            [
                (plain_line(file.name), size_text(file.size), "yes" if file.needed else "")
                for file in page.files
            ]
        )
        self._files_line.setText(files_line(page))
        self.sections.button("results").setText(_counted("&Results", len(page.evaluations)))
        self.sections.button("files").setText(_counted("F&iles", len(page.files)))
        self._show(page.row.name)
        self.head.web_button.setVisible(bool(page.page_url))

    def show_versions(self, groups: Sequence[DerivativeGroup]) -> None:
        """Show the quantized versions of the page's model."""
        self.versions.show_groups(groups)
        count = sum(len(group.rows) for group in groups)
        self.sections.button("versions").setText(_counted("&Versions", count))

    def show_download(self, text: str, *, enabled: bool, primary: bool = False) -> None:
        """Set the text of the download button; "" hides it."""
        self.download_button.setText(text)
        self.download_button.setVisible(bool(text))
        self.download_button.setEnabled(enabled)
        set_kind(self.download_button, "kind", "primary" if primary and enabled else None)

    def show_compare(self, label: str, first: str) -> None:
        """Offer to compare two precisions; `label` names them ("": no button), and `first` what
        is downloaded before."""
        self.compare_button.setText(f"Compare &{label}")
        self.compare_button.setVisible(bool(label))
        self.first.setText(f"Comparing {label} downloads {first} first." if label and first else "")
        self.first.setVisible(bool(self.first.text()))

    @Slot(str)
    def show_section(self, section: str) -> None:
        self.sections.set_value(section)
        self._stack.setCurrentWidget(self._pages[section])

    def _show(
        self, title: str, *, empty: bool = False, reading: bool = False, problem: bool = False
    ) -> None:
        shown = not (empty or reading or problem)
        self.head.title.set_full_text(title or "No model is selected.")
        if not shown:
            self.head.show_facts([])
            self.head.show_warnings([])
            self.show_download("", enabled=False)
            self.show_compare("", "")
            self.quantize_button.hide()
        self.head.web_button.setVisible(False)
        self._bar.set_progress(reading, None)
        self.problem.setVisible(problem)
        self.show_access(ask=False, login=False)
        self.retry_button.setVisible(problem)
        self.sections.setVisible(shown)
        self._stack.setVisible(shown)
        self._rest.setVisible(not shown)

    def _build(self) -> None:
        inside = QVBoxLayout(self.problem)
        inside.setContentsMargins(8, 6, 8, 6)
        inside.addWidget(self.message)
        inside.addWidget(self.remedy)
        self._add("card", self.cut, self.card)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.memory.setObjectName("scrolled")
        area.setWidget(self.memory)
        self._add("memory", area)
        self._add("versions", self.versions)
        column = self._add("results", self.results, self._caveat)
        column.addWidget(self.trial_button, 0, Qt.AlignmentFlag.AlignLeft)
        column.addWidget(self._no_results, 1)
        self._add("files", self._files_line, self.check, self.files)
        actions = h_box(
            self.retry_button,
            self.download_button,
            self.compare_button,
            self.quantize_button,
            self.access_button,
            self.login_button,
        )
        actions.addStretch(1)
        self._rest = QWidget()
        whole = QVBoxLayout(self)
        whole.setContentsMargins(16, 12, 16, 12)
        whole.setSpacing(8)
        for widget in (self.head, self._bar, self.problem):
            whole.addWidget(widget)
        whole.addLayout(actions)
        whole.addWidget(self.first)
        whole.addWidget(self.sections)
        whole.addWidget(self._stack, 1)
        whole.addWidget(self._rest, 1)

    def _add(self, section: str, *widgets: QWidget) -> QVBoxLayout:
        page = self._pages[section] = QWidget()
        column = v_box(page)
        for widget in widgets:
            column.addWidget(widget)
        self._stack.addWidget(page)
        return column


def _counted(title: str, count: int) -> str:
    return f"{title} {count:,}" if count else title
