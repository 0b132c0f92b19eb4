"""The services that most controllers need, as one value."""

from __future__ import annotations

from dataclasses import dataclass

from playground.core.settings import SettingsStore
from playground.gui.downloads.controller import DownloadsController
from playground.gui.toolkit.background import Background
from playground.gui.toolkit.notify import Notify
from playground.hub.place import HubPlace


@dataclass(frozen=True)
class AppContext:
    """The services of one window, built by the composition root and passed to constructors."""

    settings: SettingsStore
    background: Background
    hub: HubPlace
    downloads: DownloadsController
    notify: Notify
