"""Whether a window can open, found out before Qt would abort."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from playground.core.system import qt_platform
from playground.core.system.qt_platform import usable_platform


@pytest.fixture
def lacking(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The libraries that this machine seems to lack; all others seem present."""
    names: set[str] = set()
    monkeypatch.setattr(qt_platform, "_loads", lambda name: name not in names)
    return names


@pytest.mark.usefixtures("lacking")
def test_no_screen() -> None:
    name, sentence = usable_platform({})
    assert name == ""
    assert sentence.startswith("There is no screen here")


@pytest.mark.usefixtures("lacking")
def test_the_requested_platform_is_used() -> None:
    assert usable_platform({"QT_QPA_PLATFORM": "offscreen"}) == ("offscreen", "")
    assert usable_platform({"QT_QPA_PLATFORM": "vnc:size=8x6"}) == ("vnc:size=8x6", "")


def test_missing_libraries_are_named_with_their_packages(lacking: set[str]) -> None:
    lacking.update({"libxcb-cursor.so.0", "libxkbcommon-x11.so.0"})
    name, sentence = usable_platform({"QT_QPA_PLATFORM": "xcb"})
    assert name == ""
    assert "libxcb-cursor.so.0, libxkbcommon-x11.so.0" in sentence
    assert "sudo apt install libxcb-cursor0 libxkbcommon-x11-0" in sentence
    assert usable_platform({"QT_QPA_PLATFORM": "wayland;xcb"}) == ("wayland", "")


@pytest.mark.usefixtures("lacking")
def test_a_display_without_a_server() -> None:
    name, sentence = usable_platform({"DISPLAY": ":98765"})
    assert name == ""
    assert "DISPLAY=:98765" in sentence


def test_a_wayland_session(tmp_path: Path, lacking: set[str]) -> None:
    env = {"WAYLAND_DISPLAY": "wayland-0", "XDG_RUNTIME_DIR": str(tmp_path)}
    assert "No Wayland compositor answers" in usable_platform(env)[1]
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "wayland-0"))
        server.listen()
        assert usable_platform(env) == ("wayland", "")
        lacking.add("libEGL.so.1")
        assert "libegl1" in usable_platform(env)[1]
