"""Searching the Hub: pages, filters, faults, and never more than was asked for."""

from __future__ import annotations

import socket
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from playground.core.errors import ModelError
from playground.core.facts import ModelSpec
from playground.hub.catalog import ModelRow, SearchFilters, SearchPage, Sort, Where
from playground.hub.errors import HubError
from playground.hub.matching import matches, sorted_rows
from playground.hub.pages.browse import HubPages
from playground.hub.place import HubPlace
from playground.hub.site.api import HubSite
from playground.hub.site.rows import hub_row
from playground.hub.site.search import Search
from tests.support.hub_server import Crowd, Fault, HubServer, Repository

ANY = SearchFilters(task="")


def names(site: HubSite, filters: SearchFilters) -> list[str]:
    search, found = Search(filters, site), []
    while not search.exhausted:
        found += [row.name for row in search.next_page().rows]
    return found


def add(hub: HubServer, id_: str, *tags: str, **facts: object) -> Repository:
    gated = facts.pop("gated", False)
    assert isinstance(gated, str | bool)
    return hub.add(Repository(id_, {}, tags=tags, gated=gated, facts=dict(facts)))


def test_a_row_says_all_that_the_hub_knows(hub: HubServer, site: HubSite) -> None:
    add(
        hub, "owner/model-GPTQ", "license:apache-2.0", "4-bit", "gptq",
        downloads=1234, likes=5, library_name="transformers", gated="manual",
        pipeline_tag="text-generation",
        safetensors={"parameters": {"I32": 1_000_000, "F16": 500_000}, "total": 1_500_000},
        config={"quantization_config": {"quant_method": "gptq", "bits": 4}},
    )  # fmt: skip
    (row,) = Search(SearchFilters(), site, here={"owner/model-GPTQ"}).next_page().rows
    assert row.spec == ModelSpec("owner/model-GPTQ")
    assert (row.where, row.author, row.is_here, row.gated) == (Where.HUB, "owner", True, True)
    assert row.parameters == 8_500_000  # eight weights in every packed element
    assert row.size == 5_000_000
    assert (row.stored, row.quantization, row.bits) == ("GPTQ 4-bit", "gptq", 4)
    assert (row.licence, row.library, row.downloads, row.likes) == (
        "apache-2.0", "transformers", 1234, 5,
    )  # fmt: skip
    assert row.updated is not None
    assert row.updated.isoformat() == "2024-01-02T00:00:00+00:00"


