"""The GGUF file against the trainer: llama.cpp must split text and answer as torch does."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch

from models.recipes.corpus.dialogue import Turn, mixture
from models.recipes.corpus.sessions import sessions
from models.recipes.parley_mini import tokens
from models.recipes.parley_mini.evaluation import Answerer
from models.recipes.parley_mini.training import load


@dataclass(frozen=True, slots=True)
class Comparison:
    """`same_tokens` and `same_answers` as "39 of 40"; `logit_gap` is the largest difference of two
    log-probabilities of a first answer token, over all tokens that are not hopeless (within 10 of the best)."""

    same_tokens: str
    same_answers: str
    logit_gap: float


def compare(answerer: Answerer, folder: Path, texts: int = 300, questions: int = 40) -> Comparison:
    """The file in `answerer` against tokenizer.json and model.pt of `folder`.

    Answers may differ where two tokens are nearly as likely: llama.cpp computes in f16, torch in f32.
    """
    tokenizer = tokens.load(folder / "tokenizer.json")
    encoder = tokens.Encoder(tokenizer)
    rng = tokens.seeded(7, "checks")
    stream = sessions(rng, mixture(rng.randrange(2**32)), 6)
    odd = [
        Turn("user", "Zürich, naïve café! 12:30 \U0001f600 don't   stop\n\nnow…"),
        Turn("assistant", '"Quoted" – 3,5 %.'),
    ]
    same = 0
    for session in (odd, *islice(stream, texts - 1)):
        ids, _ = encoder.session(session)
        text = tokens.prompt(session).removesuffix(f"{tokens.IM_START}assistant\n")
        same += answerer.tokens(text) == ids
    model = load(folder / "model.pt")
    stop = tokenizer.token_to_id(tokens.IM_END)
    equal, gap = 0, 0.0
    for dialogue in islice(mixture(11), questions):
        turns = dialogue.turns[:-1]
        ids = answerer.tokens(tokens.prompt(turns))
        theirs = torch.from_numpy(answerer.next_logits(ids)).log_softmax(-1)
        ours = model.next_logits(ids).log_softmax(-1)
        likely = ours > ours.max() - 10
        gap = max(gap, float((ours - theirs)[likely].abs().max()))
        equal += tokenizer.decode(model.greedy(ids, stop, 60)) == answerer.answer(turns, 60)
    return Comparison(f"{same} of {texts}", f"{equal} of {questions}", round(gap, 4))
