"""A Whisper encoder of one layer before Ultravox's projector, with random weights: a recording becomes vectors."""

from __future__ import annotations

import io
import math
import struct
import wave
from pathlib import Path

import numpy as np
from gguf import GGUFWriter

__all__ = ["tone", "write_ears"]

_STACK = 10


def write_ears(path: Path, width: int) -> Path:
    """Thirty seconds of audio become 150 vectors of `width` numbers."""
    rng = np.random.default_rng(6)
    hidden, inner, mels, middle = 32, 64, 80, 64
    writer = GGUFWriter(path, "clip")
    writer.add_type("mmproj")
    writer.add_bool("clip.has_audio_encoder", True)
    writer.add_string("clip.projector_type", "ultravox")
    writer.add_bool("clip.use_gelu", True)
    numbers = {
        "num_mel_bins": mels,
        "embedding_length": hidden,
        "feed_forward_length": inner,
        "projection_dim": width,
    }
    numbers |= {"block_count": 1, "attention.head_count": 2, "projector.stack_factor": _STACK}
    for name, number in numbers.items():
        writer.add_uint32(f"clip.audio.{name}", number)
    writer.add_float32("clip.audio.attention.layer_norm_epsilon", 1e-5)

    def add(name: str, *shape: int, half: bool = False) -> None:
        values = rng.standard_normal(shape).astype(np.float32) * np.float32(0.3)
        writer.add_tensor(name, values.astype(np.float16) if half else values)

    for number, into in ((1, mels), (2, hidden)):
        add(f"a.conv1d.{number}.weight", hidden, into, 3, half=True)
        add(f"a.conv1d.{number}.bias", hidden, 1)
    add("a.position_embd.weight", 1500, hidden)
    for name in ("a.post_ln", "a.blk.0.ln1", "a.blk.0.ln2"):
        add(f"{name}.weight", hidden)
        add(f"{name}.bias", hidden)
    for name in ("attn_q", "attn_k", "attn_v", "attn_out"):
        add(f"a.blk.0.{name}.weight", hidden, hidden)
        if name != "attn_k":  # Whisper has none
            add(f"a.blk.0.{name}.bias", hidden)
    for name, out, into in (("ffn_up", inner, hidden), ("ffn_down", hidden, inner)):
        add(f"a.blk.0.{name}.weight", out, into)
        add(f"a.blk.0.{name}.bias", out)
    add("mm.a.norm_pre.weight", hidden * _STACK)
    add("mm.a.mlp.1.weight", 2 * middle, hidden * _STACK)
    add("mm.a.norm_mid.weight", middle)
    add("mm.a.mlp.2.weight", width, middle)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def tone(hertz: float, seconds: float = 1.0) -> bytes:
    """A wav file, 16 kHz mono."""
    count = int(16_000 * seconds)
    samples = [int(12_000 * math.sin(2 * math.pi * hertz * n / 16_000)) for n in range(count)]
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(struct.pack(f"<{count}h", *samples))
    return out.getvalue()
