"""Which model each lane runs: chosen, dropped or recent; what it and this machine can do."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from PySide6.QtCore import QObject, Signal, Slot
from PySide6.QtWidgets import QFileDialog, QWidget

from playground.client.environments import shown_versions
from playground.client.process_memory import resident_bytes
from playground.core.errors import PlaygroundError
from playground.core.facts import DeviceFacts, EngineFacts, ModelSpec
from playground.core.lane import LaneChoice, LaneConfig
from playground.core.memory.headroom import free_bytes
from playground.core.precision import Precision
from playground.core.settings import SettingsStore, with_recent
from playground.gui.browser.model_list import FreeMemory
from playground.gui.downloads.controller import DownloadsController
from playground.gui.lanes.lanes import LanesController
from playground.gui.lanes.memory import gives_back
from playground.gui.lanes.presenter import LanePresenter
from playground.gui.memory.dialog import FitDialog
from playground.gui.models.pending_lanes import PendingLanes
from playground.gui.toolkit.background import Background
from playground.hub.local.prepare import ModelFacts, look_at
from playground.hub.place import HubPlace

_CPU = DeviceFacts("cpu", "CPU", 0, 0)
#: Model, device and engine environment.
_Key = tuple[ModelSpec, str, str]
#: The key, the engine's facts it was judged with, and the finding.
_Look = tuple[_Key, EngineFacts | None, ModelFacts | PlaygroundError]


class ModelsController(QObject):
    """Keeps every lane's head up to date, and opens the dialogs that change it."""

    labels_changed = Signal()
    facts_changed = Signal()
    quantize_wanted = Signal(object, str)  # ModelSpec to make a quantized copy of, device
    environments_requested = Signal()
    message = Signal(str, str, str)  # text, level, remedy

    def __init__(
        self,
        lanes: LanesController,
        settings: SettingsStore,
        background: Background,
        downloads: DownloadsController,
        window: QWidget,
        *,
        prefer_gpu: bool,
        place: HubPlace | None = None,
    ) -> None:
        super().__init__(window)
        self._lanes = lanes
        self._settings = settings
        self._background = background
        self._downloads = downloads
        self._window = window
        self._prefer_gpu = prefer_gpu
        self._place = place or HubPlace()
        self._engines: dict[str, EngineFacts] = {}  # by environment
        self._facts: dict[_Key, ModelFacts | PlaygroundError] = {}
        self._asked: set[_Key] = set()
        self._choosing: LanePresenter | None = None
        self.wanted = PendingLanes(lanes, downloads, background, self, place=self._place)
        self.wanted.model_chosen.connect(self.use)
        self.wanted.message.connect(self.message)
        lanes.added.connect(self._watch)

    def facts(self, config: LaneConfig) -> ModelFacts | None:
        """What is known of a model; None while it is being looked at, or if it is no model."""
        found = self._facts.get(_key(config))
        return found if isinstance(found, ModelFacts) else None

    @Slot(str, object)
    def environment_known(self, environment: str, engine: EngineFacts) -> None:
        """Take up what an engine found in an environment."""
        known = self._engines.get(environment)
        if known is not None and _same_machine(engine, known):
            return
        first = not self._engines
        self._engines[environment] = engine
        # To be found out again; until then the old findings stand.
        self._asked = {key for key in self._asked if key[2] != environment}
        gpus = [device.id for device in engine.devices if device.id != "cpu"]
        if first and self._prefer_gpu and gpus:
            for lane in self._lanes.lanes:
                lane.set_config(replace(lane.config, device=gpus[0]))
        self.show_all()
        self.facts_changed.emit()

    @Slot()
    def show_all(self) -> None:
        """Bring every lane's head up to date."""
        for presenter in self._lanes.presenters:
            self._show(presenter)

    @Slot(object, object)
    def use(self, presenter: LanePresenter, spec: ModelSpec) -> None:
        """Give a lane another model and remember it."""
        lane = presenter.lane
        # The model may have been changed or downloaded since it was looked at.
        self._forget(spec)
        self._remember(spec)
        lane.set_config(replace(lane.config, model=spec))
        self._show(presenter)

    @Slot()
    def choose(self) -> None:
        """Open the dialog for the current lane's model."""
        if self._lanes.current is not None:
            self._choose_for(self._lanes.current)

    @Slot()
    def open_folder(self) -> None:
        """Ask for a folder to use as the current lane's model."""
        presenter = self._lanes.current
        if presenter is None:
            return
        self._choosing = presenter
        dialog = QFileDialog(self._window, "Choose a model's folder")
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.setOption(QFileDialog.Option.ShowDirsOnly)
        if Path(self._settings.values.last_folder).is_dir():
            dialog.setDirectory(self._settings.values.last_folder)
        dialog.fileSelected.connect(self._folder_chosen)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    # The lanes' wishes

    @Slot(object)
    def _watch(self, presenter: LanePresenter) -> None:
        lane, view = presenter.lane, presenter.view
        view.modelRequested.connect(self._model_requested)
        view.memoryRequested.connect(self._memory_requested)
        view.precisionChosen.connect(self._precision_chosen)
        view.deviceChosen.connect(self._device_chosen)
        view.environmentChosen.connect(self._environment_chosen)
        view.environmentsRequested.connect(self.environments_requested)
        view.filesDropped.connect(self._dropped)
        lane.config_changed.connect(self._config_changed)
        lane.facts_arrived.connect(self._engine_known)
        self._show(presenter)

    def _sender(self) -> LanePresenter | None:
        source = self.sender()
        found = (p for p in self._lanes.presenters if source in (p.view, p.lane))
        return next(found, None)

    @Slot()
    def _model_requested(self) -> None:
        if presenter := self._sender():
            self._choose_for(presenter)

    @Slot()
    def _memory_requested(self) -> None:
        presenter = self._sender()
        if presenter is None:
            return
        lane = presenter.lane
        known = self._engines.get(lane.config.environment) or lane.facts
        dialog = FitDialog(
            lane.config,
            presenter.model_label,
            self._background,
            lambda: known,
            partial(gives_back, lane),
            self._place,
            self._window,
        )
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    @Slot(object)
    def _precision_chosen(self, precision: Precision) -> None:
        if presenter := self._sender():
            lane = presenter.lane
            lane.set_config(replace(lane.config, precision=precision))

    @Slot(str)
    def _device_chosen(self, device: str) -> None:
        if presenter := self._sender():
            presenter.lane.set_config(replace(presenter.lane.config, device=device))

    @Slot(str)
    def _environment_chosen(self, name: str) -> None:
        if presenter := self._sender():
            lane = presenter.lane
            lane.set_config(replace(lane.config, environment=name))
            lane.start_ahead()  # what it finds tells which precisions can be had there

    @Slot(str)
    def _dropped(self, path: str) -> None:
        if presenter := self._sender():
            self.use(presenter, ModelSpec(path))

    @Slot()
    def _config_changed(self) -> None:
        if presenter := self._sender():
            self._show(presenter)

    # Dialogs

    def _choose_for(self, presenter: LanePresenter) -> None:
        # Imported when it is needed: it brings the Hub's library.
        from playground.gui.models.picker import ModelPicker, PickerShelf

        self._choosing = presenter
        values = self._settings.values
        shelf = PickerShelf(
            recents=values.recents,
            favourites=values.favourites,
            folders=values.model_folders,
            last_folder=values.last_folder,
            current=presenter.lane.config.model,
            in_use=[lane.config.model for lane in self._lanes.lanes],
            free_memory=partial(self._free_memory_for, presenter),
            engine=partial(self._engine_of, presenter),
            reclaimable=partial(gives_back, presenter.lane),
        )
        picker = ModelPicker(
            self._background, self._downloads, shelf, self._window, place=self._place
        )
        picker.chosen.connect(self._chosen)
        picker.lanes_chosen.connect(self._lanes_chosen)
        picker.quantize_chosen.connect(self._quantize_chosen)
        picker.folder_used.connect(self._folder_used)
        picker.favourites_changed.connect(self._favourites_changed)
        picker.folders_changed.connect(self._folders_changed)
        picker.finished.connect(picker.deleteLater)
        picker.open()

    def _free_memory_for(self, presenter: LanePresenter) -> FreeMemory:
        """The memory for another model in this lane, with what its own gives back."""
        lane = presenter.lane
        device = lane.config.device
        # A GPU was looked at when the lane's engine began: before it held anything.
        free = free_bytes(device, self._engine_of(presenter))
        if free is not None and device == "cpu":
            free += resident_bytes(lane.pid)
        return FreeMemory(device, free)

    def _engine_of(self, presenter: LanePresenter) -> EngineFacts | None:
        """What the lane's engine found here, or another of its environment."""
        lane = presenter.lane
        return lane.facts or self._engines.get(lane.config.environment)

    @Slot(object)
    def _chosen(self, spec: ModelSpec) -> None:
        if self._choosing in self._lanes.presenters and self._choosing is not None:
            self.use(self._choosing, spec)

    @Slot(object)
    def _lanes_chosen(self, choices: list[LaneChoice]) -> None:
        self.wanted.take(choices, self._choosing)

    @Slot(object)
    def _quantize_chosen(self, spec: ModelSpec) -> None:
        lane = self._choosing
        self.quantize_wanted.emit(spec, lane.lane.config.device if lane else "cpu")

    @Slot(str)
    def _folder_chosen(self, path: str) -> None:
        self._folder_used(str(Path(path).parent))
        self._chosen(ModelSpec(path))

    @Slot(str)
    def _folder_used(self, path: str) -> None:
        self._keep(last_folder=path)

    @Slot(object)
    def _favourites_changed(self, favourites: tuple[ModelSpec, ...]) -> None:
        self._keep(favourites=favourites)

    @Slot(object)
    def _folders_changed(self, folders: tuple[str, ...]) -> None:
        self._keep(model_folders=folders)

    def _remember(self, spec: ModelSpec) -> None:
        if spec != ModelSpec():
            self._keep(recents=with_recent(self._settings.values.recents, spec))

    def _keep(self, **changes: object) -> None:
        """Store settings; where that fails, what was chosen holds for this session."""
        try:
            self._settings.change(**changes)
        except PlaygroundError as error:
            self.message.emit(error.message, "warning", error.remedy)

    # Facts

    @Slot(object)
    def _engine_known(self, engine: EngineFacts) -> None:
        presenter = self._sender()
        # The lane may have been given another environment since.
        if presenter is not None and presenter.lane.facts is engine:
            self.environment_known(presenter.lane.config.environment, engine)

    def _show(self, presenter: LanePresenter) -> None:
        """Bring a lane's head up to date; what is not known yet is found out."""
        config = presenter.lane.config
        key = _key(config)
        found = self._facts.get(key)
        engine = self._engines.get(config.environment)
        if key not in self._asked:
            self._asked.add(key)
            self._background.start(partial(_look, key, engine), self._looked)
        if isinstance(found, ModelFacts):
            presenter.model_label, presenter.reasons = found.name, found.reasons
        else:
            presenter.model_label = _short_name(config.model)
            reason = found.message if found is not None else ""
            presenter.reasons = dict.fromkeys(Precision, reason)
        devices = engine.devices if engine is not None else (_CPU,)
        choices = [(device.id, device.name or device.id) for device in devices]
        if all(id_ != config.device for id_, _ in choices):
            choices.append((config.device, f"{config.device} (not there)"))
        capability = next((d.capability for d in devices if d.id == config.device), "")
        presenter.view.show_config(
            config, presenter.model_label, presenter.reasons, choices, capability
        )
        presenter.view.show_environments(config.environment, self._environment_choices())
        self.labels_changed.emit()

    @Slot(object)
    def _looked(self, result: _Look) -> None:
        key, engine, found = result
        if engine is not self._engines.get(key[2]):
            return  # it has been asked anew since, with what the engine found
        self._facts[key] = found
        for presenter in self._lanes.presenters:
            if _key(presenter.lane.config) == key:
                self._show(presenter)
        self.facts_changed.emit()

    def _environment_choices(self) -> list[tuple[str, str]]:
        """Name and description of every environment that a lane can be given."""
        choices = []
        for environment in self._settings.values.environments:
            engine = self._engines.get(environment.name)
            libraries = shown_versions(engine) if engine is not None else {}
            told = ", ".join(f"{name} {version}" for name, version in libraries.items())
            choices.append((environment.name, told or environment.python))
        return choices

    def _forget(self, spec: ModelSpec) -> None:
        for key in [key for key in self._asked if key[0] == spec]:
            self._asked.discard(key)
            self._facts.pop(key, None)


def _key(config: LaneConfig) -> _Key:
    return config.model, config.device, config.environment


def _look(key: _Key, engine: EngineFacts | None) -> _Look:
    try:
        return key, engine, look_at(key[0], key[1], engine)
    except PlaygroundError as error:
        return key, engine, error


def _same_machine(one: EngineFacts, other: EngineFacts) -> bool:
    """Whether nothing differs but the memory that is free."""
    devices = [[(d.id, d.name) for d in facts.devices] for facts in (one, other)]
    return devices[0] == devices[1] and one.probes == other.probes


def _short_name(spec: ModelSpec) -> str:
    """A name to show before the model has been looked at."""
    if spec == ModelSpec():
        return "bundled model"
    return spec.source.rstrip("/").rsplit("/", 1)[-1] or spec.source
