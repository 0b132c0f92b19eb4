"""The user's settings: declared once, stored as TOML; a bad file never stops the program."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import msgspec
import tomli_w
from msgspec import Meta

from playground.core.environments import MAX_ENVIRONMENTS, EngineEnvironment
from playground.core.errors import PlaygroundError
from playground.core.facts import MAX_CONSENTS, CodeConsent, ModelSpec
from playground.core.generation import GenerationOptions, Timing
from playground.core.lane import LaneConfig
from playground.core.precision import Precision
from playground.core.servers import MAX_SERVERS, KnownServer
from playground.core.system import own_files, paths
from playground.core.system.files import write_atomically

MAX_RECENTS = 12
MAX_FAVOURITES = 200
MAX_FOLDERS = 20
MAX_LANES = 4
DEFAULT_LANES = (
    LaneConfig(precision=Precision.BF16),
    LaneConfig(precision=Precision.INT8),
    LaneConfig(precision=Precision.GPTQ),
)


#: The settings that the settings dialog shows as choices and switches.
IN_DIALOG = (
    "theme",
    "timing",
    "plot_view",
    "plot_floor",
    "mark_differences",
    "token_details",
    "keep_standby",
)
#: Those on its page of the history.
OF_HISTORY = ("keep_history", "history_limit_mb")


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Every setting with its type, default and description."""

    theme: Annotated[
        Literal["system", "light", "dark"], Meta(description="Colours of the window.")
    ] = "system"
    window_geometry: Annotated[
        str, Meta(pattern="^[A-Za-z0-9+/=]*$", description="Qt's saved geometry, base64.")
    ] = ""
    window_state: Annotated[
        str, Meta(pattern="^[A-Za-z0-9+/=]*$", description="Qt's saved splitters, base64.")
    ] = ""
    recents: Annotated[
        tuple[ModelSpec, ...],
        Meta(max_length=MAX_RECENTS, description="Recently used models, the latest first."),
    ] = ()
    favourites: Annotated[
        tuple[ModelSpec, ...],
        Meta(max_length=MAX_FAVOURITES, description="Favourite models, the latest first."),
    ] = ()
    model_folders: Annotated[
        tuple[str, ...],
        Meta(max_length=MAX_FOLDERS, description="Folders with your own models."),
    ] = ()
    lanes: Annotated[
        tuple[LaneConfig, ...],
        Meta(min_length=1, max_length=MAX_LANES, description="Lanes that the window opens with."),
    ] = DEFAULT_LANES
    options: Annotated[GenerationOptions, Meta(description="How tokens are sampled.")] = (
        GenerationOptions()
    )
    timing: Annotated[
        Timing, Meta(description="Whether lanes run in turn (fair timing) or together.")
    ] = "in turn"
    prompt: Annotated[str, Meta(max_length=100_000, description="The prompt, as last typed.")] = ""
    prompt_mode: Annotated[
        Literal["raw", "chat"], Meta(description="Continue the text, or hold a conversation.")
    ] = "raw"
    system_prompt: Annotated[
        str, Meta(max_length=100_000, description="The system prompt of a conversation.")
    ] = ""
    plot_view: Annotated[
        Literal["over tokens", "distribution"], Meta(description="What the latency plot shows.")
    ] = "over tokens"
    keep_standby: Annotated[
        bool,
        Meta(description="Whether a standby engine is kept ready for the next model or lane."),
    ] = True
    plot_floor: Annotated[
        bool, Meta(description="Whether the plot shows the least time that each token can take.")
    ] = True
    mark_differences: Annotated[
        bool, Meta(description="Whether answers are compared with the reference lane's (★).")
    ] = True
    token_details: Annotated[
        bool,
        Meta(description="Whether each token comes with its probability and its alternatives."),
    ] = True
    colour_probability: Annotated[
        bool, Meta(description="Whether the texts are shaded where the model was unsure.")
    ] = False
    environments: Annotated[
        tuple[EngineEnvironment, ...],
        Meta(max_length=MAX_ENVIRONMENTS, description="Other Pythons that lanes can run in."),
    ] = ()
    servers: Annotated[
        tuple[KnownServer, ...],
        Meta(max_length=MAX_SERVERS, description="Servers that lanes can run on."),
    ] = ()
    code_consents: Annotated[
        tuple[CodeConsent, ...],
        Meta(max_length=MAX_CONSENTS, description="Models whose own Python code may run."),
    ] = ()
    keep_history: Annotated[
        bool, Meta(description="Whether runs are kept in the history, on this machine only.")
    ] = True
    history_limit_mb: Annotated[
        int,
        Meta(ge=10, le=100_000, description="Size of the history; its oldest runs go first."),
    ] = 500
    last_folder: Annotated[str, Meta(description="Folder of the last file dialog.")] = ""


def _keep_standby(stored: dict[str, Any]) -> dict[str, Any]:
    """Version 2 renames `keep_spare` to `keep_standby`."""
    renamed = dict(stored)
    if "keep_spare" in renamed:
        renamed["keep_standby"] = renamed.pop("keep_spare")
    return renamed


#: Each turns the stored values of one version into those of the next. Append only.
Migration = Callable[[dict[str, Any]], dict[str, Any]]
MIGRATIONS: tuple[Migration, ...] = (_keep_standby,)


