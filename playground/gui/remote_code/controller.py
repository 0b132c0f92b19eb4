"""Asks the user before a model's own code runs, and stores the consent."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import QObject, Slot
from PySide6.QtWidgets import QWidget

from playground.core.errors import ModelError
from playground.core.facts import CodeConsent
from playground.core.lane import LaneConfig
from playground.core.model.remote_code import check_reviewable, read_code, with_consent
from playground.core.settings import SettingsStore
from playground.gui.context import AppContext
from playground.gui.lanes.lanes import LanesController
from playground.gui.lanes.presenter import LanePresenter
from playground.gui.remote_code.dialog import CodeReview, RemoteCodeDialog


class RemoteCodeController(QObject):
    """Opens the review that a lane's failure offers; a consent loads the lane again."""

    def __init__(self, context: AppContext, lanes: LanesController, window: QWidget) -> None:
        super().__init__(window)
        self._lanes = lanes
        self._context = context
        self._window = window
        self._presenter: LanePresenter | None = None
        self._config: LaneConfig | None = None
        self._review: CodeReview | None = None

    def review(self, presenter: LanePresenter) -> None:
        """Read the code that a lane's model brings along, and open the dialog."""
        self._presenter, self._config = presenter, presenter.lane.config
        self._context.background.start(
            partial(_read, presenter.lane.config, self._context.settings),
            self._show,
            self._context.notify.error,
        )

    @Slot(object)
    def _show(self, review: CodeReview) -> None:
        self._review = review
        dialog = RemoteCodeDialog(review, self._window)
        dialog.allowed.connect(self._allowed)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    @Slot()
    def _allowed(self) -> None:
        review, presenter = self._review, self._presenter
        if review is None:
            return
        consents = with_consent(self._context.settings.stored("code_consents"), review.consent)
        self._context.change_settings(code_consents=consents)
        # The lane may have been removed or changed while its code was being read.
        if presenter is None or presenter not in self._lanes.presenters:
            return
        if presenter.lane.config == self._config:
            presenter.lane.load()


def _read(config: LaneConfig, settings: SettingsStore) -> CodeReview:
    from playground.hub.local.consent import consent_to, earlier
    from playground.hub.local.resolve import resolve

    resolved = resolve(config.model, config.precision)
    code = read_code(resolved.folder)
    refusal = ""
    try:
        check_reviewable(code)
    except ModelError as error:
        refusal = str(error)
    consent = consent_to(resolved, code)
    consents: tuple[CodeConsent, ...] = settings.stored("code_consents")
    before = "" if consent in consents else earlier(resolved, consents)
    return CodeReview(consent, code, before, refusal)
