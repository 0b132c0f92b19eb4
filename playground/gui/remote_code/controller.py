"""Asks before a model's own code runs, and remembers what was agreed to."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from PySide6.QtCore import QObject, Signal, Slot
from PySide6.QtWidgets import QWidget

from playground.core.errors import ModelError, PlaygroundError
from playground.core.facts import CodeConsent
from playground.core.lane import LaneConfig
from playground.core.model.remote_code import RemoteCode, check_reviewable, read_code, with_consent
from playground.core.settings import SettingsStore
from playground.gui.lanes.lanes import LanesController
from playground.gui.lanes.presenter import LanePresenter
from playground.gui.remote_code.dialog import RemoteCodeDialog
from playground.gui.toolkit.background import Background


@dataclass(frozen=True)
class _Review:
    """What is shown of a lane's model; `earlier` is another commit that was agreed to."""

    model: str
    consent: CodeConsent
    code: RemoteCode
    earlier: str
    refusal: str


class RemoteCodeController(QObject):
    """Opens the review that a lane's failure offers; a yes loads the lane."""

    message = Signal(str, str, str)  # text, level, remedy

    def __init__(
        self,
        lanes: LanesController,
        store: SettingsStore,
        background: Background,
        window: QWidget,
    ) -> None:
        super().__init__(window)
        self._lanes = lanes
        self._store = store
        self._background = background
        self._window = window
        self._presenter: LanePresenter | None = None
        self._config: LaneConfig | None = None
        self._review: _Review | None = None
        lanes.added.connect(self._watch)

    @Slot(object)
    def _watch(self, presenter: LanePresenter) -> None:
        presenter.view.reviewRequested.connect(self._review_sender)

    @Slot()
    def _review_sender(self) -> None:
        view = self.sender()
        presenter = next((p for p in self._lanes.presenters if p.view is view), None)
        if presenter is None:
            return
        self._presenter, self._config = presenter, presenter.lane.config
        self._background.start(
            partial(_read, presenter.lane.config, self._store.values.code_consents),
            self._show,
            self._failed,
        )

    @Slot(object)
    def _show(self, review: _Review) -> None:
        self._review = review
        dialog = RemoteCodeDialog(
            review.model,
            review.consent.commit,
            review.code,
            review.earlier,
            review.refusal,
            self._window,
        )
        dialog.allowed.connect(self._allowed)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    @Slot()
    def _allowed(self) -> None:
        review, presenter = self._review, self._presenter
        if review is None:
            return
        consents = with_consent(self._store.values.code_consents, review.consent)
        try:
            self._store.change(code_consents=consents)
        except PlaygroundError as error:  # it holds until the window is closed
            self._failed(error)
        # The lane may have been given another model while the code was read.
        shown = presenter is not None and presenter in self._lanes.presenters
        if presenter is not None and shown and presenter.lane.config == self._config:
            presenter.lane.load()

    @Slot(object)
    def _failed(self, error: PlaygroundError) -> None:
        self.message.emit(error.message, "error", error.remedy)


def _read(config: LaneConfig, consents: tuple[CodeConsent, ...]) -> _Review:
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
    before = earlier(resolved, consents)
    return _Review(consent.model, consent, code, before if consent not in consents else "", refusal)
