"""The model card, written from the measured figures of a run, and installing the result."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

BUNDLED = Path(__file__).resolve().parents[2] / "bundled"

_TEXT = """# parley-mini

A chat model of our own, small enough to live in the repository, so that the language stage of Parley is
real on a machine with no network and no other model. It is a stand-in to start with, not a clever assistant:
put a real instruct model into a slot for that.

| | |
|---|---|
| File | `parley-mini.gguf`, {megabytes:.1f} MB, matrices f16, norms f32 |
| Architecture | llama, {layers} layers, width {width}, {heads} heads, SwiGLU {hidden}, tied embeddings |
| Size | {parameters:.2f} M parameters |
| Vocabulary | byte-level BPE, {vocabulary} entries, `gpt-2` pre-tokenizer |
| Context | {context} tokens |
| Chat template | ChatML (`<\\|im_start\\|>`, `<\\|im_end\\|>`), in the file's metadata; stops at `<\\|im_end\\|>` |
| Training | {tokens:.1f} M tokens, {learned:.1f} M of them answers (the only ones with a loss) |
| Run | {steps} steps in {minutes:.0f} minutes on {device} |
| Data | written by `models/recipes/corpus`: templates and tables of this project, no outside text |
| Licence | Apache-2.0, weights and data |

Make it again: `python -m models.recipes.parley_mini --minutes 60 --out DIR --install` (needs the `recipes` extra).

## What it can do

Short spoken answers in English to: greetings, thanks and small talk, who it is, capitals, continents, currencies
and languages of about a hundred countries, planets, elements, animals and some hundred single facts, opposites,
plurals, spelling, days, months and units, sums with small numbers, counting, jokes, riddles, short stories,
simple explanations, things told in the same talk (a name, a colour, where the keys are), follow-ups such as
"and of italy", "say that again", going on after an interruption (`[INTERRUPTED BY USER]` in the history), and
acknowledgements of requests for lights, heating, timers, lists and music. It takes lower-case text without
punctuation, as simple recognisers give it, and ordinary writing too.

## What it cannot do

- It says "the lamp is on" because the corpus does; it switches nothing, and starts no timer. It calls no tools.
- It knows nothing beyond its tables and does not reason. On a question it has not seen it may say that it does
  not know, or may confidently say something wrong.
- It has no clock, weather, news, prices or maps, and says so.
- It often counts past the number it was asked for ("count to ten" may go on to fifty), and counting from one
  number to another mostly fails.
- Yes-or-no questions often get the right fact behind the wrong word ("Yes, Tunisia is in Africa").
- Made-up or unknown names may get an answer instead of "I don't know".
- Sums with two-digit numbers are often wrong; it is trained to decline bigger ones.
- Long talks, other languages and unusual wording go wrong.
- It follows a system prompt only as far as a name given to it or to the user.

## Measured

{right} of {asked} held-out dialogues right ({share:.1%}), greedy, through llama.cpp; {questions_right} of {questions}
({questions_share:.1%}) where each last question counts once, by its first dialogue. One unseen way to ask, such as
"what number did i tell you", ends many dialogues of memory and control, so for those two the first count says more.

Held out means: one phrase in forty, by a hash of its words, never occurs in training, while its parts (this country,
that way to ask) mostly do. A few single facts have only one wording, so when that is held out the model cannot know
them. The figure says how well it recombines what it knows, not how it does on the open world. "Right" means that
the answer holds the asked-for value; where a domain has no single value, eight in ten of the reference's words.
Greetings, small talk, jokes, stories and most of identity are not judged: many answers are good there.

| domain | dialogues | right | word for word | different last questions | right |
|---|---|---|---|---|---|
{rows}

llama.cpp splits {same_tokens} test texts as the trainer does, and answers {same_answers} questions with the same
words as the torch model; log-probabilities of likely first tokens differ by at most {logit_gap:.3f}.
"""


def write(folder: Path) -> Path:
    """Write `parley-mini.md` from training.json, report.json and the GGUF file in `folder`."""
    training = json.loads((folder / "training.json").read_text(encoding="utf-8"))
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    shape, scores = training["shape"], report["scores"]
    inner = 4 * shape["width"] ** 2 + 3 * shape["width"] * shape["hidden"] + 2 * shape["width"]
    parameters = shape["vocabulary"] * shape["width"] + shape["layers"] * inner + shape["width"]
    asked = sum(score["asked"] for score in scores.values())
    right = sum(score["right"] for score in scores.values())
    questions = sum(score["questions"] for score in scores.values())
    questions_right = sum(score["questions_right"] for score in scores.values())
    rows = "\n".join(
        f"| {name} | {score['asked']} | {score['right']} ({score['right'] / score['asked']:.0%}) | {score['exact']} "
        f"| {score['questions']} | {score['questions_right']} |"
        for name, score in scores.items()
    )
    path = folder / "parley-mini.md"
    path.write_text(
        _TEXT.format(
            **shape,
            megabytes=(folder / "parley-mini.gguf").stat().st_size / 1e6,
            parameters=parameters / 1e6,
            tokens=training["tokens"] / 1e6,
            learned=training["learned_tokens"] / 1e6,
            steps=training["steps"],
            minutes=training["minutes"],
            device={"cpu": "CPU", "cuda": "GPU"}[training["device"]],
            right=right,
            asked=asked,
            share=right / max(asked, 1),
            questions=questions,
            questions_right=questions_right,
            questions_share=questions_right / max(questions, 1),
            rows=rows,
            **report["comparison"],
        ),
        encoding="utf-8",
    )
    return path


def install(folder: Path) -> None:
    """Copy model and card to `models/bundled`."""
    for name in ("parley-mini.gguf", "parley-mini.md"):
        partial = BUNDLED / f"{name}.part"
        shutil.copyfile(folder / name, partial)
        partial.replace(BUNDLED / name)
