"""Supplies the window's light and dark colours, lane colours, fonts and tinted icons."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass
from functools import lru_cache
from string import Template

from PySide6.QtCore import QByteArray, QObject, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFont,
    QFontDatabase,
    QGuiApplication,
    QIcon,
    QPainter,
    QPalette,
    QPen,
    QPixmap,
)
from PySide6.QtSvg import QSvgRenderer
from PySide6.QtWidgets import QApplication, QStyleFactory

from playground.core.system.resources import resource
from playground.gui.toolkit.stylesheet import STYLESHEET

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Colors:
    """The colours of one scheme, named by their use."""

    window: str
    surface: str  # cards, inputs, the plot
    raised: str  # buttons, headers, chips
    hover: str
    text: str
    muted: str
    disabled: str
    border: str  # between areas
    outline: str  # around inputs; 3:1 on the surface
    accent: str
    accent_hover: str
    on_accent: str
    danger: str
    danger_back: str
    warning: str
    warning_back: str
    info_back: str
    success: str


LIGHT = Colors(
    window="#f1f3f6",
    surface="#ffffff",
    raised="#f6f7f9",
    hover="#e6eaf0",
    text="#1a1e24",
    muted="#565f6c",
    disabled="#9aa2ad",
    border="#d9dde4",
    outline="#88919e",
    accent="#0a5fc2",
    accent_hover="#084fa3",
    on_accent="#ffffff",
    danger="#b3231b",
    danger_back="#fdeceb",
    warning="#7a4f00",
    warning_back="#fff3d6",
    info_back="#e7f0fc",
    success="#17693a",
)
DARK = Colors(
    window="#14161a",
    surface="#1c1f24",
    raised="#272b32",
    hover="#323741",
    text="#e7e9ec",
    muted="#a3abb6",
    disabled="#69717d",
    border="#33383f",
    outline="#727b88",
    accent="#62a8ff",
    accent_hover="#86bcff",
    on_accent="#08131f",
    danger="#ff9a90",
    danger_back="#3c2020",
    warning="#ffcb70",
    warning_back="#392d14",
    info_back="#1b2c42",
    success="#76d49b",
)

#: The Okabe–Ito palette: distinguishable with every kind of colour blindness.
_LANE_COLORS = ("#0072B2", "#D55E00", "#009E73", "#E69F00", "#CC79A7", "#56B4E9")
#: Lengths of dash and gap in pen widths; the first lane is solid.
_LANE_DASHES: tuple[tuple[float, ...], ...] = (
    (),
    (7.0, 3.0),
    (2.0, 2.5),
    (9.0, 3.0, 2.0, 3.0),
    (4.0, 4.0),
    (12.0, 4.0),
)
_FONT_FILES = ("Inter-Regular.otf", "Inter-SemiBold.otf", "JetBrainsMono-Regular.ttf")
_UI_FAMILIES = ["Inter", "Segoe UI", "Noto Sans", "DejaVu Sans"]
_MONO_FAMILIES = ["JetBrains Mono", "Noto Sans Mono", "DejaVu Sans Mono"]
_POINTS = (9.75, 14.0)  # the system's font size is kept within these


class _Theme(QObject):
    """The scheme in use; emits `changed` after the application has taken on new colours."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.choice = "system"
        self.colors = LIGHT
        self.points = 0.0
        self.following = False
        self.painted: Colors | None = None

    def follow_system(self) -> None:
        app = QApplication.instance()
        if self.choice == "system" and isinstance(app, QApplication):
            self.paint(app)

    def paint(self, app: QApplication) -> None:
        dark = self.choice == "dark" or (self.choice == "system" and _system_is_dark())
        self.colors = DARK if dark else LIGHT
        if self.colors is self.painted:
            return  # repainting every icon and widget would change nothing
        self.painted = self.colors
        _tinted.cache_clear()
        app.setPalette(_palette(self.colors))
        arrows = {
            f"icon_{name.replace('-', '_')}": resource(
                "icons", "themed", f"{name}-{'dark' if dark else 'light'}.svg"
            ).as_posix()
            for name in ("chevron-down", "chevron-up", "check")
        }
        app.setStyleSheet(Template(STYLESHEET).substitute(asdict(self.colors), **arrows))
        self.changed.emit()


