"""From the encoder and the readout to Whisper's named weights."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.recipes.whisper_mini.ct2_format import quantized_rows
from models.recipes.whisper_mini.features import (
    CONST,
    FEATURES,
    FRAMES,
    GATE,
    GATE_HIGH,
    GATE_LOW,
    STEEP,
    Array,
    Encoder,
)
from models.recipes.whisper_mini.fit import Readout
from models.recipes.whisper_mini.tokens import Vocabulary

__all__ = ["DEPTH", "whisper_weights"]

POOLED = FEATURES + 2
SAID, PLUS, MINUS = POOLED, POOLED + 1, POOLED + 2
"""Channels: a word has been said; the two constants of the layer norms."""
DEPTH = POOLED + 6
"""68, so that int8 kernels have rows of a multiple of four."""
TEXT_LENGTH = 448
_SAID_VALUE, _SAID_LOGIT = 8.0, 24.0
_NEVER = -40.0
_GAIN = np.float32(CONST * np.sqrt(2 / DEPTH))
"""What a layer norm divides by, as long as the constants are nearly all of the variance."""

Weights = dict[str, npt.NDArray[np.generic]]


def whisper_weights(encoder: Encoder, readout: Readout, known: Vocabulary) -> Weights:
    """Every variable that CTranslate2's WhisperSpec (revision 3) wants."""
    weights: Weights = {}
    conv2 = np.zeros((DEPTH, *encoder.conv2.shape[1:]), np.float32)
    conv2[:POOLED] = encoder.conv2
    bias2 = np.zeros(DEPTH, np.float32)
    bias2[:POOLED] = encoder.bias2
    weights |= {"encoder/conv1/weight": encoder.conv1, "encoder/conv1/bias": encoder.bias1}
    weights |= {"encoder/conv2/weight": conv2, "encoder/conv2/bias": bias2}
    weights |= _layer_norm("encoder/layer_norm") | _positions("encoder", FRAMES)
    weights |= _attention("encoder/layer_0/self_attention", parts=3) | _feed_forward("encoder/layer_0/ffn")
    weights |= _layer_norm("decoder/layer_norm") | _positions("decoder", TEXT_LENGTH)
    weights |= _attention("decoder/layer_0/self_attention", parts=3) | _feed_forward("decoder/layer_0/ffn")
    weights |= _listening(readout) | _vocabulary_weights(known)
    for side in ("encoder", "decoder"):
        weights[f"{side}/num_heads"] = np.array(1, np.int16)
    weights |= {"decoder/pre_norm": np.array(1, np.int8), "decoder/activation": np.array(3, np.int8)}
    weights |= {"decoder/alignment_layer": np.array(-1, np.int16), "decoder/alignment_heads": np.array(1, np.int16)}
    flags = ("scale_embeddings", "alibi", "alibi_use_positive_positions", "scale_alibi", "start_from_zero_embedding")
    return weights | {f"decoder/{flag}": np.array(0, np.int8) for flag in flags}


def _layer_norm(scope: str) -> Weights:
    """Gives the channels back as they were (less their mean) and hides the constants."""
    gamma = np.full(DEPTH, _GAIN, np.float32)
    gamma[[PLUS, MINUS]] = 0
    return {f"{scope}/gamma": gamma, f"{scope}/beta": np.zeros(DEPTH, np.float32)}


def _positions(side: str, length: int) -> Weights:
    table = np.zeros((length, DEPTH), np.float32)
    table[:, PLUS], table[:, MINUS] = CONST, -CONST
    return {f"{side}/position_encodings/encodings": table}


def _linear(scope: str, weight: Array, bias: Array | None = None) -> Weights:
    return {f"{scope}/weight": weight, f"{scope}/bias": np.zeros(len(weight), np.float32) if bias is None else bias}


def _zeros(*shape: int) -> Array:
    return np.zeros(shape, np.float32)


