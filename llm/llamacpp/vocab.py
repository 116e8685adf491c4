"""The vocabulary of a loaded model: text to tokens and back. Read only, so any thread may use it."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

from llm.llamacpp.library import native
from models.errors import BadInput

__all__ = ["Vocab"]


class Vocab:
    def __init__(self, model: Any) -> None:
        template = native.llama_model_chat_template(model, b"rerank")
        self.rerank_template = template.decode("utf-8", "replace") if template else ""
        self.pointer = native.llama_model_get_vocab(model)
        self.size: int = native.llama_vocab_n_tokens(self.pointer)
        self._pieces: dict[int, bytes] = {}
        self._ends = frozenset(token for token in range(self.size) if native.llama_vocab_is_eog(self.pointer, token))

    def bos(self) -> str:
        return self._text(native.llama_vocab_bos(self.pointer))

    def eos(self) -> str:
        return self._text(native.llama_vocab_eos(self.pointer))

    def marks(self) -> tuple[list[int], list[int], list[int]]:
        """BOS, EOS and SEP, each an empty list where the model has none."""
        found = (native.llama_vocab_bos, native.llama_vocab_eos, native.llama_vocab_sep)
        bos, eos, sep = ([token] if (token := ask(self.pointer)) >= 0 else [] for ask in found)
        return bos, eos, sep

    def adds_bos(self) -> bool:
        return bool(native.llama_vocab_get_add_bos(self.pointer))

    def first_token(self) -> int:
        """Some valid token to warm up with."""
        bos: int = native.llama_vocab_bos(self.pointer)
        return max(bos, 0)

    def ends_turn(self, token: int) -> bool:
        return token in self._ends

    def has(self, text: str) -> bool:
        """Whether `text` is one (special) token."""
        return self.special(text) is not None

    def special(self, text: str) -> int | None:
        """The token that is this text, where there is one."""
        tokens = self.tokenize(text, add_special=False, parse_special=True)
        return tokens[0] if len(tokens) == 1 else None

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        """`add_special`: as the model was trained, a BOS or not. `parse_special`: `<|im_end|>` is one token."""
        data = text.encode("utf-8", "replace")
        room = len(data) + 8
        buffer = (ctypes.c_int32 * room)()
        count = native.llama_tokenize(self.pointer, data, len(data), buffer, room, add_special, parse_special)
        if count < 0:  # some vocabularies add tokens beyond one a byte
            buffer = (ctypes.c_int32 * -count)()
            count = native.llama_tokenize(self.pointer, data, len(data), buffer, -count, add_special, parse_special)
        return buffer[:count]

    def piece(self, token: int) -> bytes:
        """What a token adds to the text; control tokens add nothing. May be part of a character."""
        piece = self._pieces.get(token)
        if piece is None:
            piece = self._pieces[token] = self._piece(token, special=False)
        return piece

    def written(self, token: int) -> bytes:
        """As `piece`, but control tokens are written out."""
        return self._piece(token, special=True)

    def ends(self) -> frozenset[int]:
        """All tokens that end a turn."""
        return self._ends

    def detokenize(self, tokens: Sequence[int]) -> str:
        """Special tokens are written out. Raises BadInput for a number that is no token."""
        wrong = next((token for token in tokens if not 0 <= token < self.size), None)
        if wrong is not None:
            raise BadInput(f"{wrong} is not a token of this model (0 to {self.size - 1})", param="tokens")
        array = (ctypes.c_int32 * len(tokens))(*tokens)
        room = 16 * len(tokens) + 64
        while True:
            buffer = ctypes.create_string_buffer(room)
            count = native.llama_detokenize(self.pointer, array, len(tokens), buffer, room, False, True)
            if count >= 0:
                return buffer.raw[:count].decode("utf-8", "replace")
            room = -count

    def _text(self, token: int) -> str:
        return "" if token < 0 else self._piece(token, special=True).decode("utf-8", "replace")

    def _piece(self, token: int, special: bool) -> bytes:
        room = 32
        while True:
            buffer = ctypes.create_string_buffer(room)
            count = native.llama_token_to_piece(self.pointer, token, buffer, room, 0, special)
            if count >= 0:
                return buffer.raw[:count]
            room = -count
