"""The GGUF file against the trainer: llama.cpp must split text and answer as torch does."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from models.recipes.corpus.dialogue import Turn, mixture
from models.recipes.corpus.sessions import sessions
from models.recipes.parley_mini import tokens
from models.recipes.parley_mini.evaluation import Answerer
from models.recipes.parley_mini.training import load


def compare(answerer: Answerer, folder: Path, texts: int = 300, questions: int = 40) -> tuple[str, str]:
    """("same of all" for tokenised sessions, "same of all" for greedy answers).

    Answers may differ where two tokens are nearly as likely: llama.cpp computes in f16, torch in f32.
    """
    tokenizer = tokens.load(folder / "tokenizer.json")
    encoder = tokens.Encoder(tokenizer)
    rng = tokens.seeded(7, "checks")
    stream = sessions(rng, mixture(rng.randrange(2**32)), 6)
    odd = [Turn("user", "Zürich, naïve café! 12:30 \U0001f600 don't   stop\n\nnow…"), Turn("assistant", "\"Quoted\" – 3,5 %.")]
    same = 0
    for session in (odd, *islice(stream, texts - 1)):
        ids, _ = encoder.session(session)
        text = tokens.prompt(session).removesuffix(f"{tokens.IM_START}assistant\n")
        same += answerer.tokens(text) == ids
    model = load(folder / "model.pt")
    stop = tokenizer.token_to_id(tokens.IM_END)
    equal = 0
    for dialogue in islice(mixture(11), questions):
        turns = dialogue.turns[:-1]
        ids = answerer.tokens(tokens.prompt(turns))
        equal += tokenizer.decode(model.greedy(ids, stop, 60)) == answerer.answer(turns, 60)
    return f"{same} of {texts}", f"{equal} of {questions}"
