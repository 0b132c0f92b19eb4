"""The generation options that all lanes share."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QRandomGenerator, Qt
from PySide6.QtWidgets import (
    QCheckBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from playground.core.generation import LABELS, RANGES, GenerationOptions, Timing
from playground.gui.toolkit.fields import DoubleSpinBox, SpinBox
from playground.gui.toolkit.segments import Segments
from playground.gui.toolkit.widgets import (
    indent_text,
    label_for,
    plain_label,
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
_SAMPLING = ("temperature", "top_k", "top_p", "min_p")


class OptionsPanel(QWidget):
    """Edits a GenerationOptions, and how the lanes share the device."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Generation options")
        self._fields: dict[str, _Spin | _DoubleSpin] = {}
        grid = QGridLayout()
        grid.setHorizontalSpacing(8)
        grid.setVerticalSpacing(2)
        grid.setColumnStretch(0, 1)
        grid.setColumnStretch(1, 1)

        title = plain_label("Generation", "heading")
        self.choice = Segments(
            "Decoding",
            (
                ("greedy", "&Greedy", "Always the likeliest token: the same text every time"),
                ("sample", "Sam&ple", "Draw the next token at random, by its probability"),
            ),
        )
        self.choice.chosen.connect(self._enable_sampling)
        head = QHBoxLayout()
        head.addWidget(title)
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
        column.addLayout(head)
        column.addLayout(grid)
        column.addWidget(self.ignore_eos)
        column.addLayout(timing)
        self.set_options(GenerationOptions())

    def options(self) -> GenerationOptions:
        """Return the options shown; each is within its range."""
        values = {name: field.value() for name, field in self._fields.items()}
        return GenerationOptions(
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

    def focus_first(self) -> None:
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


def parse_stops(text: str) -> tuple[str, ...]:
    r"""Return the stop strings between unescaped bars, with \n, \t, \s, \| and \\ replaced.

    Spaces around a stop string are not part of it, unless they are written as \s.
    """
    escapes = {"n": "\n", "t": "\t", "s": " "}
    found: list[str] = []
    for piece in _split(text):
        result, rest = "", iter(piece.strip())
        for char in rest:
            if char == "\\":
                following = next(rest, "\\")
                result += escapes.get(following, following)
            else:
                result += char
        if result:
            found.append(result)
    return tuple(found)


def format_stops(stops: Sequence[str]) -> str:
    """Return the text that `parse_stops` reads as `stops`."""
    shown = []
    for stop in stops:
        text = stop.replace("\\", "\\\\").replace("|", "\\|")
        text = text.replace("\n", "\\n").replace("\t", "\\t")
        inner = text.strip(" ")
        left = len(text) - len(text.lstrip(" "))
        right = len(text) - len(inner) - left
        shown.append("\\s" * left + inner + "\\s" * right)
    return " | ".join(shown)


def _split(text: str) -> list[str]:
    pieces, escaped = [""], False
    for char in text:
        if char == "|" and not escaped:
            pieces.append("")
            continue
        pieces[-1] += char
        escaped = char == "\\" and not escaped
    return pieces
