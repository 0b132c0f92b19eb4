"""The window's style sheet: spacing on a grid of 4 pixels, rounded cards, visible focus."""

from __future__ import annotations

#: Filled by `string.Template` with the fields of `theme.Colors` and paths of small icons.
STYLESHEET = """
QToolTip {
    background: $raised; color: $text; border: 1px solid $outline; padding: 4px 6px;
}
QMainWindow, QDialog { background: $window; }
QMenuBar { background: $window; padding: 2px 4px; border-bottom: 1px solid $border; }
QMenuBar::item { padding: 4px 8px; border-radius: 4px; background: transparent; }
QMenuBar::item:selected { background: $hover; }
QMenu { background: $surface; border: 1px solid $outline; padding: 4px; }
QMenu::item { padding: 5px 24px 5px 12px; border-radius: 4px; }
QMenu::icon { padding-left: 8px; }
QMenu::item:selected { background: $accent; color: $on_accent; }
QMenu::item:disabled { color: $disabled; background: transparent; }
QMenu::separator { height: 1px; background: $border; margin: 4px 8px; }
QSplitter::handle { background: transparent; }
QSplitter::handle:hover { background: $outline; border-radius: 1px; margin: 3px; }

QFrame#card { background: $surface; border: 1px solid $border; border-radius: 8px; }
QFrame#card[current="true"] { border-top: 3px solid $outline; }
QFrame#card[dropping="true"] { border: 2px solid $accent; }
QFrame#rule { background: $border; border: none; }
QFrame#failure { background: $danger_back; border: none; border-radius: 6px; }
QFrame#message { border-radius: 6px; border: 1px solid $border; background: $info_back; }
QFrame#message[level="warning"] { background: $warning_back; }
QFrame#message[level="error"] { background: $danger_back; }
QLabel[tone="muted"] { color: $muted; }
QLabel[tone="heading"] { font-weight: 600; }
QLabel[tone="danger"] { color: $danger; }
QLabel[tone="warning"] { color: $warning; }
QLabel[tone="success"] { color: $success; }

QPushButton, QToolButton {
    background: $raised; border: 1px solid $outline; border-radius: 6px; padding: 4px 10px;
}
QToolButton { padding: 4px; }
QPushButton:hover, QToolButton:hover { background: $hover; }
QPushButton:pressed, QToolButton:pressed { background: $border; }
QPushButton:focus, QToolButton:focus { border: 2px solid $accent; padding: 3px 9px; }
QToolButton:focus { padding: 3px; }
QPushButton:disabled, QToolButton:disabled {
    color: $disabled; background: transparent; border-color: $border;
}
QPushButton[kind="primary"] {
    background: $accent; color: $on_accent; border: 1px solid $accent; font-weight: 600;
}
QPushButton[kind="primary"]:hover { background: $accent_hover; border-color: $accent_hover; }
QPushButton[kind="primary"]:focus { border: 2px solid $text; }
QPushButton[kind="primary"]:disabled {
    background: $raised; color: $disabled; border-color: $border;
}
QPushButton[kind="danger"] { color: $danger; border-color: $danger; font-weight: 600; }
QPushButton[kind="danger"]:disabled { color: $disabled; border-color: $border; }
QToolButton[kind="flat"], QPushButton[kind="flat"] {
    background: transparent; border: 1px solid transparent;
}
QToolButton[kind="flat"]:hover, QPushButton[kind="flat"]:hover { background: $hover; }
QToolButton[kind="flat"]:focus, QPushButton[kind="flat"]:focus { border: 2px solid $accent; }
QToolButton[kind="flat"]:checked { background: $hover; }
QToolButton[kind="fold"] {
    background: transparent; border: 1px solid transparent;
    font-weight: 600; padding: 3px 4px 3px 0;
}
QToolButton[kind="fold"]:hover { background: $hover; }
QToolButton[kind="fold"]:focus { border: 2px solid $accent; padding: 2px 3px 2px 0; }
QToolButton::menu-indicator, QPushButton::menu-indicator { image: none; width: 0; }
QPushButton[kind="model"] {
    background: transparent; border: 1px solid transparent; text-align: left;
    font-weight: 600; padding: 3px 6px;
}
QPushButton[kind="model"]:hover { background: $hover; }
QPushButton[kind="model"]:focus { border: 2px solid $accent; padding: 2px 5px; }
QPushButton[kind="badge"] {
    background: $info_back; color: $text; border: 1px solid transparent;
    border-radius: 9px; padding: 1px 8px; font-weight: 600;
}
QPushButton[kind="badge"][bad="true"] {
    background: $danger_back; color: $danger; border-color: $danger;
}
QPushButton[kind="badge"]:focus { border: 2px solid $accent; padding: 0px 7px; }
QPushButton[kind="tab"] { padding: 3px 10px; }
QPushButton[kind="tab"]:checked {
    background: $accent; color: $on_accent; border-color: $accent; font-weight: 600;
}
QPushButton[kind="tab"]:checked:focus { border: 2px solid $text; padding: 2px 9px; }
QPushButton[kind="chip"] {
    background: transparent; border: 1px solid transparent; text-align: left; padding: 3px 6px;
}
QPushButton[kind="chip"]:hover { background: $hover; }
QPushButton[kind="chip"]:!checked { color: $muted; }
QPushButton[kind="chip"]:focus { border: 2px solid $accent; padding: 2px 5px; }
QPushButton[kind="segment"] { padding: 3px 8px; border-radius: 0; margin: 0; }
QPushButton[kind="segment"][place="first"] {
    border-top-left-radius: 6px; border-bottom-left-radius: 6px;
}
QPushButton[kind="segment"][place="last"] {
    border-top-right-radius: 6px; border-bottom-right-radius: 6px;
}
QPushButton[kind="segment"]:checked {
    background: $accent; color: $on_accent; border-color: $accent; font-weight: 600;
}
QPushButton[kind="segment"]:checked:disabled {
    background: $border; color: $disabled; border-color: $border;
}
QPushButton[kind="segment"]:focus { border: 2px solid $accent; padding: 2px 7px; }
QPushButton[kind="segment"]:checked:focus { border: 2px solid $text; }

QLineEdit, QSpinBox, QDoubleSpinBox, QComboBox, QPlainTextEdit[kind="input"] {
    background: $surface; color: $text; border: 1px solid $outline; border-radius: 6px;
    selection-background-color: $accent; selection-color: $on_accent;
}
QLineEdit, QSpinBox, QDoubleSpinBox, QComboBox { padding: 3px 6px; min-height: 18px; }
QPlainTextEdit[kind="input"] { padding: 2px; }
QLineEdit:focus, QSpinBox:focus, QDoubleSpinBox:focus, QComboBox:focus {
    border: 2px solid $accent; padding: 2px 5px;
}
QPlainTextEdit[kind="input"]:focus { border: 2px solid $accent; padding: 1px; }
QLineEdit:disabled, QSpinBox:disabled, QDoubleSpinBox:disabled, QComboBox:disabled,
QPlainTextEdit[kind="input"]:disabled {
    color: $disabled; background: $window; border-color: $border;
}
QComboBox { padding-right: 2px; }
QComboBox:focus { padding-right: 1px; }
QComboBox::drop-down { border: none; width: 20px; }
QComboBox::down-arrow { image: url("$icon_chevron_down"); width: 14px; height: 14px; }
QComboBox QAbstractItemView {
    border-radius: 0;
    background: $surface; border: 1px solid $outline; padding: 4px; outline: 0;
    selection-background-color: $accent; selection-color: $on_accent;
}
QSpinBox::up-button, QDoubleSpinBox::up-button {
    subcontrol-position: top right; width: 16px; border: none; margin: 1px 2px 0 0;
}
QSpinBox::down-button, QDoubleSpinBox::down-button {
    subcontrol-position: bottom right; width: 16px; border: none; margin: 0 2px 1px 0;
}
QSpinBox::up-arrow, QDoubleSpinBox::up-arrow {
    image: url("$icon_chevron_up"); width: 10px; height: 10px;
}
QSpinBox::down-arrow, QDoubleSpinBox::down-arrow {
    image: url("$icon_chevron_down"); width: 10px; height: 10px;
}
QCheckBox { spacing: 8px; padding: 2px; border: 2px solid transparent; border-radius: 6px; }
QCheckBox:focus { border-color: $accent; }
QCheckBox:disabled { color: $disabled; }
QCheckBox::indicator {
    width: 14px; height: 14px; border: 1px solid $outline; border-radius: 4px; background: $surface;
}
QCheckBox::indicator:checked {
    background: $accent; border-color: $accent; image: url("$icon_check");
}
QCheckBox::indicator:disabled { border-color: $border; background: $window; }

QPlainTextEdit[kind="stream"] {
    background: $surface; color: $text; border: 1px solid transparent; border-radius: 6px;
    selection-background-color: $accent; selection-color: $on_accent;
}
QPlainTextEdit[kind="stream"]:focus { border-color: $accent; }

QTableView {
    background: $surface; border: 1px solid $border; border-radius: 8px; gridline-color: $border;
    selection-background-color: $accent; selection-color: $on_accent; outline: 0;
}
QTableView:focus { border-color: $accent; }
QTableView::item { padding: 0 8px; }
QTableView[kind="wrapped"]::item { padding: 5px 8px; }
QTableView#figures::item { padding: 0 4px; }
QHeaderView { background: transparent; border: none; }
QHeaderView::section {
    background: $surface; color: $muted; border: none; border-bottom: 1px solid $border;
    padding: 4px 8px; font-weight: 600;
}
/* Headings begin where the texts of their cells do. */
QTableView QHeaderView::section, QTreeView QHeaderView::section { padding: 4px 11px; }
QTableView#figures QHeaderView::section { padding: 4px 7px; }
QTableCornerButton::section { background: transparent; border: none; }

QListView, QTreeView {
    background: $surface; border: 1px solid $border; border-radius: 6px; outline: 0;
}
QListView::item, QTreeView::item { padding: 5px 8px; }
QListView::item:selected, QTreeView::item:selected { background: $accent; color: $on_accent; }

QScrollArea, QScrollArea > QWidget > QWidget#scrolled, QScrollArea > QWidget > QSplitter {
    background: transparent; border: none;
}
QAbstractScrollArea::corner { background: transparent; border: none; }
QScrollBar:vertical { background: transparent; width: 10px; margin: 0; }
QScrollBar:horizontal { background: transparent; height: 10px; margin: 0; }
QScrollBar::handle { background: $outline; border-radius: 3px; margin: 2px; }
QScrollBar::handle:vertical { min-height: 28px; }
QScrollBar::handle:horizontal { min-width: 28px; }
QScrollBar::handle:hover { background: $muted; }
QScrollBar::add-line, QScrollBar::sub-line { width: 0; height: 0; }
QScrollBar::add-page, QScrollBar::sub-page { background: transparent; }
QProgressBar { border: none; background: $border; border-radius: 3px; max-height: 6px; }
QProgressBar::chunk { background: $accent; border-radius: 3px; }
QDialogButtonBox { dialogbuttonbox-buttons-have-icons: 0; }
"""
