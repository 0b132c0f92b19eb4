"""What the tests of a model's page share: rows, versions on the Hub, and waiting for a page."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QAbstractButton
from pytestqt.qtbot import QtBot

from playground.core.facts import ModelSpec
from playground.gui.model_page.controller import ModelPageController
from playground.gui.model_page.head import PageHead
from playground.gui.model_page.versions_view import VersionsView
from playground.gui.model_page.view import ModelPageView
from playground.hub.catalog import ModelRow, Where
from tests.gui.support import LONG
from tests.support.hub_server import HubServer, Repository
from tests.support.tiny_model import tiny_model_files

FILES = tiny_model_files()
CARD = b"""---
license: mit
base_model: base/model
model-index:
- name: owner/model
  results:
  - task: {type: text-generation, name: Text Generation}
    dataset: {name: GSM8K, type: gsm8k, args: {num_few_shot: 5}}
    metrics:
    - {type: acc, value: 63.3, name: accuracy bf16}
    source: {name: A leaderboard, url: 'https://example.com/board'}
---
# The model

Some *text* and a [paper](https://example.com/paper), [its docs](docs/x.md).
"""
OpenPage = Callable[..., ModelPageController]
pytestmark = pytest.mark.qt_log_ignore("This plugin does not support")


def hub_row(id_: str = "owner/model") -> ModelRow:
    return ModelRow(key=f"hub:{id_}", spec=ModelSpec(id_), where=Where.HUB, name=id_)


def quantized(hub: HubServer, id_: str, method: str, **settings: object) -> None:
    facts = {
        "config": {"quantization_config": {"quant_method": method, **settings}},
        "safetensors": {"parameters": {"I32": 1_000_000}},
    }
    hub.add(Repository(id_, FILES, tags=("base_model:quantized:owner/model",), facts=facts))


def shown(qtbot: QtBot, page: ModelPageController, row: ModelRow) -> None:
    """Show a row and wait for its page and its versions."""
    with qtbot.waitSignal(page.page_shown, timeout=LONG):
        page.show_row(row)
    qtbot.waitUntil(lambda: "Asking" not in page.view.versions.state.text(), timeout=LONG)


def click(qtbot: QtBot, button: QAbstractButton) -> None:
    assert button.isVisible()
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def cells(table: object) -> list[list[str]]:
    model = table.model()  # type: ignore[attr-defined]
    return [
        [model.index(row, column).data() for column in range(model.columnCount())]
        for row in range(model.rowCount())
    ]


def warnings_text(head: PageHead) -> str:
    """The warnings that are shown, "" for none."""
    return head.warnings.text() if head.warnings.isVisibleTo(head) else ""


def page_text(view: ModelPageView) -> str:
    """What the head says, a fact a line, and why there is no page where there is none."""
    head = view.head
    facts = [x.accessibleName() for x in head.values.values() if x.isVisibleTo(head)]
    problem = view.problem.isVisibleTo(view)
    why = [view.message.text(), view.remedy.text()] if problem else []
    return "\n".join([head.title.full_text(), *facts, warnings_text(head), *why]).strip()


def select_version(versions: VersionsView, name: str) -> None:
    """Make a version the current one."""
    flags = Qt.MatchFlag.MatchExactly | Qt.MatchFlag.MatchRecursive
    (item,) = versions.tree.findItems(name, flags, 0)
    versions.tree.setCurrentItem(item)
