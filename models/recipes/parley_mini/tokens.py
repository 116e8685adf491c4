"""The tokenizer: byte-level BPE exactly as llama.cpp's "gpt-2" pre-tokenizer splits it, and ChatML encoding."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import tokenizers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from models.recipes.corpus.dialogue import Turn

END_OF_TEXT, IM_START, IM_END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
SPECIAL = (END_OF_TEXT, IM_START, IM_END)

CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def train(sessions: Iterator[list[Turn]], *, vocabulary: int, sample_turns: int) -> Tokenizer:
    """A tokenizer of `vocabulary` entries from the first turns of the sessions."""

    def texts() -> Iterable[str]:
        turns = (turn for session in sessions for turn in session)
        for turn in islice(turns, sample_turns):
            yield f"{turn.role}\n{turn.text}"

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        min_frequency=3,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts(), trainer)
    return tokenizer


def load(path: Path) -> Tokenizer:
    return tokenizers.Tokenizer.from_file(str(path))


def prompt(turns: Iterable[Turn]) -> str:
    """The turns as ChatML text with the opening of an answer at the end."""
    text = "".join(f"{IM_START}{turn.role}\n{turn.text}{IM_END}\n" for turn in turns)
    return f"{text}{IM_START}assistant\n"


class Encoder:
    """Sessions to token ids and a mask of the tokens to learn: answers and the end mark after them."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._seen: dict[str, list[int]] = {}
        self.start, self.end = tokenizer.token_to_id(IM_START), tokenizer.token_to_id(IM_END)
        self._line = self._ids("\n")

    def _ids(self, text: str) -> list[int]:
        # Most texts come from templates and return often; encoding them once is much of the speed.
        found = self._seen.get(text)
        if found is None:
            found = self._tokenizer.encode(text, add_special_tokens=False).ids
            if len(self._seen) < 200_000:
                self._seen[text] = found
        return found

    def session(self, turns: list[Turn]) -> tuple[list[int], list[bool]]:
        ids: list[int] = []
        learn: list[bool] = []
        for turn in turns:
            # Role, line end and text are encoded together, as llama.cpp sees them between two special tokens.
            head = [self.start, *self._ids(f"{turn.role}\n")]
            whole = [self.start, *self._ids(f"{turn.role}\n{turn.text}"), self.end]
            if whole[: len(head)] != head:
                raise ValueError(f"the text {turn.text!r} runs together with its role")
            wanted = turn.role == "assistant" and turn.learn
            ids += [*whole, *self._line]
            learn += [False] * len(head) + [wanted] * (len(whole) - len(head)) + [False] * len(self._line)
        return ids, learn


def rows(encoder: Encoder, sessions: Iterator[list[Turn]], length: int) -> Iterator[tuple[list[int], list[bool]]]:
    """Rows of `length` + 1 tokens. Each starts with a session; the rest is filled with further ones, the last cut."""
    while True:
        ids: list[int] = []
        learn: list[bool] = []
        while len(ids) <= length:
            more, mask = encoder.session(next(sessions))
            ids += more
            learn += mask
        yield ids[: length + 1], learn[: length + 1]


def seeded(seed: int, name: str) -> random.Random:
    return random.Random(f"{seed}/{name}")
