"""Which model each lane runs: chosen, dropped or recent, and what it can be set to here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from PySide6.QtCore import QObject, Signal, Slot
from PySide6.QtWidgets import QWidget

from playground.client.environments import shown_versions
from playground.client.process_memory import resident_bytes
from playground.core.errors import PlaygroundError
from playground.core.facts import DeviceFacts, EngineFacts, ModelSpec
from playground.core.lane import LaneConfig
from playground.core.memory.headroom import free_bytes
from playground.core.precision import Precision
from playground.core.settings import with_recent
from playground.gui.browser.model_list import FreeMemory
from playground.gui.context import AppContext
from playground.gui.lanes.availability import Availability
from playground.gui.lanes.lane import LaneController
from playground.gui.lanes.lanes import LanesController
from playground.gui.lanes.memory import reclaimable_bytes
from playground.gui.lanes.presenter import LanePresenter
from playground.gui.memory.dialog import MemoryDialog
from playground.gui.models.choice import ModelChoice
from playground.gui.models.pending_lanes import PendingLanes
from playground.gui.toolkit.file_dialog import folder_dialog
from playground.hub.local.prepare import ModelFacts, look_at

_CPU = DeviceFacts("cpu", "CPU", 0, 0)
#: Model, device and engine environment.
_Key = tuple[ModelSpec, str, str]
#: The key, the engine's facts that the model was checked against, and the finding.
_Look = tuple[_Key, EngineFacts | None, ModelFacts | PlaygroundError]


class ModelsController(QObject):
    """Finds out what each lane can be set to, and opens the dialogs that change its model."""

    facts_changed = Signal()
    quantize_requested = Signal(object, str)  # the ModelSpec to make a quantized copy of, device

    def __init__(
        self,
        context: AppContext,
        lanes: LanesController,
        window: QWidget,
        *,
        prefer_gpu: bool,
    ) -> None:
        """With `prefer_gpu` all lanes move to the first GPU once an engine has found one."""
        super().__init__(window)
        self._context = context
        self._lanes = lanes
        self._window = window
        self._prefer_gpu = prefer_gpu
        self._engines: dict[str, EngineFacts] = {}  # by environment
        self._facts: dict[_Key, ModelFacts | PlaygroundError] = {}
        self._asked: set[_Key] = set()
        self.pending = PendingLanes(context, lanes, self)
        self.pending.model_chosen.connect(self.use)
        lanes.added.connect(self._watch)

    def facts(self, config: LaneConfig) -> ModelFacts | None:
        """Return what is known of a model; None until it has been read, or if it is no model."""
        found = self._facts.get(_key(config))
        return found if isinstance(found, ModelFacts) else None

    @Slot(str, object)
    def environment_known(self, environment: str, engine: EngineFacts) -> None:
        """Take in what an engine found in an environment."""
        known = self._engines.get(environment)
        if known is not None and _same_machine(engine, known):
            return
        first = not self._engines
        self._engines[environment] = engine
        # The models are read again; until then the earlier findings hold.
        self._asked = {key for key in self._asked if key[2] != environment}
        gpus = [device.id for device in engine.devices if device.id != "cpu"]
        if first and self._prefer_gpu and gpus:
            for lane in self._lanes.lanes:
                lane.set_config(replace(lane.config, device=gpus[0]))
        self.show_all()
        self.facts_changed.emit()

    @Slot()
    def show_all(self) -> None:
        """Bring every lane's header up to date."""
        for lane in self._lanes.lanes:
            self._show(lane)

    @Slot(object, object)
    def use(self, presenter: LanePresenter, spec: ModelSpec) -> None:
        """Give a lane another model, and remember it as recent."""
        # The model may have been changed or downloaded since it was read.
        for key in [key for key in self._asked if key[0] == spec]:
            self._asked.discard(key)
            self._facts.pop(key, None)
        if spec != ModelSpec():
            recents = with_recent(self._context.settings.values.recents, spec)
            self._context.change_settings(recents=recents)
        lane = presenter.lane
        presenter.configure(replace(lane.config, model=spec))
        self._show(lane)

    def use_folders(self, presenter: LanePresenter, folders: Sequence[Path]) -> None:
        """Give a lane the first folder's model, and each further one to a new lane beside it.

        Folders that hold no model are reported, and change nothing.
        """
        config = presenter.lane.config
        keys = [_key(replace(config, model=ModelSpec(str(folder)))) for folder in folders]
        work = partial(_look_at_all, presenter, keys, self._engine_of(presenter.lane))
        self._context.background.start(work, self._folders_looked)

    @Slot(object)
    def _folders_looked(self, result: tuple[LanePresenter, Sequence[_Look]]) -> None:
        presenter, looks = result
        errors = [found for _, _, found in looks if isinstance(found, PlaygroundError)]
        if errors:
            message = " ".join(error.message for error in errors)
            self._context.notify.warning(PlaygroundError(message, errors[0].remedy))
        if presenter not in self._lanes.presenters:
            return
        models = [key[0] for key, _, found in looks if isinstance(found, ModelFacts)]
        for number, spec in enumerate(models):
            if number == 0:
                self.use(presenter, spec)
            else:
                index = self._lanes.presenters.index(presenter) + number
                self._lanes.add(replace(presenter.lane.config, model=spec), index)

    # Dialogs

    def choose(self, presenter: LanePresenter) -> None:
        """Open the dialog that chooses a lane's model."""
        if presenter.lane.config.server:
            self._choose_on_server(presenter)
            return
        # Imported on first use: it imports the Hub's library.
        from playground.gui.models.picker import ModelPicker, PickerTarget

        lane = presenter.lane
        target = PickerTarget(
            lane=presenter,
            current=lane.config.model,
            in_use=[other.config.model for other in self._lanes.lanes],
            free_memory=partial(self._free_memory, lane),
            engine=partial(self._engine_of, lane),
            reclaimable=partial(reclaimable_bytes, lane),
        )
        picker = ModelPicker(self._context, target, self._window)
        picker.chosen.connect(self._chosen)
        picker.finished.connect(picker.deleteLater)
        picker.open()

    def _choose_on_server(self, presenter: LanePresenter) -> None:
        """Ask for one of the models that the lane's server has."""
        from playground.gui.models.server_picker import ServerModelDialog

        config = presenter.lane.config
        servers = self._context.settings.values.servers
        server = next((one for one in servers if one.name == config.server), None)
        if server is None:
            self._context.notify.info(
                f"The server {config.server} is not in the list any more.",
                "Choose another one in the lane's menu, or add it again.",
            )
            return
        dialog = ServerModelDialog(
            server, config.model.source, self._context.background, self._window
        )
        dialog.chosen.connect(partial(self._server_model_chosen, presenter))
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def _server_model_chosen(self, presenter: LanePresenter, name: str) -> None:
        if presenter in self._lanes.presenters:
            presenter.configure(replace(presenter.lane.config, model=ModelSpec(name)))

    @Slot(object)
    def _chosen(self, choice: ModelChoice) -> None:
        shown = choice.lane is not None and choice.lane in self._lanes.presenters
        if choice.lanes:
            self.pending.request(choice.lanes, choice.lane)
        elif choice.quantize is not None:
            device = choice.lane.lane.config.device if choice.lane is not None else "cpu"
            self.quantize_requested.emit(choice.quantize, device)
        elif choice.model is not None and choice.lane is not None and shown:
            self.use(choice.lane, choice.model)

    def open_folder(self, presenter: LanePresenter) -> None:
        """Ask for a folder to use as a lane's model."""
        last = self._context.settings.values.last_folder
        chosen = partial(self._folder_chosen, presenter)
        dialog = folder_dialog(self._window, "Choose a model's folder", chosen)
        if Path(last).is_dir():
            dialog.setDirectory(last)
        dialog.open()

    def _folder_chosen(self, presenter: LanePresenter, path: str) -> None:
        self._context.change_settings(last_folder=str(Path(path).parent))
        self.use_folders(presenter, [Path(path)])

    def show_memory(self, presenter: LanePresenter) -> None:
        """Open the memory chart of a lane's model."""
        lane = presenter.lane
        dialog = MemoryDialog(
            lane.config,
            presenter.available.model,
            self._context,
            partial(self._engine_of, lane),
            partial(reclaimable_bytes, lane),
            self._window,
        )
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def _free_memory(self, lane: LaneController) -> FreeMemory:
        """Return the memory for another model in this lane, once its present one is unloaded."""
        device = lane.config.device
        # A GPU's memory was measured when the lane's engine started: it held nothing then.
        free = free_bytes(device, self._engine_of(lane))
        if free is not None and device == "cpu":
            free += resident_bytes(lane.pid)
        return FreeMemory(device, free)

    def _engine_of(self, lane: LaneController) -> EngineFacts | None:
        """Return what the lane's engine found here, or another of its environment."""
        return lane.facts or self._engines.get(lane.config.engine_environment)

    # Availability

    @Slot(object)
    def _watch(self, presenter: LanePresenter) -> None:
        presenter.view.foldersDropped.connect(partial(self.use_folders, presenter))
        presenter.lane.config_changed.connect(self._show)
        presenter.lane.facts_arrived.connect(self._engine_ready)
        self._show(presenter.lane)

    @Slot(object)
    def _engine_ready(self, lane: LaneController) -> None:
        if lane.facts is not None:  # None: it was given another environment meanwhile
            self.environment_known(lane.config.engine_environment, lane.facts)

    @Slot(object)
    def _show(self, lane: LaneController) -> None:
        """Bring a lane's header up to date; a model that is not known yet is read first."""
        presenter = self._lanes.presenter_of(lane)
        if presenter is None:
            return
        config = lane.config
        if config.server:
            presenter.show_available(self._on_server(config))
            return
        key = _key(config)
        engine = self._engines.get(config.environment)
        if key not in self._asked:
            self._asked.add(key)
            self._context.background.start(partial(_look, key, engine), self._looked)
        found = self._facts.get(key)
        if isinstance(found, ModelFacts):
            name, reasons = found.name, found.reasons
        else:
            name = _short_name(config.model)
            reasons = dict.fromkeys(Precision, found.message if found is not None else "")
        known = engine.devices if engine is not None else (_CPU,)
        devices = tuple((device.id, device.name or device.id) for device in known)
        if all(id_ != config.device for id_, _ in devices):
            devices += ((config.device, f"{config.device} (not found)"),)
        capability = next((d.capability for d in known if d.id == config.device), "")
        presenter.show_available(
            Availability(name, reasons, devices, capability, self._environments(), self._servers())
        )

    def _on_server(self, config: LaneConfig) -> Availability:
        """Return what a lane on a server can be set to."""
        return Availability(
            model=_short_name(config.model) if config.model.source else "the server's model",
            reasons={Precision.SERVER: ""},
            devices=((config.device, ""),),
            environments=self._environments(),
            servers=self._servers(),
        )

    def _servers(self) -> tuple[tuple[str, str], ...]:
        """Return name and address of every server."""
        return tuple((one.name, one.url) for one in self._context.settings.values.servers)

    @Slot(object)
    def _looked(self, result: _Look) -> None:
        key, engine, found = result
        if engine is not self._engines.get(key[2]):
            return  # it is being read again, with what the engine has found since
        self._facts[key] = found
        for lane in self._lanes.lanes:
            if _key(lane.config) == key:
                self._show(lane)
        self.facts_changed.emit()

    def _environments(self) -> tuple[tuple[str, str], ...]:
        """Return name and description of every environment that a lane can be given."""
        choices = []
        for environment in self._context.settings.values.environments:
            engine = self._engines.get(environment.name)
            libraries = shown_versions(engine) if engine is not None else {}
            versions = ", ".join(f"{name} {version}" for name, version in libraries.items())
            choices.append((environment.name, versions or environment.python))
        return tuple(choices)


def _key(config: LaneConfig) -> _Key:
    return config.model, config.device, config.environment


def _look(key: _Key, engine: EngineFacts | None) -> _Look:
    try:
        return key, engine, look_at(key[0], key[1], engine)
    except PlaygroundError as error:
        return key, engine, error


def _look_at_all(
    presenter: LanePresenter, keys: Sequence[_Key], engine: EngineFacts | None
) -> tuple[LanePresenter, Sequence[_Look]]:
    return presenter, [_look(key, engine) for key in keys]


def _same_machine(one: EngineFacts, other: EngineFacts) -> bool:
    """Return whether nothing differs but the free memory."""
    devices = [[(d.id, d.name) for d in facts.devices] for facts in (one, other)]
    return devices[0] == devices[1] and one.probes == other.probes


def _short_name(spec: ModelSpec) -> str:
    """Return the name to show before the model has been read."""
    if spec == ModelSpec():
        return "bundled model"
    return spec.source.rstrip("/").rsplit("/", 1)[-1] or spec.source
