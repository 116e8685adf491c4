"""Whether a LoRA adapter is for a model, by the headers of both: what llama.cpp finds out while it loads it. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from models.formats.gguf import GgufHeader

__all__ = ["why_not"]

_A, _B = ".lora_a", ".lora_b"
_EMBEDDING = "token_embd.weight"
"""Its rows are looked up and not multiplied, so its first matrix lies the other way round."""

_Sizes = tuple[int, int, int]


def why_not(adapter: GgufHeader, model: Iterable[GgufHeader]) -> str:
    """ "" where it fits. `model`: the headers of all files of the model."""
    if (kind := adapter.metadata.get("adapter.type")) != "lora":
        return f"its adapter.type is {str(kind)[:40]!r} and not 'lora'"
    own, base = _sizes([adapter]), _sizes(model)
    changed = sorted({name.removesuffix(end) for name in own for end in (_A, _B) if name.endswith(end)})
    if not changed:
        return "it changes nothing"
    for name in changed:
        a, b, of = own.get(name + _A), own.get(name + _B), base.get(name)
        if a is None or b is None:
            return f"one half of {name[:80]} is missing"
        if of is None:
            return f"it changes {name[:80]}, which that model does not have"
        if name == _EMBEDDING:
            a = (a[1], a[0], a[2])
            changes = (b[1], a[0])
        else:
            changes = (a[0], b[1])
        if changes != of[:2] or a[1] != b[0] or not a[2] == b[2] == of[2]:
            there, here = ("x".join(map(str, size)) for size in (changes, of[:2]))
            return f"{name[:80]} is {there} in it and {here} in that model"
    return ""


def _sizes(headers: Iterable[GgufHeader]) -> dict[str, _Sizes]:
    found: dict[str, _Sizes] = {}
    for header in headers:
        for tensor in header.tensors:
            one, two, three = (*tensor.shape, 1, 1, 1)[:3]
            found[tensor.name] = (one, two, three)
    return found
