"""Sentences that Whisper writes where nobody has said them: the ends of the videos that it was trained on. Pure.

It does so in noise, in music and after the last word, in all languages (github.com/openai/whisper, discussions 679
and 928). Only what nobody says to an assistant is listed: credits of subtitles, and farewells to viewers. "Thank you"
is said; it is a matter of when (no_request.py).
"""

from __future__ import annotations

import re

__all__ = ["without_phantoms"]

_CREDITS = (
    r".*\bamara[ .]*org\b.*",
    r"(?:subtitles|subtitled|captions|captioned|captioning) by .*",
    r"transcri(?:ption|bed) by castingwords",
    r"untertitel(?:ung)?\b.* (?:zdf|ard|wdr|swr|ndr|br|orf|srf|funk|geiges)\b.*",
    r"copyright (?:zdf|ard|wdr|swr|ndr|br|orf|srf) ?\d*",
    r"sous-titr\w+ .*(?:501|radio-canada|sous-?titres|soustitreur).*",
    r"sottotitoli .*qtss.*",
    r"субтитры (?:\w+ )?(?:сделал|создавал|подогнал|делал).*",
    r"字幕(?:由|by|提供|志愿者|志願者|制作|製作).*",
    r"altyazı m ?k",
)
_FAREWELLS = (
    r"thank(?:s| you)(?: (?:so|very) much| all| guys)* for (?:watching|viewing)(?: (?:this|the|my|our) videos?)?",
    r"(?:please |please don't forget to |don't forget to |remember to |(?:please )?like,?(?: and| comment and)? )"
    r"(?:like,?(?: and| comment and)? )?subscribe(?: to (?:my|the|our|this) channel)?",
    r"subscribe to (?:my|our|this) channel",
    r"(?:i'll |we'll )?see you (?:guys |all )?in the next (?:video|episode)",
    r"(?:vielen dank|danke) f(?:ü|ue)r(?:s| das) zuschauen",
    r"(?:wir sehen uns|bis zum) (?:im )?nächsten video",
    r"merci d'avoir regardé (?:cette |la )?vidéo",
    r"(?:n'oubliez pas de )?(?:vous )?abonne[rz](?:-vous)?(?: à (?:la|ma|notre) chaîne)?",
    r"(?:muchas )?gracias por ver(?: (?:el|este|mi))?(?: v[ií]deo)?",
    r"(?:no olvides )?suscr[ií]b(?:ete|irte|anse)(?: al? (?:mi )?canal)?",
    r"grazie (?:mille )?per (?:la visione|aver (?:guardato|visto)(?: (?:il|questo))?(?: video)?)",
    r"(?:muito )?obrigad[oa] por assistir(?: (?:o|ao|este|a este))?(?: v[ií]deo)?",
    r"inscreva-se(?: no (?:meu )?canal)?",
    r"bedankt voor het kijken",
    r"dziękuj(?:ę|emy) za (?:oglądanie|obejrzenie)",
    r"спасибо за просмотр",
    r"продолжение следует",
    r"(?:не забудьте )?подпис(?:ывайтесь|аться) на (?:мой |наш )?канал",
    r"abone olmayı unutmayın",
    r"izlediğiniz için teşekkür(?:ler| ederim| ederiz)",
    r"ご(?:視聴|覧いただき)ありがとうございま(?:した|す)",
    r"チャンネル登録.*お願い.*",
    r"(?:谢谢|謝謝|感谢|感謝)(?:大家|您|你)?(?:的)?(?:观看|觀看|收看|收聽)",
    r"请不吝点赞.*|請不吝點贊.*",
    r"시청해 ?주셔서 감사합니다",
    r"구독과 좋아요.*",
)
_PHANTOM = re.compile("|".join((*_CREDITS, *_FAREWELLS)), re.IGNORECASE)
_SENTENCE = re.compile(r"[^.!?…。！？\n]*(?:\.(?=\w)[^.!?…。！？\n]*)*[.!?…。！？\n]*")  # "amara.org" is within one
_EDGES = " \t\n\"'„“”«»¡¿.,!?…。！？-—()[]♪"


def without_phantoms(text: str) -> str:
    """`text` without the sentences that nobody said; as it is where there are none."""
    sentences = _SENTENCE.findall(text)
    said = [sentence for sentence in sentences if not _PHANTOM.fullmatch(_plain(sentence))]
    return text if len(said) == len(sentences) else "".join(said).strip()


def _plain(sentence: str) -> str:
    return " ".join(sentence.replace("’", "'").strip(_EDGES).split())
