"""Small tokenizers of every kind, with the decoders that real models' files have."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers
from tokenizers.decoders import Decoder
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast
from transformers.tokenization_python import PreTrainedTokenizer

BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
WORDS = ["▁", "▁the", "the", "re", "▁cat", "s", "é", "日", "▁😀", "n't", ".", "▁.", ",", "\ufffd"]
SPECIAL = ["<s>", "</s>", "<|end|>"]
LETTERS = sorted(set("".join(WORDS)) - {"▁"})


def llama2() -> PreTrainedTokenizerBase:
    """Byte fallback; the text's first space is dropped. Mistral's and Phi-3's decode likewise."""
    return _byte_fallback(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )


def gemma() -> PreTrainedTokenizerBase:
    """Byte fallback; every space stays."""
    return _byte_fallback([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])


def metaspace() -> PreTrainedTokenizerBase:
    """Unigram, as T5 and ALBERT have it."""
    pieces = [*SPECIAL, *dict.fromkeys([*WORDS, *LETTERS])]
    tokenizer = Tokenizer(models.Unigram([(piece, -1.0) for piece in pieces], 0))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    return _wrapped(tokenizer)


def byte_level() -> PreTrainedTokenizerBase:
    """One token a byte, and a few merged ones; as GPT-2, Llama 3 and Qwen have it."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [("Ġ", "t"), ("ð", "Ł"), ("ðŁ", "ĺ"), ("æ", "Ĺ")]
    tokens = [*SPECIAL, *alphabet, *("".join(pair) for pair in merges)]
    tokenizer = Tokenizer(models.BPE(_numbered(tokens), merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return _wrapped(tokenizer)


def word_piece() -> PreTrainedTokenizerBase:
    """As BERT has it, with its clean-up of spaces."""
    words = ["[UNK]", "the", "cat", "##s", "##re", "n't", "'", "s", ".", ",", "日", "😀", "do"]
    tokenizer = Tokenizer(models.WordPiece(_numbered([*SPECIAL, *words]), unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece("##", cleanup=True)
    return _wrapped(tokenizer)


def word_ends() -> PreTrainedTokenizerBase:
    """A mark at the end of each word, as the first GPT and CLIP have it."""
    words = ["the</w>", "cat</w>", "s</w>", "the", "re</w>", ".</w>", "日", "😀</w>"]
    tokenizer = Tokenizer(models.BPE(_numbered([*SPECIAL, *words]), []))
    tokenizer.decoder = decoders.BPEDecoder("</w>")
    return _wrapped(tokenizer)


class OwnTokenizer(PreTrainedTokenizer):
    """A model's own tokenizer in Python: a token a byte, with an attribute that misleads."""

    def __init__(self, **more: object) -> None:
        self._names = [*SPECIAL, *BYTES]
        self._tokenizer = b""  # not what transformers keeps under this name
        super().__init__(bos_token="<s>", eos_token="</s>", **more)

    @property
    def vocab_size(self) -> int:
        return len(self._names)

    def get_vocab(self) -> dict[str, int]:
        return _numbered(self._names)

    def _tokenize(self, text: str, **more: object) -> list[str]:
        return [BYTES[byte] for byte in text.encode()]

    def _convert_token_to_id(self, token: str) -> int:
        return self._names.index(token)

    def _convert_id_to_token(self, index: int) -> str:
        return self._names[index]

    def convert_tokens_to_string(self, tokens: Sequence[str]) -> str:
        data = b"".join(
            bytes([int(token[3:5], 16)]) if token in BYTES else token.encode() for token in tokens
        )
        return data.decode("utf-8", "replace")


KINDS: dict[str, Callable[[], PreTrainedTokenizerBase]] = {
    "llama 2": llama2,
    "gemma": gemma,
    "metaspace": metaspace,
    "byte-level": byte_level,
    "word pieces": word_piece,
    "word ends": word_ends,
    "own": OwnTokenizer,
}


def _byte_fallback(decoder: list[Decoder]) -> PreTrainedTokenizerBase:
    tokens = ["<unk>", *SPECIAL, *BYTES, *dict.fromkeys([*WORDS, *LETTERS])]
    model = models.BPE(_numbered(tokens), [], unk_token="<unk>", byte_fallback=True, fuse_unk=True)
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    tokenizer.decoder = decoders.Sequence(decoder)
    return _wrapped(tokenizer)


def _wrapped(tokenizer: Tokenizer) -> PreTrainedTokenizerBase:
    tokenizer.add_special_tokens([AddedToken(name, special=True) for name in SPECIAL])
    tokenizer.add_tokens([AddedToken("<think>", special=False)])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>")


def _numbered(tokens: Sequence[str]) -> dict[str, int]:
    return {token: number for number, token in enumerate(tokens)}
