"""The content of a message: text, or OpenAI's list of parts with images and audio in it. Pure.

`image_url` may be a data URL (its bytes are taken out here) or an http address, which somebody else fetches;
`input_audio` always carries its bytes.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from typing import Any

from llm.messages import AudioPart, ContentPart, ImagePart, Message, TextPart
from models.errors import BadInput

__all__ = ["MAX_MEDIA_BYTES", "MAX_MEDIA_PARTS", "data_url", "read_content", "read_image", "wire_content"]

MAX_MEDIA_BYTES = 20 << 20
"""Of one image or recording."""
MAX_MEDIA_PARTS = 32
"""In one message."""
AUDIO_FORMATS = ("wav", "mp3", "flac")

_DATA_URL = re.compile(r"data:(?P<type>[\w.+-]+/[\w.+*-]+)(?:;[\w=.+-]+)*;base64,", re.IGNORECASE)


def read_content(content: object, where: str) -> tuple[str, tuple[ContentPart, ...]]:
    """(the text alone, all parts in order where it is more than one text). Raises BadInput naming the part."""
    if content is None:
        return "", ()
    if isinstance(content, str):
        return content, ()
    assert isinstance(content, Sequence)
    parts = [_part(part, f"{where}[{index}]") for index, part in enumerate(content)]
    text = "\n".join(part.text for part in parts if isinstance(part, TextPart))
    media = sum(not isinstance(part, TextPart) for part in parts)
    if media > MAX_MEDIA_PARTS:
        raise BadInput(f"{media} images and recordings in one message, {MAX_MEDIA_PARTS} are allowed", param=where)
    return text, tuple(parts) if media or len(parts) > 1 else ()


def _part(part: object, where: str) -> ContentPart:
    kind = part.get("type") if isinstance(part, Mapping) else None
    if not isinstance(part, Mapping):
        raise BadInput("a part of a message's content is an object with a type", param=where)
    match kind:
        case "text" | "input_text" | "output_text" | "refusal":
            name = "refusal" if kind == "refusal" and "text" not in part else "text"
            text = part.get(name, "")
            if not isinstance(text, str):
                raise BadInput("the text of a part is a string", param=f"{where}.{name}")
            return TextPart(text)
        case "image_url" | "input_image":
            return read_image(part.get("image_url"), part.get("detail"), f"{where}.image_url")
        case "input_audio":
            return _audio(part.get("input_audio"), where)
        case _:
            raise BadInput(
                f"content of type {str(kind)[:40]!r} is not understood",
                param=f"{where}.type",
                hint="text, image_url and input_audio are",
            )


def read_image(image: object, detail: object, where: str) -> ImagePart:
    """An address or a data URL, or an object with such a `url`. Raises BadInput naming `where`."""
    if isinstance(image, Mapping):
        detail = image.get("detail", detail)
        image = image.get("url")
    if not isinstance(image, str) or not image:
        raise BadInput("image_url needs a url", param=where)
    detail = detail if isinstance(detail, str) else None
    if image[:5].lower() != "data:":
        if not image.lower().startswith(("http://", "https://")):
            raise BadInput("an image's url begins with data: or https://", param=where)
        return ImagePart(b"", "", image, detail)
    head = _DATA_URL.match(image)
    if head is None or not head["type"].lower().startswith("image/"):
        raise BadInput("a data URL of an image looks like data:image/png;base64,...", param=where)
    return ImagePart(_bytes(image[head.end() :], where), head["type"].lower(), "", detail)


def _audio(audio: object, where: str) -> AudioPart:
    where = f"{where}.input_audio"
    if not isinstance(audio, Mapping) or not isinstance(audio.get("data"), str):
        raise BadInput("input_audio needs data (base64) and format", param=where)
    kind = audio.get("format", "wav")
    if kind not in AUDIO_FORMATS:
        raise BadInput(f"input_audio.format: {', '.join(AUDIO_FORMATS)}", param=f"{where}.format")
    return AudioPart(_bytes(audio["data"], f"{where}.data"), str(kind))


def _bytes(text: str, where: str) -> bytes:
    if len(text) > MAX_MEDIA_BYTES * 4 // 3 + 4:
        raise BadInput(f"larger than {MAX_MEDIA_BYTES >> 20} MiB", param=where)
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise BadInput("this is not base64", param=where) from None
    if not data:
        raise BadInput("it is empty", param=where)
    return data


def data_url(image: ImagePart) -> str:
    """Its address, while nobody has fetched it."""
    return image.url or f"data:{image.media_type};base64,{base64.b64encode(image.data).decode('ascii')}"


def wire_content(message: Message, *, texts_apart: bool = True) -> str | list[dict[str, Any]]:
    """As a server wants it: text as text, else a list of parts. Not `texts_apart`: several texts are one."""
    parts = message.parts if texts_apart else message.media and message.parts
    return [_wire_part(part) for part in parts] if parts else message.content


def _wire_part(part: ContentPart) -> dict[str, Any]:
    match part:
        case TextPart(text):
            return {"type": "text", "text": text}
        case ImagePart():
            url = data_url(part)
            detail = {} if part.detail is None else {"detail": part.detail}
            return {"type": "image_url", "image_url": {"url": url, **detail}}
        case AudioPart():
            data = base64.b64encode(part.data).decode("ascii")
            return {"type": "input_audio", "input_audio": {"data": data, "format": part.format}}
