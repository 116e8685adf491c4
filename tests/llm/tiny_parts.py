"""A LoRA adapter and an image projector for the bundled model, with random weights: the smallest that load."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
from gguf import GGUFReader, GGUFWriter

__all__ = ["png", "write_lora", "write_projector"]


def write_lora(path: Path, model: Path, *, strength: float = 1.0) -> Path:
    """Changes the output of every layer's attention, so that the model says something else."""
    rng = np.random.default_rng(3)
    writer = GGUFWriter(path, "llama")
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", 4.0)
    for tensor in GGUFReader(model).tensors:
        if tensor.name.endswith("attn_output.weight"):
            inside, outside = (int(size) for size in tensor.shape)
            a, b = rng.standard_normal((4, inside)), rng.standard_normal((outside, 4))
            writer.add_tensor(f"{tensor.name}.lora_a", (strength * a).astype(np.float32))
            writer.add_tensor(f"{tensor.name}.lora_b", b.astype(np.float32))
    _finish(writer)
    return path


def write_projector(path: Path, width: int) -> Path:
    """A CLIP of one layer in front of LLaVA's two-layer projector: an image becomes 4 vectors of `width` numbers."""
    rng = np.random.default_rng(4)
    hidden, inner, size, patch = 32, 64, 28, 14
    writer = GGUFWriter(path, "clip")
    writer.add_type("mmproj")
    writer.add_bool("clip.has_vision_encoder", True)
    writer.add_string("clip.projector_type", "mlp")
    writer.add_bool("clip.use_gelu", True)
    numbers = {"image_size": size, "patch_size": patch, "embedding_length": hidden, "feed_forward_length": inner}
    numbers |= {"projection_dim": width, "block_count": 1, "attention.head_count": 2}
    for name, number in numbers.items():
        writer.add_uint32(f"clip.vision.{name}", number)
    writer.add_float32("clip.vision.attention.layer_norm_epsilon", 1e-5)
    writer.add_array("clip.vision.image_mean", [0.5, 0.5, 0.5])
    writer.add_array("clip.vision.image_std", [0.5, 0.5, 0.5])

    def add(name: str, *shape: int) -> None:
        writer.add_tensor(name, rng.standard_normal(shape).astype(np.float32) * np.float32(0.3))

    add("v.class_embd", hidden)
    add("v.patch_embd.weight", hidden, 3, patch, patch)
    add("v.position_embd.weight", (size // patch) ** 2 + 1, hidden)
    for name in ("v.pre_ln", "v.blk.0.ln1", "v.blk.0.ln2"):
        add(f"{name}.weight", hidden)
        add(f"{name}.bias", hidden)
    for name in ("attn_q", "attn_k", "attn_v", "attn_out"):
        add(f"v.blk.0.{name}.weight", hidden, hidden)
        add(f"v.blk.0.{name}.bias", hidden)
    for name, out, into in (("ffn_down", inner, hidden), ("ffn_up", hidden, inner)):
        add(f"v.blk.0.{name}.weight", out, into)
        add(f"v.blk.0.{name}.bias", out)
    for name, out, into in (("mm.0", width, hidden), ("mm.2", width, width)):
        add(f"{name}.weight", out, into)
        add(f"{name}.bias", out)
    _finish(writer)
    return path


def png(red: int, green: int, blue: int, size: int = 28) -> bytes:
    """A picture of one colour."""
    rows = b"".join(b"\0" + bytes((red, green, blue)) * size for _ in range(size))
    out = io.BytesIO(b"\x89PNG\r\n\x1a\n")
    out.seek(0, io.SEEK_END)
    header = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    for kind, data in ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")):
        out.write(struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)))
    return out.getvalue()


def _finish(writer: GGUFWriter) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
