"""How well each sound of pocketsphinx's en-us acoustic model fits each 10 ms of speech; numpy, read from its files.

pocketsphinx gives the best path through one grammar. Who compares phrases with one another wants all of their scores
at once, and computing the sounds anew for each grammar is nearly all the time that a short sound takes. Formats and
the names in them are those of pocketsphinx 5 (src/bin_mdef.c, ms_gauden.c, ptm_mgau.c, tmat.c, feat.c): phonetically
tied mixtures, 42 codebooks of three streams of 128 densities; a senone is a state of a phone in its context.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

__all__ = ["BEGIN", "END", "INTERNAL", "SINGLE", "Acoustics", "Floats", "Phone"]

STATES = 3
STREAMS = 3
CEPSTRA = 13
LOG_STEP = float(np.log(1.0001)) * 1024
"""Of a mixture weight, a byte."""
LEAST_VARIANCE = 1e-4
LEAST = 1e-30
END_OF_HEADER = b"endhdr\n"
INTERNAL, BEGIN, END, SINGLE = range(4)
"""Where in its word a phone is."""

Floats = npt.NDArray[np.float32]
Phone = tuple[str, str, str, int]
"""The phone, the one before, the one after, and where in its word it is."""


class Acoustics:
    """Read only; 6 MB. Raises OSError and ValueError where the files are not such a model."""

    def __init__(self, folder: Path) -> None:
        means, variances = (_gaussians(folder / name) for name in ("means", "variances"))
        variances = np.maximum(variances, LEAST_VARIANCE)
        # log N(x) = a.x^2 + b.x + c: [codebooks, streams, 26, densities] and [codebooks, streams, 1, densities]
        self._weights = np.concatenate((-0.5 / variances, means / variances), axis=3).transpose(0, 1, 3, 2).copy()
        constant = -0.5 * (np.log(2 * np.pi * variances) + means**2 / variances).sum(axis=3)
        self._constants = constant[:, :, None, :].astype(np.float32)
        self._read_phones(folder / "mdef")
        self._steps = _steps(folder / "sendump", len(self._codebook_of))
        self._moves = _transitions(folder / "transition_matrices")

    def _read_phones(self, path: Path) -> None:
        data = path.read_bytes()
        magic, _, text = struct.unpack_from("<iii", data)
        if magic != 0x46444D42:
            raise ValueError(f"{path.name} is not a binary model definition")
        at = 12 + text
        names, phones, states, _, senones, _, sequences, _, nodes, _ = struct.unpack_from("<10i", data, at)
        if states != STATES:
            raise ValueError(f"{path.name} has phones of {states} states")
        at = begin = at + 40
        self.names: dict[str, int] = {}
        for number in range(names):
            end = data.index(b"\0", at)
            self.names[data[at:end].decode()] = number
            at = end + 1
        at = begin + -(-(at - begin) // 4) * 4 + nodes * 8
        table = np.frombuffer(data, np.dtype("<i4, <i4, 4u1"), phones, at)
        at += phones * 12 + 4
        sequence_of, info = table["f0"], table["f2"].astype(np.int64)
        self._senones = np.frombuffer(data, "<u2", sequences * STATES, at).reshape(sequences, STATES)
        info[:names] = 0
        own = info[:, 1].copy()
        own[:names] = np.arange(names)
        self._codebook_of = np.zeros(senones, np.int64)
        self._codebook_of[self._senones[sequence_of]] = own[:, None]
        self._plain = sequence_of[:names]
        keys = ((info[names:, 1] * 64 + info[names:, 2]) * 64 + info[names:, 3]) * 4 + info[names:, 0]
        order = np.argsort(keys)
        self._keys, self._sequence_of = keys[order], sequence_of[names:][order]

    def senones(self, phone: Phone) -> npt.NDArray[np.uint16]:
        """Its three; of the phone elsewhere in a word, or of the phone alone, where that context is not modelled."""
        name, before, after, place = phone
        base = self.names[name]
        key = ((base * 64 + self.names[before]) * 64 + self.names[after]) * 4
        for each in (place, INTERNAL, BEGIN, END, SINGLE):
            at = int(np.searchsorted(self._keys, key + each))
            if at < len(self._keys) and self._keys[at] == key + each:
                found: npt.NDArray[np.uint16] = self._senones[self._sequence_of[at]]
                return found
        return self.alone(name)

    def alone(self, name: str) -> npt.NDArray[np.uint16]:
        """The three of a phone whatever is around it."""
        found: npt.NDArray[np.uint16] = self._senones[self._plain[self.names[name]]]
        return found

    def moves(self, name: str) -> Floats:
        """Log probabilities, [3 states, (stay, go on)]."""
        found: Floats = self._moves[self.names[name]]
        return found

    def of(self, senones: npt.NDArray[np.int64]) -> Callable[[Floats], Floats]:
        """What gives the log likelihoods of these senones, [frames, senones], for cepstra [frames, 13]."""
        books = self._codebook_of[senones]
        parts = []
        for book in np.unique(books):
            places = np.flatnonzero(books == book)
            mixtures = np.exp(-LOG_STEP * self._steps[:, :, senones[places]].astype(np.float32))
            parts.append((places, self._weights[book], self._constants[book], mixtures))

        def fit(cepstra: Floats) -> Floats:
            streams = _streams(cepstra)
            found = np.empty((len(cepstra), len(senones)), np.float32)
            for places, weights, constants, mixtures in parts:
                densities = streams @ weights + constants
                best = densities.max(axis=2, keepdims=True)
                mixed = np.exp(densities - best) @ mixtures
                found[:, places] = (np.log(mixed + LEAST) + best).sum(axis=0)
            return found

        return fit


def _streams(cepstra: Floats) -> Floats:
    """Cepstra, their slopes and the slopes of these, each with its squares before it: [3, frames, 26]."""
    padded = np.pad(cepstra, ((3, 3), (0, 0)), mode="edge")
    count = len(cepstra)

    def at(shift: int) -> Floats:
        return padded[3 + shift : 3 + shift + count]

    plain = np.stack((at(0), at(2) - at(-2), at(3) - at(-1) - at(1) + at(-3)))
    return np.concatenate((plain**2, plain), axis=2, dtype=np.float32)


def _body(path: Path) -> tuple[tuple[int, ...], bytes]:
    """The numbers and the data after the header and the byte order of an "s3" file."""
    data = path.read_bytes()
    at = data.index(END_OF_HEADER) + len(END_OF_HEADER) + 4
    return struct.unpack_from("<7i", data, at), data[at:]


def _gaussians(path: Path) -> npt.NDArray[np.float32]:
    """[codebooks, streams, densities, 13]."""
    (codebooks, streams, densities, *widths), data = _body(path)
    if streams != STREAMS or widths[:STREAMS] != [CEPSTRA] * STREAMS:
        raise ValueError(f"{path.name} has streams of {widths}")
    count = codebooks * streams * densities * CEPSTRA
    values = np.frombuffer(data, "<f4", count, 4 * (3 + STREAMS + 1))
    return values.reshape(codebooks, streams, densities, CEPSTRA)


def _transitions(path: Path) -> Floats:
    """Log probabilities to stay and to go on, [phones, 3 states, 2]: counts in the file, as rows of four."""
    (phones, rows, columns, *_), data = _body(path)
    counts = np.frombuffer(data, "<f4", phones * rows * columns, 16).reshape(phones, rows, columns)
    logs = np.log(np.maximum(counts / counts.sum(axis=2, keepdims=True), 1e-4))
    return np.stack([logs[:, [0, 1, 2], [0, 1, 2]], logs[:, [0, 1, 2], [1, 2, 3]]], axis=2).astype(np.float32)


def _steps(path: Path, senones: int) -> npt.NDArray[np.uint8]:
    """Mixture weights in steps down from one, [streams, densities, senones]; the file begins with what it is."""
    data, at, densities = path.read_bytes(), 0, 128
    while (length := struct.unpack_from("<i", data, at)[0]) != 0:
        at += 4 + length
    rows, columns = struct.unpack_from("<ii", data, at + 4)
    if (rows, columns) != (densities, senones):
        raise ValueError(f"{path.name} has {rows} densities of {columns} senones")
    return np.frombuffer(data, np.uint8, STREAMS * rows * columns, at + 12).reshape(STREAMS, rows, columns)