_theme = _Theme()
#: Emitted after the colours changed; widgets that override paintEvent repaint then.
theme_changed = _theme.changed


def apply_theme(app: QApplication, choice: str = "system") -> None:
    """Give `app` the "light" or "dark" colours; "system" follows the system's, also later."""
    hints = app.styleHints()
    if not _theme.following:
        _theme.following = True
        hints.colorSchemeChanged.connect(_theme.follow_system)
        _theme.points = _load_fonts(app)
    _theme.choice = choice
    if app.style().objectName() != "fusion":
        app.setStyle(QStyleFactory.create("Fusion"))
    # The title bar follows this where the platform draws one.
    if choice == "system":
        hints.unsetColorScheme()
    else:
        hints.setColorScheme(Qt.ColorScheme.Dark if choice == "dark" else Qt.ColorScheme.Light)
    app.setFont(ui_font())
    _theme.paint(app)


def color(name: str) -> QColor:
    """Return one colour in use, by its field name in `Colors`."""
    return QColor(getattr(_theme.colors, name))


def ui_font(scale: float = 1.0, *, bold: bool = False) -> QFont:
    """Return the window's font, with digits of equal width."""
    font = QFont(_UI_FAMILIES)
    font.setPointSizeF((_theme.points or _POINTS[0]) * scale)
    font.setWeight(QFont.Weight.DemiBold if bold else QFont.Weight.Normal)
    font.setFeature(QFont.Tag("tnum"), 1)
    return font


def mono_font(scale: float = 1.0) -> QFont:
    """Return the font of logs and scripts."""
    font = QFont(_MONO_FAMILIES)
    font.setStyleHint(QFont.StyleHint.Monospace)
    font.setPointSizeF((_theme.points or _POINTS[0]) * scale)
    return font


def lane_color(index: int) -> QColor:
    """Return the lane's colour of the Okabe–Ito palette, which repeats after six."""
    return QColor(_LANE_COLORS[index % len(_LANE_COLORS)])


def lane_line_color(index: int) -> QColor:
    """Return the lane's colour, mixed with the text's up to a contrast of 3:1 on the surface."""
    return readable(lane_color(index), color("surface"), 3.0)


def lane_text_color(index: int) -> QColor:
    """Return the lane's colour, mixed with the text's up to the 4.5:1 that text needs."""
    return readable(lane_color(index), color("surface"), 4.5)


def lane_pen(index: int, alpha: int = 255) -> QPen:
    """Return the lane's pen: one pixel at any scale, in its colour and dash pattern."""
    shade = lane_line_color(index)
    shade.setAlpha(alpha)
    pen = QPen(shade, 1)
    pen.setCosmetic(True)
    dashes = _LANE_DASHES[index % len(_LANE_DASHES)]
    if dashes:
        pen.setDashPattern(list(dashes))
    return pen


def floor_pen(index: int) -> QPen:
    """Return the dotted pen of the lane's floor (its memory-bandwidth bound)."""
    pen = QPen(lane_line_color(index), 1)
    pen.setCosmetic(True)
    pen.setDashPattern([1.0, 3.0])
    return pen


def contrast(first: QColor, second: QColor) -> float:
    """Return the contrast ratio of WCAG 2.1 (relative luminance), from 1 to 21."""
    lighter, darker = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def readable(shade: QColor, back: QColor, ratio: float) -> QColor:
    """Return `shade`, mixed with the text's colour just enough to reach `ratio` on `back`."""
    text = color("text")
    for step in range(21):
        part = step / 20
        mixed = QColor.fromRgbF(
            *(a * (1 - part) + b * part for a, b in zip(_rgb(shade), _rgb(text), strict=True))
        )
        if contrast(mixed, back) >= ratio:
            return mixed
    return text


