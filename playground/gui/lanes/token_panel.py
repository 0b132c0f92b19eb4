"""The panel that tells of one token: its probability, its rank and what could have come instead."""

from __future__ import annotations

import math

from PySide6.QtCore import QPoint, QRect, Qt
from PySide6.QtWidgets import QFrame, QGridLayout, QLabel, QWidget

from playground.core.format import ms_text
from playground.core.token_record import TokenDetail
from playground.gui.toolkit.widgets import muted_label, plain_label

#: Marks for characters that would not be seen.
_VISIBLE = str.maketrans({" ": "␣", "\n": "⏎", "\r": "␍", "\t": "⇥"})
_MOST = 20  # alternatives


def percent(logprob: float) -> str:
    """Return a probability as people read it: "43.2 %", "0.0021 %"."""
    share = math.exp(logprob) * 100
    if share >= 0.1:
        return f"{share:.1f} %"
    return f"{share:.2g} %" if share >= 1e-4 else "< 0.0001 %"


def visible(text: str, token_id: int) -> str:
    """Return a token's text with its white space marked; its id where it has no text."""
    shown = text.translate(_VISIBLE)
    return shown if shown.strip() else f"#{token_id}"


class TokenPanel(QFrame):
    """A card beside the token; it ignores the mouse, and a screen reader reads its description."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._around = parent
        self.setObjectName("card")
        self.setProperty("kind", "tip")
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setAutoFillBackground(True)
        self.setAccessibleName("Token")
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(10, 6, 10, 6)
        self._grid.setHorizontalSpacing(16)
        self._grid.setVerticalSpacing(1)
        self._title = plain_label("")
        self._below = muted_label("")
        self._grid.addWidget(self._title, 0, 0, 1, 2)
        self._grid.addWidget(self._below, 1, 0, 1, 2)
        self._rows: list[tuple[QLabel, QLabel]] = []
        self.hide()

    def tell(
        self,
        number: int,
        token_id: int,
        text: str,
        gap_ms: float | None,
        detail: TokenDetail | None,
        beside: QRect,
    ) -> str:
        """Show a token (`number` from one) beside its place; return the same as one sentence."""
        latency = f"{'TTFT' if number == 1 else 'latency'} {ms_text(gap_ms)}"
        title = f"Token {number:,}: {visible(text, token_id)}"
        below = latency
        if detail is not None:
            below = f"{percent(detail.logprob)} · rank {detail.rank:,} · {latency}"
        self._title.setText(title)
        self._below.setText(below)
        top = detail.top[:_MOST] if detail is not None else ()
        while len(self._rows) < len(top):
            row = (QLabel(), QLabel())
            for column, label in enumerate(row):
                label.setTextFormat(Qt.TextFormat.PlainText)
                self._grid.addWidget(label, 2 + len(self._rows), column)
            row[1].setAlignment(Qt.AlignmentFlag.AlignRight)
            self._rows.append(row)
        spoken = [f"{title}, {below}"]
        for place, (name, share) in enumerate(self._rows):
            name.setVisible(place < len(top))
            share.setVisible(place < len(top))
            if place < len(top):
                one = top[place]
                mark = "● " if one.id == token_id else "   "
                name.setText(mark + visible(one.text, one.id))
                share.setText(percent(one.logprob))
                spoken.append(f"{visible(one.text, one.id)} {share.text()}")
        self.setAccessibleDescription("; ".join(spoken))
        self._place(beside)
        return "; ".join(spoken)

    def _place(self, beside: QRect) -> None:
        """Lie under the token, or above it where there is more space, inside the parent."""
        self._grid.activate()
        size = self.sizeHint()
        area = self._around.rect()
        below = beside.bottom() + 6
        top = below if below + size.height() <= area.bottom() else beside.top() - 6 - size.height()
        left = max(4, min(beside.left(), area.right() - size.width() - 4))
        self.setGeometry(QRect(QPoint(left, max(4, top)), size))
        self.show()
        self.raise_()
