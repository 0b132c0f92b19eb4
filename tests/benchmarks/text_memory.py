"""What text costs in a plain Qt text field, in a process of its own: prints bytes a character."""

from __future__ import annotations

import sys

import psutil
from PySide6.QtGui import QTextCursor
from PySide6.QtWidgets import QApplication, QPlainTextEdit

from tests.support.scripted_text import piece

_PIECES = 33
_WARM, _INSERTS = 300, 2400


def main() -> None:
    """Insert the scripted engines' prose as it streams, and compare before and after."""
    application = QApplication([])
    process = psutil.Process()
    field = QPlainTextEdit()
    field.setUndoRedoEnabled(False)
    field.resize(300, 300)
    field.show()

    def insert(start: int, end: int) -> tuple[int, int]:
        for number in range(start, end):
            cursor = QTextCursor(field.document())
            cursor.movePosition(QTextCursor.MoveOperation.End)
            first = number * _PIECES
            cursor.insertText("".join(piece("prose", first + i) for i in range(_PIECES)))
            bar = field.verticalScrollBar()
            bar.setValue(bar.maximum())
            if number % 10 == 0:
                application.processEvents()
        return process.memory_info().rss, field.document().characterCount()

    bytes_before, characters_before = insert(0, _WARM)
    bytes_after, characters_after = insert(_WARM, _INSERTS)
    cost = (bytes_after - bytes_before) / (characters_after - characters_before)
    sys.stdout.write(f"{cost:.1f}\n")


if __name__ == "__main__":
    main()
