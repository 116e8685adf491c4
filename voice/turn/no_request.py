"""What is said to nobody: a hum, or what a recogniser makes of a grunt, a sigh, something that falls. Pure.

"Thank you" and "bye" are what Whisper makes of such sounds.
"""

from __future__ import annotations

from voice.turn.back_channels import hummed, words_of

__all__ = ["ANSWER_S", "says_nothing"]

ANSWER_S = 15.0
"""After a reply anything may be meant for us for so long, "mm-hm" and "the", too."""
_SMALL_WORDS = frozenset(
    "the a an and or but if so of in at to from with by than then because is am are was were be been i you he she it"
    " we they me him her us them my your his its our their this that these those have has had can could will would"
    " should der die das den dem ein eine einen und oder aber wenn dass von für mit zu im am ist sind bin war ich du"
    " er sie es wir ihr mein dein".split()
)
"""A request has at least one other."""
_COURTESIES = frozenset(
    ("thank you", "thanks", "thank you very much", "thank you so much", "bye", "bye bye", "bye-bye", "goodbye")
    + ("danke", "danke schön", "vielen dank", "tschüss", "merci", "gracias", "grazie", "obrigado")
)


def says_nothing(text: str) -> bool:
    """Nobody can do anything with it, where it is no answer. A question mark is a tone of voice: it asks."""
    if text.rstrip().endswith("?"):
        return False
    words = words_of(text)
    if " ".join(words) in _COURTESIES:
        return True
    return hummed(text) or (bool(words) and all(word in _SMALL_WORDS for word in words))
