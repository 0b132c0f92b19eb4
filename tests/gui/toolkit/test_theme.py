"""Palettes are readable, colours change at run time, and lanes can be distinguished."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from itertools import combinations

import pytest
from PySide6.QtCore import QSize
from PySide6.QtGui import QColor, QFontDatabase, QIcon, QPalette
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from playground.core.system.resources import resource
from playground.gui.prompt.prompt_panel import load_examples
from playground.gui.toolkit import theme
from playground.gui.window.actions import Actions

TEXT_ON = [
    ("text", "window"),
    ("text", "surface"),
    ("text", "raised"),
    ("text", "hover"),
    ("text", "info_back"),
    ("text", "warning_back"),
    ("text", "danger_back"),
    ("muted", "window"),
    ("muted", "surface"),
    ("muted", "raised"),
    ("danger", "surface"),
    ("danger", "raised"),
    ("danger", "danger_back"),
    ("warning", "surface"),
    ("warning", "warning_back"),
    ("success", "surface"),
    ("on_accent", "accent"),
    ("on_accent", "accent_hover"),
]


@pytest.mark.parametrize("scheme", [theme.LIGHT, theme.DARK], ids=["light", "dark"])
def test_contrast_of_texts_and_outlines(scheme: theme.Colors) -> None:
    def ratio(first: str, second: str) -> float:
        return theme.contrast(QColor(getattr(scheme, first)), QColor(getattr(scheme, second)))

    low = {pair: ratio(*pair) for pair in TEXT_ON if ratio(*pair) < 4.5}
    assert not low
    for back in ("surface", "window"):
        assert ratio("accent", back) >= 3
    assert ratio("outline", "surface") >= 3


def test_contrast_is_the_formula_of_wcag() -> None:
    assert theme.contrast(QColor("white"), QColor("black")) == pytest.approx(21)
    assert theme.contrast(QColor("#777777"), QColor("white")) == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("choice", ["light", "dark"])
def test_lanes_are_visible_and_distinct(qapp: QApplication, choice: str) -> None:
    theme.apply_theme(qapp, choice)
    assert theme.lane_color(0).name() == "#0072b2"
    for index in range(4):
        surface = theme.color("surface")
        assert theme.contrast(theme.lane_line_color(index), surface) >= 3
        assert theme.contrast(theme.lane_text_color(index), surface) >= 4.5
        pen = theme.lane_pen(index)
        assert pen.width() == 1
        assert pen.isCosmetic()
    for first, second in combinations(range(4), 2):
        assert theme.lane_pen(first).dashPattern() != theme.lane_pen(second).dashPattern()
        assert theme.lane_line_color(first) != theme.lane_line_color(second)


def test_theme_changes_at_run_time(qapp: QApplication, qtbot: QtBot) -> None:
    theme.apply_theme(qapp, "light")
    assert theme.color("window").name() == theme.LIGHT.window
    with qtbot.waitSignal(theme.theme_changed):
        theme.apply_theme(qapp, "dark")
    assert theme.color("window").name() == theme.DARK.window
    assert qapp.palette().color(QPalette.ColorRole.Window).name() == theme.DARK.window
    assert qapp.style().objectName() in ("fusion", "qstylesheetstyle") or qapp.style().metaObject()
    theme.apply_theme(qapp, "system")
    theme.apply_theme(qapp, "light")
    assert qapp.palette().color(QPalette.ColorRole.Window).name() == theme.LIGHT.window


def test_fonts_are_shipped(qapp: QApplication) -> None:
    theme.apply_theme(qapp, "light")
    assert {"Inter", "JetBrains Mono"} <= set(QFontDatabase.families())
    assert qapp.font().family() == "Inter"
    assert resource("fonts", "OFL.txt").is_file()


def test_every_icon_is_tinted(qapp: QApplication) -> None:
    theme.apply_theme(qapp, "dark")
    for path in resource("icons").glob("*.svg"):
        ET.parse(path)  # noqa: S314  # our own files
        image = theme.pixmap(path.stem, 24).toImage()
        drawn = [
            image.pixelColor(x, y)
            for x in range(image.width())
            for y in range(image.height())
            if image.pixelColor(x, y).alpha() > 250
        ]
        assert drawn, path.name
        if path.stem != "app":  # which has colours of its own
            expected = theme.color("text")
            assert all(theme.contrast(shade, expected) < 1.05 for shade in drawn), path.name


def test_an_icon_is_seen_on_a_selected_row(qapp: QApplication) -> None:
    for scheme in ("light", "dark"):
        theme.apply_theme(qapp, scheme)
        image = theme.icon("stop").pixmap(QSize(24, 24), 1.0, QIcon.Mode.Selected).toImage()
        assert image.pixelColor(image.rect().center()) == theme.color("on_accent")


def test_shortcuts_are_unique_and_every_action_is_explained(qtbot: QtBot) -> None:
    actions = Actions()
    keys: dict[str, str] = {}
    for action in actions.all():
        assert action.text()
        assert action.statusTip(), action.text()
        for sequence in action.shortcuts():
            assert sequence.toString() not in keys, action.text()
            keys[sequence.toString()] = action.text()
    expected = {"Ctrl+Enter", "Esc", "Ctrl+Shift+P", "Ctrl+T", "Ctrl+W", "F1", "Ctrl+L"}
    assert expected | {f"Alt+{n}" for n in range(1, 5)} <= set(keys)


def test_examples_are_there() -> None:
    groups = load_examples()
    assert len(groups) >= 3
    for _, prompts in groups:
        for prompt in prompts:
            assert prompt["text"]
            assert prompt["mode"] in ("raw", "chat")
