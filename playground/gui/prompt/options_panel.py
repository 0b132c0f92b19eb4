"""The generation options that all lanes share."""

from __future__ import annotations

from PySide6.QtCore import QRandomGenerator, Qt, Signal, Slot
from PySide6.QtWidgets import (
    QCheckBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from playground.core.generation import LABELS, RANGES, GenerationOptions, Timing
from playground.gui.prompt.stop_strings import format_stops, parse_stops
from playground.gui.toolkit.fields import DoubleSpinBox, SpinBox
from playground.gui.toolkit.segments import Segments
from playground.gui.toolkit.widgets import (
    indent_text,
    label_for,
    set_name,
    tool_button,
)

_TIPS = {
    "max_new_tokens": "The most tokens that each lane generates",
    "temperature": "Below 1: more predictable; above 1: more surprising",
    "top_k": "Sample from this many of the likeliest tokens; 0: from all",
    "top_p": "Sample from the likeliest tokens with this total probability; 1: from all",
    "min_p": "Leave out tokens below this fraction of the likeliest one's probability; 0: none",
    "repetition_penalty": "Above 1: tokens that occurred before become less likely; 1: off",
    "seed": "The start of the random numbers, the same in every lane",
}
#: Alternatives that are asked for with each token.
TOP = 5
_SAMPLING = ("temperature", "top_k", "top_p", "min_p")


class OptionsPanel(QWidget):
    """Edits a GenerationOptions, and how the lanes share the device."""

    changed = Signal()  # an option or the timing, as `options` and `timing` return them

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Generation options")
        self._fields: dict[str, _Spin | _DoubleSpin] = {}
        grid = QGridLayout()
        grid.setHorizontalSpacing(8)
        grid.setVerticalSpacing(2)
        grid.setColumnStretch(0, 1)
        grid.setColumnStretch(1, 1)

        self._title = QToolButton()
        self._title.setText("Generation")
        self._title.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self._title.setProperty("kind", "fold")
        self._title.setAccessibleName("Generation options")
        self._title.setCheckable(True)
        self._title.setChecked(True)
        self._title.toggled.connect(self._show_fields)
        self.choice = Segments(
            "Decoding",
            (
                ("greedy", "&Greedy", "Always the likeliest token: the same text every time"),
                ("sample", "Sam&ple", "Draw the next token at random, by its probability"),
            ),
        )
        self.choice.chosen.connect(self._enable_sampling)
        head = QHBoxLayout()
        head.addWidget(self._title)
        head.addStretch(1)
        head.addWidget(self.choice)

        self.dice = tool_button("dice", "Another seed", "Choose a random seed")
        self.dice.clicked.connect(self._draw_seed)
        seed = _Spin("seed")
        seed_row = QWidget()
        row = QHBoxLayout(seed_row)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        row.addWidget(seed, 1)
        row.addWidget(self.dice)
        self._add(grid, 0, 0, "max_new_tokens", "&New tokens", _Spin("max_new_tokens", 16))
        self._add(grid, 0, 1, "seed", "See&d", seed, seed_row)
        self._add(grid, 2, 0, "temperature", "&Temperature", _DoubleSpin("temperature", 2, 0.05))
        self._add(grid, 2, 1, "top_k", "Top-&k", _Spin("top_k", 5))
        self._add(grid, 4, 0, "top_p", "T&op-p", _DoubleSpin("top_p", 3, 0.05))
        self._add(grid, 4, 1, "min_p", "&Min-p", _DoubleSpin("min_p", 3, 0.01))
        self._add(
            grid, 6, 0, "repetition_penalty", "Rep. penalt&y",
            _DoubleSpin("repetition_penalty", 2, 0.05),
        )  # fmt: skip
        set_name(self._fields["repetition_penalty"], "Repetition penalty")
        self.stop = QLineEdit()
        self.stop.setAcceptDrops(False)  # a file would be inserted as its address
        self.stop.setPlaceholderText(r"e.g. \n\n | END")
        self.stop.setToolTip(
            "The answer ends before the first of these. Separate them with |; \\n is a line break, "
            "\\t a tab, \\s a space, \\| a bar and \\\\ a backslash."
        )
        self.stop.setAccessibleName("Stop strings")
        self.stop.setAccessibleDescription(self.stop.toolTip())
        stop_label = _label("&Stop strings", self.stop)
        grid.addWidget(stop_label, 6, 1)
        grid.addWidget(self.stop, 7, 1)

        self.ignore_eos = QCheckBox("&Ignore the end-of-text token")
        self.ignore_eos.setToolTip(
            "Generate all new tokens even if the model ends its text earlier: for measuring"
        )
        self.ignore_eos.setAccessibleDescription(self.ignore_eos.toolTip())
        self._timing = Segments(
            "Timing",
            (
                ("in turn", "In t&urn", "One lane after the other: fair timing"),
                (
                    "together",
                    "Together",
                    "All lanes run concurrently and share the device; timings are not comparable",
                ),
            ),
        )
        timing = QHBoxLayout()
        timing.addWidget(QLabel("Lanes run"))
        timing.addStretch(1)
        timing.addWidget(self._timing)

        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        self._body = QWidget()
        body = QVBoxLayout(self._body)
        body.setContentsMargins(0, 0, 0, 0)
        body.setSpacing(6)
        body.addLayout(grid)
        body.addWidget(self.ignore_eos)
        body.addLayout(timing)
        column.addLayout(head)
        column.addWidget(self._body)
        #: Whether each token is to come with its probability and its alternatives.
        self.token_details = True
        self._show_fields(True)
        self._announce_changes()
        self.set_options(GenerationOptions())

    def options(self) -> GenerationOptions:
        """Return the options shown; each is within its range."""
        values = {name: field.value() for name, field in self._fields.items()}
        return GenerationOptions(
            top=TOP if self.token_details else 0,
            **values,  # type: ignore[arg-type]  # each field has its option's type
            greedy=self.choice.value() == "greedy",
            stop=parse_stops(self.stop.text()),
            ignore_eos=self.ignore_eos.isChecked(),
        )

    def set_options(self, options: GenerationOptions) -> None:
        """Show `options`."""
        for name, field in self._fields.items():
            field.setValue(getattr(options, name))
        self.choice.set_value("greedy" if options.greedy else "sample")
        self.stop.setText(format_stops(options.stop))
        self.ignore_eos.setChecked(options.ignore_eos)
        self._enable_sampling()

    def timing(self) -> Timing:
        return "together" if self._timing.value() == "together" else "in turn"

    def set_timing(self, timing: Timing) -> None:
        self._timing.set_value(timing)

    def folded(self) -> bool:
        """Whether only the heading and the choice of decoding are shown."""
        return not self._title.isChecked()

    def set_folded(self, folded: bool) -> None:
        self._title.setChecked(not folded)

    def focus_first(self) -> None:
        self.set_folded(False)
        self._fields["max_new_tokens"].setFocus(Qt.FocusReason.ShortcutFocusReason)

    def last_field(self) -> QWidget:
        """Return the widget from which the Tab key leaves the panel."""
        return self._timing.button("together")

    def _add(
        self,
        grid: QGridLayout,
        row: int,
        column: int,
        name: str,
        text: str,
        field: _Spin | _DoubleSpin,
        widget: QWidget | None = None,
    ) -> None:
        set_name(field, LABELS[name])
        low, high = RANGES[name]
        field.setToolTip(f"{_TIPS[name]} ({low:g} to {high:,.12g})")
        field.setAccessibleDescription(_TIPS[name])
        self._fields[name] = field
        grid.addWidget(_label(text, field), row, column)
        grid.addWidget(widget or field, row + 1, column)

    def _show_fields(self, shown: bool) -> None:
        self._body.setVisible(shown)
        self._title.setArrowType(Qt.ArrowType.DownArrow if shown else Qt.ArrowType.RightArrow)
        tip = "Fold the options away" if shown else "Show the options"
        self._title.setToolTip(tip)
        self._title.setAccessibleDescription(tip)

    def _announce_changes(self) -> None:
        """Emit `changed` whenever anything is chosen or typed."""
        for field in self._fields.values():
            field.valueChanged.connect(self._emit_changed)
        for segments in (self.choice, self._timing):
            segments.chosen.connect(self._emit_changed)
        self.stop.textChanged.connect(self._emit_changed)
        self.ignore_eos.toggled.connect(self._emit_changed)

    @Slot()
    def _emit_changed(self) -> None:
        self.changed.emit()

    def _enable_sampling(self) -> None:
        """Enable the sampling options unless decoding is greedy."""
        greedy = self.choice.value() == "greedy"
        for name in _SAMPLING:
            field = self._fields[name]
            field.setEnabled(not greedy)
            field.setAccessibleDescription(
                "Not used: greedy decoding takes the likeliest token" if greedy else _TIPS[name]
            )

    def _draw_seed(self) -> None:
        self._fields["seed"].setValue(QRandomGenerator.global_().bounded(int(RANGES["seed"][1])))


class _Spin(SpinBox):
    """A whole number in the option's range."""

    def __init__(self, name: str, step: int = 1) -> None:
        super().__init__()
        low, high = RANGES[name]
        self.setRange(int(low), int(high))
        self.setSingleStep(step)
        self.setGroupSeparatorShown(name != "seed")
        _shape(self)


class _DoubleSpin(DoubleSpinBox):
    """A number in the option's range."""

    def __init__(self, name: str, decimals: int, step: float) -> None:
        super().__init__()
        low, high = RANGES[name]
        self.setDecimals(decimals)
        self.setRange(low, high)
        self.setSingleStep(step)
        _shape(self)


def _shape(field: SpinBox | DoubleSpinBox) -> None:
    field.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    field.setMinimumWidth(72)
    field.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    field.setKeyboardTracking(True)
    indent_text(field)


def _label(text: str, buddy: QWidget) -> QLabel:
    label = label_for(text, buddy)
    label.setProperty("tone", "muted")
    return label
