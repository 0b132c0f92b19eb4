"""Settings survive anything that can happen to their file."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest
import tomli_w

from playground.core.environments import EngineEnvironment
from playground.core.errors import PlaygroundError
from playground.core.facts import CodeConsent, ModelSpec
from playground.core.generation import GenerationOptions
from playground.core.lane import LaneConfig
from playground.core.precision import Precision
from playground.core.settings import (
    IN_DIALOG,
    MAX_FAVOURITES,
    MAX_RECENTS,
    Settings,
    SettingsStore,
    choices,
    descriptions,
    with_favourite,
    with_recent,
)
from playground.core.system.files import write_atomically
from playground.core.system.own_files import take_notices


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "config" / "settings.toml"


def put(path: Path, values: dict[str, Any] | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(values if isinstance(values, bytes) else tomli_w.dumps(values).encode())


def test_a_first_start_has_three_lanes_and_writes_nothing(path: Path) -> None:
    store = SettingsStore(path)
    assert [lane.precision for lane in store.values.lanes] == ["bf16", "int8", "gptq"]
    assert not take_notices()
    assert not path.parent.exists()


def test_changed_values_are_read_again(path: Path) -> None:
    lanes = (LaneConfig(ModelSpec("owner/name", "v1"), Precision.NF4, "cuda:0"),)
    SettingsStore(path).change(
        theme="dark",
        lanes=lanes,
        recents=(ModelSpec("/a folder/with ünïcode"),),
        options=GenerationOptions(stop=("\n\n", '"""'), temperature=0.1),
        prompt='two\nlines \\ and "quotes" 👩‍👩‍👧 \x00',
        window_geometry="AdnQywADAAA=",
    )
    store = SettingsStore(path)
    assert not take_notices()
    assert store.values.lanes == lanes
    assert store.values.options.stop == ("\n\n", '"""')
    assert store.values.prompt.endswith("👩‍👩‍👧 \x00")
    assert store.values.theme == "dark"


@pytest.mark.parametrize(
    "text",
    [
        b"theme = ",
        b"\xff\xfe\x00",
        b"= = =",
        b"\x00" * 100,
        b"a = " + b"[" * 5000,
        b"version = " + b"9" * 5000,
        b"version = 0x" + b"f" * 5000,
    ],
)
def test_an_unreadable_file_is_kept_and_replaced(path: Path, text: bytes) -> None:
    put(path, text)
    store = SettingsStore(path)
    assert store.values == Settings()
    assert len(take_notices()) == 1
    store.change(theme="light")
    assert path.with_name("settings.toml.bad").read_bytes() == text
    assert SettingsStore(path).values.theme == "light"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("theme", "purple"),
        ("theme", 3),
        ("window_state", "<not base64>"),
        ("lanes", []),
        ("lanes", [{"precision": "int3"}]),
        ("lanes", [{}] * 5),
        ("recents", [{"source": f"a/{n}"} for n in range(MAX_RECENTS + 1)]),
        ("options", {"max_new_tokens": 0}),
        ("options", {"temperature": float("nan")}),
        ("options", "greedy"),
        ("options", {"seed": 10**400}),
        ("timing", "at once"),
        ("no_such_setting", 1),
    ],
)
def test_one_bad_value_falls_back_to_its_default(
    path: Path, name: str, value: object, caplog: pytest.LogCaptureFixture
) -> None:
    put(path, {"version": 1, "prompt": "kept", name: value})
    store = SettingsStore(path)
    assert store.values == msgspec.structs.replace(Settings(), prompt="kept")
    assert name in take_notices()[0].detail
    assert name in caplog.text
    assert path.with_name("settings.toml.bad").is_file()


def test_migrations_run_from_the_stored_version_on(path: Path) -> None:
    def rename(stored: dict[str, Any]) -> dict[str, Any]:
        return {("theme" if name == "colours" else name): v for name, v in stored.items()}

    def invert(stored: dict[str, Any]) -> dict[str, Any]:
        return stored | {"theme": "light" if stored["theme"] == "dark" else "dark"}

    put(path, {"version": 1, "colours": "dark"})
    store = SettingsStore(path, [rename, invert])
    assert store.values.theme == "light"
    store.save()
    assert tomllib.loads(path.read_text("utf-8"))["version"] == 3
    put(path, {"version": 2, "theme": "dark"})
    assert SettingsStore(path, [rename, invert]).values.theme == "light"
    assert not take_notices()


@pytest.mark.parametrize("kept", [True, False])
def test_version_1_called_the_standby_engine_a_spare(path: Path, kept: bool) -> None:
    put(path, {"version": 1, "theme": "dark", "keep_spare": kept})
    store = SettingsStore(path)
    assert not take_notices()
    assert (store.values.keep_standby, store.values.theme) == (kept, "dark")
    store.save()
    stored = tomllib.loads(path.read_text("utf-8"))
    assert (stored["version"], stored["keep_standby"]) == (2, kept)
    assert "keep_spare" not in stored
    assert SettingsStore(path).values == store.values


