"""A model's page: all that is known of it before it is downloaded or loaded."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from playground.core.errors import PlaygroundError
from playground.core.format import plain_line, size_text
from playground.gui.memory.chart import FitChart
from playground.gui.model_page.card_markdown import drawable
from playground.gui.model_page.card_view import CardView
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
from playground.gui.toolkit.widgets import muted_label, set_kind, wrapping_policy
from playground.hub.catalog import DerivativeGroup, ModelPage

_CUT = (
    "This card is longer than what is shown here, which is its beginning. "
    "All of it is on the model's page on the Hub."
)
_SECTIONS = (
    ("card", "C&ard", "What its authors write"),
    ("fit", "Will it &fit?", "The memory it takes at every precision, against what is free"),
    ("versions", "&Versions", "What it was made from, and its quantized versions"),
    ("results", "&Results", "Published evaluation results"),
    ("files", "F&iles", "Files and their sizes"),
)


class ModelPageView(QFrame):
    """Draws a page, or that it is being read, or why it cannot be; wishes leave as signals."""

    downloadRequested = Signal()
    compareRequested = Signal()
    quantizeRequested = Signal()
    trialRequested = Signal()
    accessRequested = Signal()
    loginRequested = Signal()
    retryRequested = Signal()
    webRequested = Signal()
    backRequested = Signal()
    linkRequested = Signal(str)  # in the card
    resultRequested = Signal(int)  # the source of a result

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("card")
        self.setAccessibleName("The selected model")
        self.head = PageHead()
        self._bar = ThinBar()
        self._problem = QFrame()
        self._problem.setObjectName("failure")
        self._message, self._remedy = _plain("danger"), _plain("")
        self.retry_button = _button("&Try again")
        self.download_button = _button("&Download")
        self.compare_button = _button("Compare &bf16 and GPTQ")
        self.quantize_button = _button("Make a &GPTQ version…")
        self.quantize_button.setToolTip("Quantize it here; or save it in int8 or NF4")
        self.access_button = _button("Ask for &access…")
        self.login_button = _button("&Log in…")
        self._first = muted_label("", wrap=True)
        self._first.setSizePolicy(wrapping_policy())
        self.sections = Segments("Part of the page", _SECTIONS)
        self.card = CardView()
        self._cut = muted_label(_CUT, wrap=True)
        self.fit = FitChart()
        self.versions = VersionsView()
        self.results = RowsTable(
            "Evaluation results", RESULT_COLUMNS, right=(1,), widths={3: 112, 4: 112}, wrap=True
        )
        self._caveat = muted_label(CAVEAT, wrap=True)
        self._no_results = QWidget()  # takes the table's room
        self.trial_button = _button("Validate it on &my own prompts")
        self.files = RowsTable("Files", FILE_COLUMNS, right=(1,))
        self._files_line = muted_label("", wrap=True)
        self._stack = QStackedWidget()
        self._pages: dict[str, QWidget] = {}
        self._build()
        self._connect()
        self.show_nothing()

    def show_nothing(self) -> None:
        """Show no model at all."""
        self._show("", empty=True)

    def show_reading(self, title: str) -> None:
        """Show that a page is being read; what was shown of another is gone."""
        self._show(title, reading=True)

    def show_problem(self, title: str, error: PlaygroundError) -> None:
        """Show why there is no page."""
        self._message.setText(error.message)
        self._remedy.setText(error.remedy)
        self._remedy.setVisible(bool(error.remedy))
        self._show(title, problem=True)

    def show_access(self, *, ask: bool, login: bool) -> None:
        """Offer the page where the model is asked for, and logging in, where they may help."""
        self.access_button.setVisible(ask)
        self.login_button.setVisible(login)

    def show_page(self, page: ModelPage) -> None:
        """Show a page; the versions come apart, see `versions`."""
        self.head.show_facts(fact_lines(page))
        self.head.show_warnings(warnings(page))
        card, cut = drawable(card_text(page))
        self.card.show_card(card)
        self._cut.setVisible(cut or page.card_cut)
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
        """Name the wish to download; "" hides it."""
        self.download_button.setText(text)
        self.download_button.setVisible(bool(text))
        self.download_button.setEnabled(enabled)
        set_kind(self.download_button, "kind", "primary" if primary and enabled else None)

    def show_compare(self, label: str, first: str) -> None:
        """Offer two lanes; `first` is what is downloaded before. "" hides the button."""
        self.compare_button.setText(label.replace("bf16", "&bf16", 1))
        self.compare_button.setVisible(bool(label))
        told = label.replace("Compare", "Comparing", 1)
        self._first.setText(f"{told} downloads {first} first." if label and first else "")
        self._first.setVisible(bool(self._first.text()))

    def text(self) -> str:
        """What the head, or the problem in its place, says."""
        problem = self._problem.isVisibleTo(self)
        told = [self._message.text(), self._remedy.text()] if problem else []
        return "\n".join([self.head.text(), *told]).strip()

    def cut_shown(self) -> bool:
        """Whether it is said that the card is longer."""
        return self._cut.isVisibleTo(self._pages["card"])

    @Slot(str)
    def show_section(self, section: str) -> None:
        self.sections.set_value(section)
        self._stack.setCurrentWidget(self._pages[section])

    def _show(
        self, title: str, *, empty: bool = False, reading: bool = False, problem: bool = False
    ) -> None:
        there = not (empty or reading or problem)
        self.head.title.set_full_text(title or "No model is selected.")
        if not there:
            self.head.show_facts([])
            self.head.show_warnings([])
            self.show_download("", enabled=False)
            self.show_compare("", "")
            self.quantize_button.hide()
        self.head.web_button.setVisible(False)
        self._bar.set_progress(reading, None)
        self._problem.setVisible(problem)
        self.show_access(ask=False, login=False)
        self.retry_button.setVisible(problem)
        self.sections.setVisible(there)
        self._stack.setVisible(there)
        self._rest.setVisible(not there)

    def _build(self) -> None:
        inside = QVBoxLayout(self._problem)
        inside.setContentsMargins(8, 6, 8, 6)
        inside.addWidget(self._message)
        inside.addWidget(self._remedy)
        self._add("card", self._cut, self.card)
        room = QScrollArea()
        room.setWidgetResizable(True)
        room.setFrameShape(QFrame.Shape.NoFrame)
        room.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.fit.setObjectName("scrolled")
        room.setWidget(self.fit)
        self._add("fit", room)
        self._add("versions", self.versions)
        column = self._add("results", self.results, self._caveat)
        column.addWidget(self.trial_button, 0, Qt.AlignmentFlag.AlignLeft)
        column.addWidget(self._no_results, 1)
        self._add("files", self._files_line, self.files)
        actions = QHBoxLayout()
        actions.setSpacing(8)
        for button in (
            self.retry_button,
            self.download_button,
            self.compare_button,
            self.quantize_button,
            self.access_button,
            self.login_button,
        ):
            actions.addWidget(button)
        actions.addStretch(1)
        self._rest = QWidget()
        whole = QVBoxLayout(self)
        whole.setContentsMargins(16, 12, 16, 12)
        whole.setSpacing(8)
        for widget in (self.head, self._bar, self._problem):
            whole.addWidget(widget)
        whole.addLayout(actions)
        whole.addWidget(self._first)
        whole.addWidget(self.sections)
        whole.addWidget(self._stack, 1)
        whole.addWidget(self._rest, 1)

    def _add(self, section: str, *widgets: QWidget) -> QVBoxLayout:
        page = self._pages[section] = QWidget()
        column = QVBoxLayout(page)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        for widget in widgets:
            column.addWidget(widget)
        self._stack.addWidget(page)
        return column

    def _connect(self) -> None:
        self.sections.chosen.connect(self.show_section)
        self.head.back_button.clicked.connect(self.backRequested)
        self.head.web_button.clicked.connect(self.webRequested)
        self.retry_button.clicked.connect(self.retryRequested)
        self.download_button.clicked.connect(self.downloadRequested)
        self.compare_button.clicked.connect(self.compareRequested)
        self.trial_button.clicked.connect(self.trialRequested)
        self.quantize_button.clicked.connect(self.quantizeRequested)
        self.access_button.clicked.connect(self.accessRequested)
        self.login_button.clicked.connect(self.loginRequested)
        self.card.link_asked.connect(self.linkRequested)
        self.results.used.connect(self.resultRequested)


def _counted(title: str, count: int) -> str:
    return f"{title} {count:,}" if count else title


def _button(text: str) -> QPushButton:
    button = QPushButton(text)
    button.setAutoDefault(False)
    return button


def _plain(tone: str) -> QLabel:
    label = QLabel()
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setWordWrap(True)
    label.setSizePolicy(wrapping_policy())
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    if tone:
        set_kind(label, "tone", tone)
    return label
