"""`parley fit` of folders, as a person runs it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.llm.tiny_folder import make_folder
from web.main import main


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    capsys.readouterr()
    assert main(["fit", *arguments]) == 0
    return " ".join(capsys.readouterr().out.split())


def test_one_that_makes_vectors_of_images(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = pytest.importorskip("safetensors.numpy")
    config = {"architectures": ["CLIPModel"], "model_type": "clip", "text_config": {}, "vision_config": {}}
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    weights.save_file({"w": np.zeros((1024, 512), np.float16)}, str(tmp_path / "model.safetensors"))
    told = said(capsys, str(tmp_path))
    assert "CLIPModel" in told and "It fits. It has no context to keep between requests." in told
    assert "weights 2 MiB" in told and "KV cache" not in told and "conversations" not in told


def test_one_that_knows_little(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = said(capsys, str(make_folder(tmp_path / "small", context=128)))
    assert "for conversations of 128 tokens" in told
    assert "It fits. The longest context that fits is 128 tokens; the model was trained on 128." in told