@pytest.mark.parametrize(
    ("facts", "stored", "parameters"),
    [
        ({"safetensors": {"parameters": {"BF16": 10, "F32": 1}}}, "bf16", 11),
        ({"safetensors": {"parameters": {"F32": 7}}, "tags": ["onnx", "gguf"]}, "fp32", 7),
        ({"config": {"quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True}},
          "safetensors": {"parameters": {"U8": 8, "BF16": 2}}}, "NF4", 18),
        ({"config": {"quantization_config": {"load_in_8bit": True, "load_in_4bit": False}},
          "safetensors": {"parameters": {"I8": 8}}}, "int8 (bitsandbytes)", 8),
        ({"config": {"quantization_config": {"quant_method": "awq", "w_bit": 4}}},
         "AWQ 4-bit", None),
        ({"tags": ["gguf"]}, "GGUF", None),
        ({"safetensors": {"parameters": {"BF16": "many", "F16": -1, "F32": True}}}, "", None),
        ({"safetensors": [], "config": "x", "tags": "y", "likes": "z", "lastModified": 5},
         "", None),
    ],
)  # fmt: skip
def test_precision_and_parameters(
    facts: dict[str, object], stored: str, parameters: int | None
) -> None:
    row = hub_row({"id": "o/m", **facts})
    assert row is not None
    assert (row.stored, row.parameters) == (stored, parameters)


def test_entries_that_are_no_model_cost_only_themselves(hub: HubServer, site: HubSite) -> None:
    body = b'[null, 5, {}, {"id": "../etc"}, {"id": "a/\\u202eb"}, {"id": "good/one"}]'
    hub.add_fault(Fault("GET /api/models", 200, {}, body))
    page = Search(ANY, site).next_page()
    assert [row.name for row in page.rows] == ["good/one"]
    assert not page.more


def test_filters_are_the_hubs(hub: HubServer, site: HubSite) -> None:
    def size(total: int) -> dict[str, object]:
        return {"parameters": {"BF16": total}, "total": total}

    add(hub, "a/small", "license:mit", safetensors=size(10**9), pipeline_tag="text-generation")
    add(hub, "a/large", "license:mit", "gptq", safetensors=size(70 * 10**9), downloads=9)
    add(hub, "b/gated", "license:llama3", gated="auto", likes=3)
    assert names(site, ANY) == ["a/large", "a/small", "b/gated"]
    for filters, found in (
        (SearchFilters(), {"a/small"}),
        (replace(ANY, author="a"), {"a/small", "a/large"}),
        (replace(ANY, licence="mit", library="gptq"), {"a/large"}),
        (replace(ANY, gated=True), {"b/gated"}),
        (replace(ANY, gated=False), {"a/small", "a/large"}),
        (replace(ANY, text=" LARGE "), {"a/large"}),
        (replace(ANY, text="https://huggingface.co/a/small/tree/main"), {"a/small"}),
        (replace(ANY, min_parameters=2 * 10**9), {"a/large"}),
        (replace(ANY, max_parameters=2 * 10**9), {"a/small"}),
        (replace(ANY, min_parameters=1, max_parameters=2), set()),
    ):
        assert set(names(site, filters)) == found, filters
    assert names(site, replace(ANY, sort=Sort.LIKES))[0] == "b/gated"


def test_a_hundred_thousand_results_cost_a_page_at_a_time(hub: HubServer, site: HubSite) -> None:
    hub.crowd = Crowd(100_000)
    search = Search(ANY, site)
    first = search.next_page()
    assert len(first.rows) == 30
    assert first.more
    assert len(hub.requests) == 1
    second = search.next_page()
    assert len(hub.requests) == 2
    assert not {row.key for row in first.rows} & {row.key for row in second.rows}


def test_the_last_page_ends_it(hub: HubServer, site: HubSite) -> None:
    hub.crowd = Crowd(45)
    search = Search(ANY, site)
    assert search.next_page().more
    last = search.next_page()
    assert (len(last.rows), last.more, search.exhausted) == (15, False, True)
    assert search.next_page().rows == ()
    assert len(hub.requests) == 2


def test_what_comes_twice_is_shown_once(hub: HubServer, site: HubSite) -> None:
    hub.crowd = Crowd(40)
    search = Search(ANY, site)
    search.next_page()
    hub.add(Repository("new/one", {}))  # moves everything on by one between two pages
    rows = search.next_page().rows
    assert len({row.key for row in rows}) == len(rows) == 10


def test_cancelled_while_the_hub_is_slow(hub: HubServer, home: Path) -> None:
    hub.crowd = Crowd(10)
    slow = hub.add_fault(Fault("GET /api/models", after=10))
    search = HubPages(ANY, HubPlace(hub.endpoint, home))
    ended: list[SearchPage | None] = []
    thread = threading.Thread(target=lambda: ended.append(search.next_page()))
    thread.start()
    assert slow.reached.wait(60)
    search.cancel()
    slow.release.set()
    thread.join(60)
    assert ended == [None]
    assert search.next_page() is None
    assert len(hub.requests) == 1


@pytest.mark.parametrize(
    ("fault", "said", "remedy"),
    [
        (Fault("GET", 429, {"Retry-After": "37"}), "429", "in 37 s;"),
        (Fault("GET", 429, {"RateLimit": '"api";r=0;t=55'}), "429", "in 55 s;"),
        (Fault("GET", 429), "429", "in some minutes"),
        (Fault("GET", 500), "HTTP 500", "some minutes"),
        (Fault("GET", 200, {}, b"<html>Welcome to the airport"), "does not answer", "HF_ENDPOINT"),
        (Fault("GET", 200, {}, b'{"error": "x"}'), "does not answer", "HF_ENDPOINT"),
    ],
)
def test_a_hub_in_trouble_is_told_at_once_and_can_be_asked_again(
    hub: HubServer, site: HubSite, fault: Fault, said: str, remedy: str
) -> None:
    hub.crowd = Crowd(5)
    hub.add_fault(replace(fault, times=1))
    search = Search(ANY, site)
    with pytest.raises(ModelError, match=said) as caught:
        search.next_page()
    assert remedy in caught.value.remedy
    assert "files" not in caught.value.remedy
    assert len(hub.requests) == 1
    assert len(search.next_page().rows) == 5


def test_offline_says_what_still_works(nobody: HubSite) -> None:
    with pytest.raises(HubError, match="cannot be reached") as caught:
        Search(ANY, nobody).next_page()
    assert "offline" in caught.value.remedy
    assert Search(replace(ANY, here_only=True), nobody).next_page().rows == ()


def test_no_token_goes_to_another_host(hub: HubServer, home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        stranger.settimeout(0.0)
        address = f"http://127.0.0.1:{stranger.getsockname()[1]}/api/models?cursor=2"
        body = b'[{"id": "a/b"}]'
        hub.add_fault(Fault("GET", 200, {"Link": f'<{address}>; rel="next"'}, body))
        search = Search(ANY, HubSite(hub.endpoint, home, token="hf_" + "x" * 30))
        search.next_page()
        with pytest.raises(ModelError, match="does not answer like"):
            search.next_page()
        with pytest.raises(BlockingIOError):
            stranger.accept()


def test_the_same_filters_hold_for_what_is_here() -> None:
    row = ModelRow(
        key="k", spec=ModelSpec("o/Small-GPTQ"), where=Where.CACHE, name="o/Small-GPTQ",
        author="o", parameters=10**9, quantization="gptq", library="transformers", is_here=True,
    )  # fmt: skip
    for change in ({"text": "gptq small"}, {"library": "gptq"}, {"author": "O"},
                   {"licence": "mit"}, {"gated": True}, {"max_parameters": 10**9}):  # fmt: skip
        assert matches(row, replace(SearchFilters(), **change)), change
    for change in ({"text": "other"}, {"library": "awq"}, {"author": "x"},
                   {"min_parameters": 2 * 10**9}):  # fmt: skip
        assert not matches(row, replace(SearchFilters(), **change)), change
    second = replace(row, name="o/other", key="l", downloads=7)
    assert sorted_rows([row, second], Sort.DOWNLOADS) == [second, row]
