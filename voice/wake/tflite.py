"""TensorFlow Lite models through the C library in the pyopen-wakeword wheel: run them, read their tensors.

Only the calls that are needed, after `tensorflow/lite/c/c_api.h`. The wheel's Python is not imported. A model is
confined to one thread; the library lets go of the GIL, as all ctypes calls do.
"""

from __future__ import annotations

import ctypes
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models.errors import ModelUnreadable
from voice.errors import NoModel

__all__ = ["TfliteModel", "wheel_folder"]

Floats = npt.NDArray[np.float32]

_FLOAT32 = 1

_PROTOTYPES: dict[str, tuple[object, list[object]]] = {
    "ModelCreateFromFile": (ctypes.c_void_p, [ctypes.c_char_p]),
    "ModelDelete": (None, [ctypes.c_void_p]),
    "InterpreterCreate": (ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_void_p]),
    "InterpreterDelete": (None, [ctypes.c_void_p]),
    "InterpreterAllocateTensors": (ctypes.c_int, [ctypes.c_void_p]),
    "InterpreterInvoke": (ctypes.c_int, [ctypes.c_void_p]),
    "InterpreterResizeInputTensor": (
        ctypes.c_int,
        [ctypes.c_void_p, ctypes.c_int32, ctypes.POINTER(ctypes.c_int), ctypes.c_int32],
    ),
    "InterpreterGetInputTensorCount": (ctypes.c_int32, [ctypes.c_void_p]),
    "InterpreterGetInputTensor": (ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_int32]),
    "InterpreterGetOutputTensor": (ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_int32]),
    "InterpreterGetTensor": (ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_int]),
    "TensorName": (ctypes.c_char_p, [ctypes.c_void_p]),
    "TensorType": (ctypes.c_int, [ctypes.c_void_p]),
    "TensorNumDims": (ctypes.c_int32, [ctypes.c_void_p]),
    "TensorDim": (ctypes.c_int32, [ctypes.c_void_p, ctypes.c_int32]),
    "TensorData": (ctypes.c_void_p, [ctypes.c_void_p]),
    "TensorCopyFromBuffer": (ctypes.c_int, [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]),
    "TensorCopyToBuffer": (ctypes.c_int, [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]),
}


def wheel_folder() -> Path:
    """Where pyopen-wakeword is installed. Raises NoModel where it is not."""
    spec = find_spec("pyopen_wakeword")
    if spec is None or not spec.submodule_search_locations:
        raise NoModel("openWakeWord is not installed", hint="pip install pyopen-wakeword")
    return Path(spec.submodule_search_locations[0])


def _library() -> ctypes.CDLL:
    found = sorted((wheel_folder() / "lib").glob("*tensorflowlite_c*"))
    if not found:
        raise NoModel(
            "this build of pyopen-wakeword brings no TensorFlow Lite library",
            hint='it has wheels for Linux, macOS and Windows; `[voice.wake] engine = "none"` does without',
        )
    library = ctypes.CDLL(str(found[0]))
    for name, (result, arguments) in _PROTOTYPES.items():
        function = getattr(library, f"TfLite{name}")
        function.restype, function.argtypes = result, arguments
    return library


class TfliteModel:
    """One model with one float input and one float output."""

    def __init__(self, path: Path, input_shape: tuple[int, ...] | None = None) -> None:
        """`input_shape` where the model leaves it open. Raises ModelUnreadable."""
        self._lib = _library()
        self._model = self._lib.TfLiteModelCreateFromFile(str(path).encode())
        self._interpreter = self._lib.TfLiteInterpreterCreate(self._model, None) if self._model else None
        if not self._interpreter:
            self.close()
            raise ModelUnreadable(f"{path.name} is not a TensorFlow Lite model that can be run")
        if input_shape is not None:
            dims = (ctypes.c_int * len(input_shape))(*input_shape)
            self._lib.TfLiteInterpreterResizeInputTensor(self._interpreter, 0, dims, len(input_shape))
        if (
            self._lib.TfLiteInterpreterAllocateTensors(self._interpreter) != 0
            or self._lib.TfLiteInterpreterGetInputTensorCount(self._interpreter) != 1
        ):
            self.close()
            raise ModelUnreadable(f"{path.name} cannot be run, or has more than one input")
        self._input = self._lib.TfLiteInterpreterGetInputTensor(self._interpreter, 0)
        self._output = self._lib.TfLiteInterpreterGetOutputTensor(self._interpreter, 0)
        if (
            self._lib.TfLiteTensorType(self._input) != _FLOAT32
            or self._lib.TfLiteTensorType(self._output) != _FLOAT32
        ):
            self.close()
            raise ModelUnreadable(f"{path.name} does not take and give 32-bit floats")
        self.input_shape = self._shape(self._input)

    def run(self, values: Floats) -> Floats:
        """`values` of `input_shape`; the output in its own shape. Raises RuntimeError if the library fails."""
        values = np.ascontiguousarray(values, np.float32)
        if values.shape != self.input_shape:
            raise ValueError(f"the input is {values.shape}, not {self.input_shape}")
        out = np.empty(self._shape(self._output), np.float32)
        failed = (
            self._lib.TfLiteTensorCopyFromBuffer(self._input, values.ctypes.data, values.nbytes)
            or self._lib.TfLiteInterpreterInvoke(self._interpreter)
            or self._lib.TfLiteTensorCopyToBuffer(self._output, out.ctypes.data, out.nbytes)
        )
        if failed:
            raise RuntimeError(f"TensorFlow Lite failed with status {failed}")
        return out

    def tensors(self) -> list[tuple[str, Floats]]:
        """(name, copy) of every float tensor, weights and activations, in the model's order."""
        found, index = [], 0
        while (tensor := self._lib.TfLiteInterpreterGetTensor(self._interpreter, index)) is not None:
            index += 1
            data = self._lib.TfLiteTensorData(tensor)
            if data and self._lib.TfLiteTensorType(tensor) == _FLOAT32:
                shape = self._shape(tensor)
                flat = np.ctypeslib.as_array(
                    ctypes.cast(data, ctypes.POINTER(ctypes.c_float)), (int(np.prod(shape)),)
                )
                found.append(((self._lib.TfLiteTensorName(tensor) or b"").decode(), flat.reshape(shape).copy()))
        return found

    def close(self) -> None:
        if getattr(self, "_interpreter", None):
            self._lib.TfLiteInterpreterDelete(self._interpreter)
            self._interpreter = None
        if getattr(self, "_model", None):
            self._lib.TfLiteModelDelete(self._model)
            self._model = None

    def __del__(self) -> None:
        self.close()

    def _shape(self, tensor: int) -> tuple[int, ...]:
        return tuple(self._lib.TfLiteTensorDim(tensor, i) for i in range(self._lib.TfLiteTensorNumDims(tensor)))
