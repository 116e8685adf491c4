"""The vocabulary: bytes, the words, Whisper's special tokens and time stamps; and its tokenizer.json."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["LANGUAGES", "WORDS", "Vocabulary", "vocabulary", "write_tokenizer"]

WORDS = ("yes", "no", "stop", "lights", "music", "hello", "seven", "timer")
TIME_STAMPS = 1501
MULTILINGUAL_MARK = ""
"""CTranslate2 takes a Whisper for multilingual when its vocabulary has the empty token, as OpenAI's have."""
# The first 99 codes of Whisper's own list, in the order of their tokens.
LANGUAGES = (
    "en zh de es ru ko fr ja pt tr pl ca nl ar sv it id hi fi vi he uk el ms cs ro da hu ta no th ur hr bg lt la "
    "mi ml cy sk te fa lv bn sr az sl kn et mk br eu is hy ne mn bs kk sq sw gl mr pa si km sn yo so af oc ka be "
    "tg sd gu am yi lo uz fo ht ps tk nn mt sa lb my bo tl mg as tt haw ln ha ba jw su"
).split()


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Every token by its id, and the ids that mean something."""

    tokens: tuple[str, ...]
    merges: tuple[tuple[str, str], ...]
    words: tuple[int, ...]
    languages: tuple[int, ...]
    end: int
    start: int
    no_speech: int
    no_time_stamps: int

    @property
    def first_time_stamp(self) -> int:
        return self.no_time_stamps + 1


def _byte_symbols() -> list[str]:
    """GPT-2's printable stand-ins for the 256 bytes, in the order of the bytes."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    symbols, spare = [], 256
    for byte in range(256):
        if byte in printable:
            symbols.append(chr(byte))
        else:
            symbols.append(chr(spare))
            spare += 1
    return symbols


def vocabulary(*, multilingual: bool) -> Vocabulary:
    """Ids in Whisper's order: text below <|endoftext|>, then control tokens, then time stamps to the end."""
    tokens = _byte_symbols()
    merges: list[tuple[str, str]] = []
    for word in WORDS:
        built = "Ġ"
        for letter in word:
            if (merge := (built, letter)) not in merges:
                merges.append(merge)
                tokens.append(built + letter)
            built += letter
    control = ["<|endoftext|>", "<|startoftranscript|>"]
    control += [f"<|{language}|>" for language in LANGUAGES] if multilingual else []
    control += ["<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>", "<|nospeech|>"]
    control += ["<|notimestamps|>"]
    if multilingual:
        tokens.append(MULTILINGUAL_MARK)
    tokens += control + [f"<|{index * 0.02:.2f}|>" for index in range(TIME_STAMPS)]
    ids = {token: index for index, token in enumerate(tokens)}
    return Vocabulary(
        tokens=tuple(tokens),
        merges=tuple(merges),
        words=tuple(ids["Ġ" + word] for word in WORDS),
        languages=tuple(ids[f"<|{language}|>"] for language in LANGUAGES) if multilingual else (),
        end=ids["<|endoftext|>"],
        start=ids["<|startoftranscript|>"],
        no_speech=ids["<|nospeech|>"],
        no_time_stamps=ids["<|notimestamps|>"],
    )


def write_tokenizer(known: Vocabulary, path: Path) -> None:
    """A byte-level BPE tokenizer as faster-whisper reads it."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    ids = {token: index for index, token in enumerate(known.tokens)}
    tokenizer = Tokenizer(models.BPE(vocab=ids, merges=list(known.merges)))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in known.tokens[known.end :]])
    tokenizer.save(str(path))