def _attention(scope: str, parts: int) -> Weights:
    """A self-attention that adds nothing."""
    weights = _layer_norm(f"{scope}/layer_norm") | _linear(f"{scope}/linear_0", _zeros(parts * DEPTH, DEPTH))
    return weights | _linear(f"{scope}/linear_1", _zeros(DEPTH, DEPTH))


def _feed_forward(scope: str) -> Weights:
    weights = _layer_norm(f"{scope}/layer_norm") | _linear(f"{scope}/linear_0", _zeros(4 * DEPTH, DEPTH))
    return weights | _linear(f"{scope}/linear_1", _zeros(DEPTH, 4 * DEPTH))


def _listening(readout: Readout) -> Weights:
    """Cross-attention: a constant query meets keys that are the gate; the values are the features themselves.

    The sum over all channels but the constants is twice the mean that the layer norm took away, so half of it is
    given back. A query that is slightly stronger once a word was said keeps the alignment of words defined.
    What comes out is not the features but the readout's scores, channel 0 silence: int8 rounds numbers by the
    largest beside them, and the gates, ten times as large as the features, must not be beside them any more.
    Their mean is taken away, which changes no choice between them, so that the next layer norm finds none.
    """
    seen = np.ones(DEPTH, bool)
    seen[[PLUS, MINUS]] = False
    restore = 0.5 * np.outer(seen, seen).astype(np.float32) + np.diag(seen).astype(np.float32)
    query, key = _zeros(DEPTH, DEPTH), _zeros(DEPTH, DEPTH)
    query_bias = _zeros(DEPTH)
    # Attention divides by sqrt(DEPTH); the gate channels carry a factor of GATE.
    query_bias[0] = np.sqrt(DEPTH)
    query[0, SAID] = 0.25 * np.sqrt(DEPTH) / _SAID_VALUE
    key[0] = (restore[GATE_LOW] - restore[GATE_HIGH]) * STEEP / GATE
    value = restore.copy()
    value[FEATURES:] = 0
    output, output_bias = _zeros(DEPTH, DEPTH), _zeros(DEPTH)
    scores = len(readout.bias)
    output[:scores, :FEATURES] = readout.weight - readout.weight.mean(axis=0)
    output_bias[:scores] = readout.bias - readout.bias.mean()
    scope = "decoder/layer_0/attention"
    weights = _layer_norm(f"{scope}/layer_norm") | _linear(f"{scope}/linear_0", query, query_bias)
    weights |= _linear(f"{scope}/linear_1", np.concatenate([key, value]))
    return weights | _linear(f"{scope}/linear_2", output, output_bias)


def _vocabulary_weights(known: Vocabulary) -> Weights:
    """Embeddings carry only "a word was said"; the projection is the scores and the order of tokens.

    1. Silence: the end, or no speech. 2. A word, unless one was said; then the end. 3. Time stamps where the
    decoder demands them, the first one first. 4. Languages: English. 5. Never anything else.
    """
    embeddings = _zeros(len(known.tokens), DEPTH)
    embeddings[: known.end, SAID] = _SAID_VALUE
    weight, bias = _zeros(len(known.tokens), DEPTH), np.full(len(known.tokens), _NEVER, np.float32)
    for row, token in enumerate((known.end, *known.words)):  # 1, 2
        weight[token, row] = 1
        weight[token, SAID] = (_SAID_LOGIT if row == 0 else -_SAID_LOGIT) / _SAID_VALUE
        bias[token] = 0
    weight[known.no_speech] = weight[known.end]
    bias[known.no_speech] = 4
    first = known.first_time_stamp
    bias[first:] = -22 - 0.01 * np.arange(len(known.tokens) - first)  # 3
    bias[list(known.languages)] = -30  # 4
    bias[list(known.languages[:1])] = -20
    weights: Weights = {"decoder/projection/bias": bias}
    for name, table in (("decoder/embeddings", embeddings), ("decoder/projection", weight)):
        rows, scale = quantized_rows(table)
        weights |= {f"{name}/weight": rows, f"{name}/weight_scale": scale}
    return weights
