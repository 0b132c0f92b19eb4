"""Model cards of strangers: what may be shown of them, and how long that takes."""

from __future__ import annotations

import time

import pytest

from playground.hub.cards import CARD_LIMIT, clean_card, parse_yaml, split_card

FENCED = "```html\n<script>alert(1)</script> <s>[INST]\n![x](y)\n```"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("# Title\n\nplain *text* and [a link](https://x.y)", None),
        ("a < b and b > a, x<y>z", None),
        ("| a | b |\n|---|---|\n| 1 | 2 |", None),
        (FENCED, None),
        ("inline `<b>` and `<script>` stay", None),
        ("<div align='center'><b>Bold</b><br>next</div>", "Bold\nnext"),
        ("a<script>alert(1)</script>b<SCRIPT src=x></SCRIPT>c", "abc"),
        ("a<style>p {}</style>b<iframe src='x'>y</iframe>c<svg><path d='1'/></svg>d", "abcd"),
        ("a<!-- <b> hidden -->b", "ab"),
        ("a<!-- never closed", "a never closed"),
        ("<img src='https://x/track.png' onerror=alert(1)>text", "text"),
        ("![logo](https://x/logo.png)", "logo"),
        ("![](https://x/pixel.gif) text", "text"),
        ("[![badge](https://x/b.svg)](https://x)", "[badge](https://x)"),
        ("![alt][ref]", "alt"),
        ("[click](javascript:alert(1)) [d](data:text/html,x) [f](file:///etc)", "click d f"),
        ("[wiki](https://x.y/a_(b)) ![i](https://x/(1).png)", "[wiki](https://x.y/a_(b)) i"),
        ("[good](docs/other.md) [mail](mailto:a@b.c) [here](#part)", None),
        ("<https://x.y> <javascript:alert> <mailto:a@b>",
         "<https://x.y> javascript:alert <mailto:a@b>"),
        ("[r]: javascript:alert\n[s]: https://x.y", "[s]: https://x.y"),
        ("a\x00\x1b[31mb\u202ec\u2066d\ufeffe", "a[31mbcde"),
    ],
)  # fmt: skip
def test_what_is_left(text: str, shown: str | None) -> None:
    cleaned, cut = clean_card(text)
    assert not cut
    assert cleaned == (text if shown is None else shown)


def test_code_goes_on_to_its_own_fence() -> None:
    text = "````\n```\n<b>\n````\n<b>after</b>"
    assert clean_card(text)[0] == "````\n```\n<b>\n````\nafter"
    assert clean_card("```\n<b>never closed")[0] == "```\n<b>never closed"


@pytest.mark.parametrize(
    "piece",
    ["<", "<a ", "<!--", "<script", "![", "[![", "](", "[a](", "`", "``` ", "<a:", "[x]: ", "\n```",
     "<a href='" , "İ<script>", "![a](b", "---\n"],
)  # fmt: skip
def test_ten_megabytes_of_anything_take_no_time(piece: str) -> None:
    text = piece * (10_000_000 // len(piece))
    start = time.thread_time()  # which passes only while this thread has a processor
    front, rest = split_card(text)
    cleaned, cut = clean_card(rest)
    assert time.thread_time() - start < 5
    assert cut or not rest
    assert len(cleaned) <= CARD_LIMIT
    assert front == {}


@pytest.mark.parametrize(
    ("text", "front", "rest"),
    [
        ("---\nlicense: mit\n---\n\n# A", {"license": "mit"}, "# A"),
        ("\ufeff---\r\nlicense: mit\r\n---\r\n# A", {"license": "mit"}, "# A"),
        ("---\n- a\n---\n# A", {}, "# A"),
        ("---\n{[\n---\n# A", {}, "# A"),
        ("---\nnever: closed", {}, "never: closed"),
        ("# A\n---\nb: c\n---", {}, "# A\n---\nb: c\n---"),
        ("", {}, ""),
    ],
)
def test_front_matter_is_apart(text: str, front: dict[str, str], rest: str) -> None:
    assert split_card(text) == (front, rest)


def test_yaml_can_do_nothing_but_say() -> None:
    assert parse_yaml("!!python/object/apply:os.system ['true']") is None
    assert parse_yaml("a: " * 200_000) is None
    assert parse_yaml("[" * 100_000) is None
