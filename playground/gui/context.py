"""The services that most controllers need, as one value."""

from __future__ import annotations

from dataclasses import dataclass

from playground.core.errors import PlaygroundError
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

    def change_settings(self, **changes: object) -> None:
        """Store settings; where the file cannot be written, they hold until the window closes."""
        try:
            self.settings.change(**changes)
        except PlaygroundError as error:
            self.notify.warning(error)
