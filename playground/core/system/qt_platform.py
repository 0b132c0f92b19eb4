"""Finds out whether Qt can open a window here, since Qt itself would abort the program."""

from __future__ import annotations

import ctypes
import os
import re
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

#: Shared libraries that Qt needs from the system, and the Debian package of each.
_EVERYWHERE = {
    "libGL.so.1": "libgl1",
    "libEGL.so.1": "libegl1",
    "libX11.so.6": "libx11-6",
    "libxkbcommon.so.0": "libxkbcommon0",
    "libfontconfig.so.1": "libfontconfig1",
    "libfreetype.so.6": "libfreetype6",
    "libdbus-1.so.3": "libdbus-1-3",
    "libglib-2.0.so.0": "libglib2.0-0",
    "libz.so.1": "zlib1g",
}
_XCB = {
    "libxcb-cursor.so.0": "libxcb-cursor0",
    "libxcb-icccm.so.4": "libxcb-icccm4",
    "libxcb-image.so.0": "libxcb-image0",
    "libxcb-keysyms.so.1": "libxcb-keysyms1",
    "libxcb-randr.so.0": "libxcb-randr0",
    "libxcb-render.so.0": "libxcb-render0",
    "libxcb-render-util.so.0": "libxcb-render-util0",
    "libxcb-shape.so.0": "libxcb-shape0",
    "libxcb-shm.so.0": "libxcb-shm0",
    "libxcb-sync.so.1": "libxcb-sync1",
    "libxcb-util.so.1": "libxcb-util1",
    "libxcb-xfixes.so.0": "libxcb-xfixes0",
    "libxcb-xkb.so.1": "libxcb-xkb1",
    "libxcb.so.1": "libxcb1",
    "libX11-xcb.so.1": "libx11-xcb1",
    "libxkbcommon-x11.so.0": "libxkbcommon-x11-0",
}
_WAYLAND = {
    "libwayland-client.so.0": "libwayland-client0",
    "libwayland-cursor.so.0": "libwayland-cursor0",
}
_CONNECT_WAIT_S = 2.0


def usable_platform(env: Mapping[str, str] | None = None) -> tuple[str, str]:
    """Return (a Qt platform that works, "") or ("", why none does and the remedy).

    The platform is a value for QT_QPA_PLATFORM. Where `env` sets that variable, its platform is
    only checked for missing libraries, not for a screen.
    """
    env = os.environ if env is None else env
    # "wayland;xcb" means the first that works.
    asked = [part for part in env.get("QT_QPA_PLATFORM", "").split(";") if part]
    if sys.platform in ("darwin", "win32"):
        return asked[0] if asked else {"darwin": "cocoa"}.get(sys.platform, "windows"), ""
    candidates = asked or _candidates(env)
    if not candidates:
        return "", "There is no screen here: neither DISPLAY nor WAYLAND_DISPLAY is set."
    reasons = []
    for name in candidates:
        reason = _why_not(name, env, check_screen=not asked)
        if not reason:
            return name, ""
        reasons.append(reason)
    return "", reasons[0]


def missing_libraries(platform: str) -> dict[str, str]:
    """Return the missing libraries that a Qt platform needs: library → Debian package."""
    platform = platform.split(":")[0]  # what follows are the plugin's options
    needed = dict(_EVERYWHERE)
    if platform == "xcb":
        needed.update(_XCB)
    elif platform.startswith("wayland"):
        needed.update(_WAYLAND)
    return {name: package for name, package in needed.items() if not _loads(name)}


def libraries_sentence(missing: Mapping[str, str]) -> str:
    """Return a sentence that names missing libraries and the command that installs them."""
    packages = " ".join(sorted(set(missing.values())))
    return (
        f"Qt cannot open a window without {', '.join(sorted(missing))}: install them, on Debian "
        f"and Ubuntu with `sudo apt install {packages}`."
    )


def _candidates(env: Mapping[str, str]) -> list[str]:
    names = []
    if env.get("WAYLAND_DISPLAY"):
        names.append("wayland")
    if env.get("DISPLAY"):
        names.append("xcb")
    return names


def _why_not(platform: str, env: Mapping[str, str], check_screen: bool) -> str:
    if check_screen and platform == "xcb" and not _x_server_answers(env["DISPLAY"]):
        return (
            f"No X server answers at DISPLAY={env['DISPLAY']}: start one, or set DISPLAY to the "
            "screen you sit at."
        )
    if check_screen and platform == "wayland" and not _wayland_answers(env):
        return (
            f"No Wayland compositor answers at WAYLAND_DISPLAY={env['WAYLAND_DISPLAY']}: unset "
            "it, or set it to the session you sit in."
        )
    missing = missing_libraries(platform)
    return libraries_sentence(missing) if missing else ""


def _loads(name: str) -> bool:
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True


def _x_server_answers(display: str) -> bool:
    """Return whether an X server listens at this DISPLAY (host:number.screen)."""
    match = re.fullmatch(r"(?P<host>.*):(?P<number>\d+)(?:\.\d+)?", display)
    if match is None:
        # The path of a launchd socket, or an unknown form: let Qt try.
        return True
    host, number = match["host"], int(match["number"])
    if host in ("", "unix"):
        path = f"/tmp/.X11-unix/X{number}"  # noqa: S108  # X's own well-known place
        return _unix_answers(path) or _unix_answers("\0" + path)
    return _tcp_answers(host.removeprefix("tcp/"), 6000 + number)


def _wayland_answers(env: Mapping[str, str]) -> bool:
    path = Path(env.get("XDG_RUNTIME_DIR", "/nonexistent")) / env["WAYLAND_DISPLAY"]
    return _unix_answers(str(path))


def _unix_answers(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(_CONNECT_WAIT_S)
        try:
            probe.connect(path)
        except OSError:
            return False
    return True


def _tcp_answers(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), _CONNECT_WAIT_S).close()
    except OSError:
        return False
    return True