def icon(name: str, role: str = "text") -> QIcon:
    """Return the icon `name` in the colour `role`, greyed out where it is disabled.

    On a selected row it takes the colour of the row's text.
    """
    result = QIcon()
    for size in (16, 20, 24, 32, 48):
        result.addPixmap(pixmap(name, size, role))
        result.addPixmap(pixmap(name, size, "disabled"), QIcon.Mode.Disabled)
        result.addPixmap(pixmap(name, size, "on_accent"), QIcon.Mode.Selected)
    return result


def pixmap(name: str, size: int, role: str = "text") -> QPixmap:
    """Return the icon `name`, `size` logical pixels square, at the screen's resolution."""
    app = QGuiApplication.instance()
    ratio = app.devicePixelRatio() if isinstance(app, QGuiApplication) else 1.0
    return _tinted(name, size, ratio, getattr(_theme.colors, role))


@lru_cache(maxsize=512)
def _tinted(name: str, size: int, ratio: float, shade: str) -> QPixmap:
    image = QPixmap(QSize(round(size * ratio), round(size * ratio)))
    image.fill(Qt.GlobalColor.transparent)
    drawing = _drawing(name)
    if not drawing:
        return image
    renderer = QSvgRenderer(QByteArray(drawing.replace("currentColor", shade).encode()))
    painter = QPainter(image)
    renderer.render(painter, QRectF(image.rect()))
    painter.end()
    image.setDevicePixelRatio(ratio)
    return image


@lru_cache(maxsize=128)
def _drawing(name: str) -> str:
    """Return the icon's SVG, read once for all sizes; "" where it cannot be read."""
    try:
        return resource("icons", f"{name}.svg").read_text("utf-8")
    except OSError as error:
        log.warning("The icon %s cannot be read: %s", name, error)
        return ""


def _system_is_dark() -> bool:
    return QGuiApplication.styleHints().colorScheme() == Qt.ColorScheme.Dark


def _rgb(shade: QColor) -> tuple[float, float, float]:
    return shade.redF(), shade.greenF(), shade.blueF()


def _luminance(shade: QColor) -> float:
    def linear(part: float) -> float:
        return float(part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4)

    red, green, blue = (linear(part) for part in _rgb(shade))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _load_fonts(app: QApplication) -> float:
    """Register the shipped fonts; return the window's font size in points."""
    for name in _FONT_FILES:
        if QFontDatabase.addApplicationFont(str(resource("fonts", name))) < 0:
            log.warning("The font %s cannot be loaded; the system's fonts are used.", name)
    low, high = _POINTS
    return min(max(app.font().pointSizeF(), low), high)


def _palette(scheme: Colors) -> QPalette:
    role, group = QPalette.ColorRole, QPalette.ColorGroup
    plain = {
        role.Window: scheme.window,
        role.WindowText: scheme.text,
        role.Base: scheme.surface,
        role.AlternateBase: scheme.raised,
        role.Text: scheme.text,
        role.Button: scheme.raised,
        role.ButtonText: scheme.text,
        role.BrightText: scheme.on_accent,
        role.ToolTipBase: scheme.raised,
        role.ToolTipText: scheme.text,
        role.PlaceholderText: scheme.muted,
        role.Highlight: scheme.accent,
        role.HighlightedText: scheme.on_accent,
        role.Accent: scheme.accent,
        role.Link: scheme.accent,
        role.LinkVisited: scheme.accent,
        role.Light: scheme.surface,
        role.Midlight: scheme.hover,
        role.Mid: scheme.border,
        role.Dark: scheme.outline,
        role.Shadow: scheme.border,
    }
    palette = QPalette()
    for key, value in plain.items():
        palette.setColor(key, QColor(value))
    for key in (role.WindowText, role.Text, role.ButtonText, role.PlaceholderText):
        palette.setColor(group.Disabled, key, QColor(scheme.disabled))
    palette.setColor(group.Disabled, role.Highlight, QColor(scheme.border))
    palette.setColor(group.Disabled, role.HighlightedText, QColor(scheme.disabled))
    return palette
