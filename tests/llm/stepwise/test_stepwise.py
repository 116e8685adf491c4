"""What transformers and MLX share: the sampler, and text that comes out of tokens piece by piece."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from llm.messages import Sampling
from llm.stepwise.sampling import Sampler
from models.errors import BadInput

PLAIN = Sampling(temperature=1.0, top_k=0, top_p=1.0, min_p=0.0)


def drawn(sampling: Sampling, logits: list[float], count: int = 300, prompt: list[int] | None = None) -> list[int]:
    sampler = Sampler(sampling, prompt or [], frozenset({0}), 7)
    return [sampler.sample(np.array(logits, np.float32)) for _ in range(count)]


def test_tokens_are_drawn_by_their_shares() -> None:
    logits = [float(np.log(share)) for share in (0.6, 0.3, 0.1)]
    found = np.bincount(drawn(PLAIN, logits, 4000), minlength=3) / 4000
    assert np.allclose(found, [0.6, 0.3, 0.1], atol=0.04)


@pytest.mark.parametrize(
    ("sampling", "allowed"),
    [
        (Sampling(temperature=0.0), {0}),
        (Sampling(temperature=1.0, top_k=2, top_p=1.0, min_p=0.0), {0, 1}),
        (Sampling(temperature=1.0, top_k=0, top_p=0.7, min_p=0.0), {0, 1}),
        (Sampling(temperature=1.0, top_k=0, top_p=1.0, min_p=0.4), {0, 1}),
        (Sampling(temperature=1.0, top_k=0, top_p=1.0, min_p=0.0, ignore_eos=True), {1, 2}),
        (Sampling(temperature=0.0, logit_bias={2: 100.0, 10**6: 5.0}), {2}),
    ],
)
def test_what_is_cut_off_never_comes(sampling: Sampling, allowed: set[int]) -> None:
    assert set(drawn(sampling, [float(np.log(share)) for share in (0.55, 0.3, 0.15)])) == allowed


def test_penalties_push_back_what_was_said() -> None:
    assert drawn(Sampling(temperature=0.0), [1.0, 0.9, 0.8], 3) == [0, 0, 0]
    assert drawn(Sampling(temperature=0.0, presence_penalty=0.15), [1.0, 0.9, 0.8], 3) == [0, 1, 0]
    assert drawn(Sampling(temperature=0.0, frequency_penalty=0.5), [1.0, 0.9, 0.8], 3) == [0, 1, 2]
    assert drawn(Sampling(temperature=0.0, repeat_penalty=2.0), [1.0, 0.9, 0.8], 1, prompt=[0, 1]) == [2]


def test_seeds_and_what_is_not_known() -> None:
    assert drawn(PLAIN, [1.0, 1.0, 1.0], 50) == drawn(PLAIN, [1.0, 1.0, 1.0], 50)
    with pytest.raises(BadInput, match="mirostat"):
        Sampler(Sampling(mirostat=2), [], frozenset(), None)


def test_characters_come_whole_and_garbage_does_not_pile_up(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    from llm.stepwise.text import FolderText, Piecewise
    from tests.llm.tiny_folder import make_folder

    text = FolderText(make_folder(tmp_path / "m"), "")
    said = "schöne straßen 你好 🙂 ende"
    tokens = text.tokenize(said, add_special=False, parse_special=False)
    pieces = Piecewise(text, frozenset())
    out = [pieces.push(token) for token in tokens]
    assert "".join(out) + pieces.rest() == said and not any("\ufffd" in piece for piece in out)
    (half, *_) = text.tokenize("🙂", add_special=False, parse_special=False)
    broken = Piecewise(text, frozenset())
    assert "".join(broken.push(half) for _ in range(20)).count("\ufffd") >= 8, "it comes out, as what it is"
    mark = text.special("<|im_start|>")
    assert mark is not None and Piecewise(text, frozenset({mark})).push(mark) == "<|im_start|>"
    assert Piecewise(text, frozenset()).push(mark) == ""