def with_recent(recents: Sequence[ModelSpec], used: ModelSpec) -> tuple[ModelSpec, ...]:
    """Return the recents with `used` in front, once, and no more than MAX_RECENTS."""
    return (used, *(spec for spec in recents if spec != used))[:MAX_RECENTS]


def with_favourite(
    favourites: Sequence[ModelSpec], spec: ModelSpec, marked: bool
) -> tuple[ModelSpec, ...]:
    """Return the favourites with `spec` in front if `marked`, else without it."""
    others = tuple(known for known in favourites if known != spec)
    return ((spec, *others) if marked else others)[:MAX_FAVOURITES]


def descriptions() -> dict[str, str]:
    """Return every setting's description by its name."""
    schema = msgspec.json.schema(Settings)["$defs"]["Settings"]
    return {name: field["description"] for name, field in schema["properties"].items()}


def limits(name: str) -> tuple[int, int]:
    """Return the least and the greatest value of a setting that is a number."""
    field = msgspec.json.schema(Settings)["$defs"]["Settings"]["properties"][name]
    return field["minimum"], field["maximum"]


def choices(name: str) -> tuple[str, ...]:
    """Return the values of a setting that is a choice, in their order; () for the others."""
    declared = next(f.type for f in msgspec.structs.fields(Settings) if f.name == name)
    # It is Annotated[Literal[…], Meta(…)]; a schema would sort the values.
    return tuple(str(value) for value in get_args(get_args(declared)[0]))


class SettingsStore:
    """The settings in memory and their file. What cannot be read is reset, and its file kept."""

    def __init__(
        self, path: Path | None = None, migrations: Sequence[Migration] = MIGRATIONS
    ) -> None:
        self.path = path or paths.settings_file()
        self._migrations = tuple(migrations)
        self._unsaved: dict[str, Any] = {}
        self.values = self._load()

    @property
    def version(self) -> int:
        """The version that is written: one more than there are migrations."""
        return len(self._migrations) + 1

    def change(self, **changes: Any) -> None:
        """Replace values and save. Raises PlaygroundError where the file cannot be written.

        Only these values change: what another process wrote to the file meanwhile is kept.
        """
        self.values = msgspec.structs.replace(self.values, **changes)
        self._unsaved |= changes
        stored = self._stored()
        self._write(msgspec.structs.replace(stored, **self._unsaved) if stored else self.values)
        self._unsaved = {}

    def stored(self, name: str) -> Any:
        """Return a value as the file has it now, where another process may have changed it.

        A value that could not be saved holds in this process. May be called on any thread.
        """
        stored = None if name in self._unsaved else self._stored()
        return getattr(self.values if stored is None else stored, name)

    def take(self, name: str) -> None:
        """Reload one value from the file, where another process may have changed it."""
        self.values = msgspec.structs.replace(self.values, **{name: self.stored(name)})

    def save(self) -> None:
        """Write the file atomically. Raises PlaygroundError where it cannot be written."""
        self._write(self.values)

    def _stored(self) -> Settings | None:
        """Return the settings that the file holds now; None unless all of it is good."""
        problems: list[str] = []
        values = own_files.peek(self.path, partial(self._read, problems))
        return None if problems else values

    def _write(self, values: Settings) -> None:
        document = {"version": self.version, **msgspec.to_builtins(values)}
        try:
            write_atomically(self.path, tomli_w.dumps(document).encode("utf-8", "replace"))
        except OSError as error:
            raise PlaygroundError(
                f"The settings could not be saved to {self.path}: {error.strerror}.",
                f"Make the folder writable, or set {paths.HOME_VARIABLE} to another one.",
                str(error),
            ) from error

    def _load(self) -> Settings:
        problems: list[str] = []
        values = own_files.load(self.path, partial(self._read, problems), "the settings")
        if values is not None and problems:
            own_files.keep_copy(self.path, "the settings", " ".join(problems))
        return values or Settings()

    def _read(self, problems: list[str], data: bytes) -> Settings:
        """Return the settings in a file's contents. Raises ValueError where they are no TOML."""
        stored = tomllib.loads(data.decode("utf-8"))
        return self._convert(self._migrate(stored, problems), problems)

    def _migrate(self, stored: dict[str, Any], problems: list[str]) -> dict[str, Any]:
        version = stored.pop("version", None)
        if not isinstance(version, int) or version < 1:
            problems.append(f"Version {version!r} is not valid; the values are read as they are.")
            return stored
        if version > self.version:
            problems.append(f"Version {version} is newer than this program's {self.version}.")
        for migrate in self._migrations[version - 1 :]:
            stored = migrate(stored)
        return stored

    def _convert(self, stored: dict[str, Any], problems: list[str]) -> Settings:
        """Read each value by itself; a bad one keeps its default and adds a problem."""
        good: dict[str, Any] = {}
        for field in msgspec.structs.fields(Settings):
            if field.name not in stored:
                continue
            try:
                value = msgspec.convert(stored.pop(field.name), field.type)
                if isinstance(value, GenerationOptions):
                    value.check()
            except Exception as error:  # whatever a wrong value may raise
                problems.append(f"{field.name}: {error}")
                stored.pop(field.name, None)
            else:
                good[field.name] = value
        problems += [f"{name}: no such setting." for name in stored]
        return Settings(**good)
