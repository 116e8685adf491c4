"""From a piece of a model's Markdown to what a voice should say. Pure; knows nothing of what stands before it."""

from __future__ import annotations

import html
import re

from voice.mouth.normalisation import normalised

__all__ = ["speakable"]

_FENCED = re.compile(r"(?ms)^[ \t]*(`{3,}|~{3,})[ \t]*([\w+#.-]*)[^\n]*(?:\n.*?)?(?:\n[ \t]*\1[`~]*|\Z)")
_RULE = re.compile(r"(?m)^[ \t]*(?:(?:-[ \t]*){3,}|(?:\*[ \t]*){3,}|(?:_[ \t]*){3,}|={3,})$")
_TABLE_RULE = re.compile(r"(?m)^(?=[^-\n]*-[^|\n]*\|)[ \t:|-]+$")
_TABLE_ROW = re.compile(r"(?m)^[ \t]*\|(.*?)\|?[ \t]*$")
_HEADING = re.compile(r"(?m)^[ \t]{0,3}#{1,6}[ \t]+(.*?)[ \t]*#*[ \t]*$")
_QUOTE = re.compile(r"(?m)^[ \t]*(?:>[ \t]?)+")
_BULLET = re.compile(r"(?m)^[ \t]*[-*+•][ \t]+(?:\[[ xX]\][ \t]+)?")
_NUMBER = re.compile(r"(?m)^[ \t]*(\d{1,3})[.)][ \t]+(?=\S)")
# A name and an address of bounded length: a row of brackets is looked through once, and not once from each of them.
_IMAGE_OR_LINK = re.compile(r"!?\[([^\]\n]{0,300})\]\(\s*<?[^)\n]{0,2000}\)|!?\[([^\]\n]{1,300})\]\[[^\]\n]{0,300}\]")
_FOOTNOTE = re.compile(r"\[\^[^\]\n]+\]:?")
_TAG = re.compile(r"</?[A-Za-z][^<>\n]*>|<!--.*?-->")
_ADDRESS = re.compile(r"<?\b(?:https?|ftp)://([^\s<>/?#]+)[^\s<>]*>?", re.IGNORECASE)
_BARE_WWW = re.compile(r"\bwww\.([^\s<>/?#]+)[^\s<>]*", re.IGNORECASE)
_AFTER_ADDRESS = re.compile(r"[.,;:!?)\]}'\"*_]+$")
_PAIRED_STAR = re.compile(r"(?<![\w*])\*(?=[^\s*])([^*\n]*[^\s*])\*(?![\w*])")
_STARS = re.compile(r"(?<!\d)\*{2,}|\*{2,}(?!\d)|(?<![\d\s*])\*(?!\*)|(?<!\*)\*(?![\d\s*])")
_EDGE_UNDERSCORES = re.compile(r"(?<![\w@.])_+|_+(?![\w@.])")
_INNER_UNDERSCORE = re.compile(r"(?<=[^\W_])_+(?=[^\W_])(?![^\s@]*@)")
_STRIKE = re.compile(r"~~+|`+|\\[()\[\]]|\\(?=[*_`#\[\]])")
_PICTURE = "[\u2190-\u21ff\u2300-\u23ff\u25a0-\u27bf\u2b00-\u2bff\u3030\u303d\U0001f000-\U0001fbff™®©]"
_EMOJI = re.compile(f"{_PICTURE}(?:[\ufe0f\u20e3\U000e0020-\U000e007f]|\u200d{_PICTURE})*|[\ufe0e\ufe0f\u20e3]")
_EMOTICON = re.compile(r"(?<!\S)[:;=]['-]?[()DPpOo|/](?!\S)")
_SPACES = re.compile(r"\s+")
_SPACE_BEFORE = re.compile(r" +(?=[,.;!?](?:\s|$))")
_LEADING = re.compile(r"^[\s,;:.!?)\]}»”—–-]+(?=\s)|^[,;:)\]}»]+")

_NAMES = {
    "py": "Python",
    "python": "Python",
    "js": "JavaScript",
    "javascript": "JavaScript",
    "ts": "TypeScript",
    "typescript": "TypeScript",
    "sh": "shell",
    "bash": "shell",
    "shell": "shell",
    "console": "shell",
    "cpp": "C plus plus",
    "c++": "C plus plus",
    "cs": "C sharp",
    "c#": "C sharp",
    "html": "HTML",
    "css": "CSS",
    "json": "JSON",
    "yaml": "YAML",
    "yml": "YAML",
    "toml": "TOML",
    "sql": "SQL",
    "xml": "XML",
    "rs": "Rust",
    "rb": "Ruby",
    "md": "Markdown",
}
_NO_LANGUAGE = frozenset(("", "text", "txt", "plain", "plaintext", "none"))
# Without and with the name of a programming language.
_CODE = {
    "en": ("A code example.", "A code example in {}."),
    "de": ("Ein Codebeispiel.", "Ein Codebeispiel in {}."),
    "fr": ("Un exemple de code.", "Un exemple de code en {}."),
    "es": ("Un ejemplo de código.", "Un ejemplo de código en {}."),
    "it": ("Un esempio di codice.", "Un esempio di codice in {}."),
}


def speakable(raw: str, language: str = "en") -> str:
    """What to say for `raw`: Markdown's marks, pictures, code and addresses made words or left out, and
    what voices misread in `language` written as it is said.

    "" where nothing is left that has a letter or a digit.
    """
    text = _FENCED.sub(lambda match: f"\n{_code_notice(match.group(2), language)}\n", raw)
    text = _TABLE_RULE.sub("", text)
    text = _RULE.sub("", text)
    text = _QUOTE.sub("", text)
    text = _HEADING.sub(r"\1", text)
    text = _BULLET.sub("", text)
    text = _NUMBER.sub(r"\1: ", text)
    text = _TABLE_ROW.sub(_row, text)
    text = _IMAGE_OR_LINK.sub(lambda match: match.group(1) or match.group(2) or "", text)
    text = _FOOTNOTE.sub("", text)
    text = _ADDRESS.sub(_host, text)
    text = _BARE_WWW.sub(_host, text)
    text = html.unescape(_TAG.sub(" ", text))
    text = _PAIRED_STAR.sub(r"\1", text)
    text = _STARS.sub("", text)
    text = _STRIKE.sub("", text)
    text = _EDGE_UNDERSCORES.sub("", text)
    text = _INNER_UNDERSCORE.sub(" ", text)
    text = _EMOJI.sub(" ", text)
    text = normalised(_EMOTICON.sub(" ", text), language)
    text = _SPACES.sub(" ", text)
    text = _LEADING.sub("", _SPACE_BEFORE.sub("", text)).strip()
    return text if any(char.isalnum() for char in text) else ""


def _code_notice(name: str, language: str) -> str:
    plain, named = _CODE.get(language[:2].casefold(), _CODE["en"])
    folded = name.casefold()
    return (
        plain
        if folded in _NO_LANGUAGE
        else named.format(_NAMES.get(folded, name.capitalize() if name.islower() else name))
    )


def _row(match: re.Match[str]) -> str:
    """A table's row is read cell by cell."""
    cells = [cell.strip() for cell in match.group(1).split("|")]
    return ", ".join(cell for cell in cells if cell)


def _host(match: re.Match[str]) -> str:
    """An address is spoken as its host; the punctuation behind it belongs to the sentence."""
    after = _AFTER_ADDRESS.search(match.group(0).rstrip(">"))
    host = _AFTER_ADDRESS.sub("", match.group(1))
    host = host.rpartition("@")[2].removeprefix("www.")
    return host + (after.group(0) if after else "")
