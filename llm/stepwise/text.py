"""The tokenizer and chat template of a Hugging Face folder. Read only, so any thread may use it."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from llm.chat_template import ChatTemplate, fallback
from llm.stepwise.port import Logits
from llm.stream import TokenLogprob
from models.errors import BadInput, ModelUnreadable, SettingsError

__all__ = ["FolderText", "Piecewise"]

_BROKEN = "\ufffd"
_LONGEST = 8
"""Tokens that one character may be spread over; what is broken for longer never becomes one."""


class FolderText:
    """Never runs code that lies in the folder. Raises ModelUnreadable."""

    def __init__(self, folder: Path, template: str) -> None:
        from transformers import AutoTokenizer

        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(
                str(folder), trust_remote_code=False, local_files_only=True
            )
        except Exception as error:  # the library's many kinds
            raise ModelUnreadable(f"{folder.name}: its tokenizer cannot be read: {str(error)[:200]}") from error
        self._lock = threading.Lock()  # truncation and padding are state of the tokenizer
        self.size = len(self._tokenizer)
        self.bos: str = self._tokenizer.bos_token or ""
        self.eos: str = self._tokenizer.eos_token or ""
        self.ends = self._end_tokens(folder)
        self._special = {str(text): int(number) for text, number in self._tokenizer.get_added_vocab().items()}
        self.template = self._template(template)

    def _template(self, override: str) -> ChatTemplate:
        if override:
            try:
                return ChatTemplate(Path(override).expanduser().read_text(encoding="utf-8"), self.bos, self.eos)
            except (OSError, ValueError) as error:
                raise SettingsError(f"[llm.engine] chat_template: {error}", param="chat_template") from error
        source = self._tokenizer.chat_template
        tool_use = ""
        if isinstance(source, dict):
            tool_use = str(source.get("tool_use") or "")
            source = source.get("default") or next(iter(source.values()), None)
        if source:
            return ChatTemplate(str(source), self.bos, self.eos, tool_use=tool_use)
        return fallback(lambda text: self.special(text) is not None, self.bos, self.eos)

    def _end_tokens(self, folder: Path) -> frozenset[int]:
        """Of the tokenizer, and those of generation_config.json, which knows how a turn ends."""
        found = {self._tokenizer.eos_token_id}
        for name in ("generation_config.json", "config.json"):
            try:
                told = json.loads((folder / name).read_text(encoding="utf-8")).get("eos_token_id")
            except (OSError, ValueError, AttributeError):
                continue
            found |= set(told) if isinstance(told, list) else {told}
        for text in ("<|im_end|>", "<|eot_id|>", "<|end|>", "<end_of_turn>"):
            found.add(self._tokenizer.get_added_vocab().get(text))
        return frozenset(int(token) for token in found if isinstance(token, int))

    def special(self, text: str) -> int | None:
        return self._special.get(text)

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        """A template that writes the BOS itself gets no second one."""
        if add_special and parse_special and self.bos and text.startswith(self.bos):
            add_special = False
        with self._lock:
            made = self._tokenizer(text, add_special_tokens=add_special, split_special_tokens=not parse_special)
        return [int(token) for token in made["input_ids"]]

    def detokenize(self, tokens: Sequence[int]) -> str:
        wrong = next((token for token in tokens if not 0 <= token < self.size), None)
        if wrong is not None:
            raise BadInput(f"{wrong} is not a token of this model (0 to {self.size - 1})", param="tokens")
        return self.decode(tokens, special=True)

    def decode(self, tokens: Sequence[int], *, special: bool) -> str:
        with self._lock:
            text = self._tokenizer.decode(
                list(tokens), skip_special_tokens=not special, clean_up_tokenization_spaces=False
            )
        return str(text)

    def logprob(self, logits: Logits, token: int, most: int) -> TokenLogprob:
        """Of the chosen token and the `most` likeliest ones, before any sampler."""
        highest = float(logits.max())
        total = highest + float(np.log(np.exp(logits - highest, dtype=np.float64).sum()))

        def one(number: int, top: tuple[TokenLogprob, ...] = ()) -> TokenLogprob:
            text = self.decode([number], special=True)
            return TokenLogprob(text, float(logits[number]) - total, text.encode(), top, number)

        best = np.argsort(-logits, kind="stable")[:most] if most > 0 else ()
        return one(token, tuple(one(int(number)) for number in best))


class Piecewise:
    """The text of a reply, token by token: a character whose bytes are spread over tokens comes with the last.

    A token's text depends on the one before it (the space of SentencePiece), so a window is decoded twice, with and
    without what is new.
    """

    def __init__(self, text: FolderText, visible: frozenset[int]) -> None:
        self._text, self._visible = text, visible
        self._window: list[int] = []
        self._told = 0  # tokens of the window whose text is out

    def push(self, token: int) -> str:
        if token in self._visible:
            rest = self.rest()
            self._window, self._told = [], 0
            return rest + self._text.decode([token], special=True)
        self._window.append(token)
        before = self._text.decode(self._window[: self._told], special=False)
        now = self._text.decode(self._window, special=False)
        if now.endswith(_BROKEN) and len(self._window) - self._told < _LONGEST:
            return ""
        new = now[len(before) :]
        self._window = self._window[self._told :] if new else self._window
        self._told = len(self._window)
        return new

    def rest(self) -> str:
        """What never became a character."""
        before = self._text.decode(self._window[: self._told], special=False)
        now = self._text.decode(self._window, special=False)
        self._told = len(self._window)
        return now[len(before) :]