def test_version_1_without_the_spare_has_the_default(path: Path) -> None:
    put(path, {"version": 1, "theme": "dark"})
    store = SettingsStore(path)
    assert not take_notices()
    assert store.values == msgspec.structs.replace(Settings(), theme="dark")


@pytest.mark.parametrize("version", [99, "one", 0])
def test_other_versions_are_read_as_far_as_possible_and_kept(path: Path, version: object) -> None:
    put(path, {"version": version, "theme": "dark"})
    store = SettingsStore(path)
    assert store.values.theme == "dark"
    assert take_notices()
    assert path.with_name("settings.toml.bad").is_file()


def test_values_that_another_process_wrote_are_kept(path: Path) -> None:
    window = SettingsStore(path)
    window.change(theme="dark", prompt="mine")
    window.values = msgspec.structs.replace(window.values, system_prompt="not to be kept")
    other = SettingsStore(path)
    made = EngineEnvironment("made", "/there/bin/python")
    other.change(environments=(made,), prompt="theirs")
    window.change(plot_floor=False)
    stored = SettingsStore(path).values
    assert (stored.environments, stored.prompt, stored.plot_floor) == ((made,), "theirs", False)
    assert stored.system_prompt == ""
    assert (window.values.environments, window.values.prompt) == ((), "mine")
    window.take("environments")
    assert window.values.environments == (made,)


def test_what_one_window_revokes_holds_in_no_other(path: Path) -> None:
    window = SettingsStore(path)
    consent = CodeConsent("owner/model", "1", "sha256:0")
    window.change(code_consents=(consent,))
    SettingsStore(path).change(code_consents=())
    assert window.stored("code_consents") == ()
    window.change(prompt="other")  # which writes no old consent
    assert SettingsStore(path).values.code_consents == ()


def test_what_cannot_be_saved_holds_until_the_end(path: Path) -> None:
    store = SettingsStore(path)
    path.mkdir(parents=True)
    consent = CodeConsent("owner/model", "1", "sha256:0")
    with pytest.raises(PlaygroundError, match="could not be saved"):
        store.change(code_consents=(consent,))
    assert store.stored("code_consents") == (consent,)
    path.rmdir()
    store.change(theme="dark")
    assert SettingsStore(path).values.code_consents == (consent,)


def test_a_file_damaged_meanwhile_is_written_anew(path: Path) -> None:
    store = SettingsStore(path)
    store.change(prompt="mine")
    path.write_text("theme = ")
    store.take("theme")
    store.change(theme="dark")
    assert SettingsStore(path).values == store.values


def test_the_dialog_offers_what_is_declared() -> None:
    assert choices("theme") == ("system", "light", "dark")
    for name in IN_DIALOG:
        assert choices(name) or isinstance(getattr(Settings(), name), bool)


def test_a_failed_write_leaves_the_old_file_and_says_so(path: Path) -> None:
    SettingsStore(path).change(theme="dark")
    before = path.read_bytes()
    store = SettingsStore(path)
    path.unlink()
    path.mkdir()  # nothing can be put in place of a folder, for root neither
    with pytest.raises(PlaygroundError, match="could not be saved"):
        store.change(theme="light")
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    path.rmdir()
    path.write_bytes(before)
    assert SettingsStore(path).values.theme == "dark"


def test_writing_through_a_link_keeps_the_link(tmp_path: Path) -> None:
    real, link = tmp_path / "real.toml", tmp_path / "link.toml"
    real.write_text("")
    link.symlink_to(real)
    write_atomically(link, b"new")
    assert link.is_symlink()
    assert real.read_bytes() == b"new"


def test_recents_have_no_duplicates_and_a_limit() -> None:
    recents: tuple[ModelSpec, ...] = ()
    for number in [*range(20), 3]:
        recents = with_recent(recents, ModelSpec(f"owner/{number}"))
    assert len(recents) == MAX_RECENTS
    assert [spec.source for spec in recents[:2]] == ["owner/3", "owner/19"]


def test_every_setting_has_a_description() -> None:
    assert set(descriptions()) == {field.name for field in msgspec.structs.fields(Settings)}
    assert all(text.endswith(".") for text in descriptions().values())


def test_favourites_are_marked_once_and_unmarked(path: Path) -> None:
    first, second = ModelSpec("owner/one"), ModelSpec("owner/two", "v1")
    marked = with_favourite(with_favourite((), first, True), second, True)
    assert with_favourite(marked, first, True) == (first, second)
    assert with_favourite(marked, second, False) == (first,)
    many = tuple(ModelSpec(f"o/m{n}") for n in range(MAX_FAVOURITES))
    assert with_favourite(many, first, True)[:2] == (first, many[0])
    assert len(with_favourite(many, first, True)) == MAX_FAVOURITES
    SettingsStore(path).change(favourites=marked, model_folders=("/a b", "/ü"))
    values = SettingsStore(path).values
    assert (values.favourites, values.model_folders) == (marked, ("/a b", "/ü"))
