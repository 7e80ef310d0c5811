"""What must hold before a model is given to others; each failure is one line that says how to mend it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from transformers import AutoModel

from ..data.batch import WaveformBatch
from ..foundation.contract import InputContract
from ..heads.model_folder import ModelFolder, check_weights
from ..heads.task_model import load_model
from .facts import read_facts, weight_files

PICKLE_SUFFIXES = (".bin", ".ckpt", ".joblib", ".pickle", ".pkl", ".pt", ".pth")
TEST_WINDOW_S = 30.0


class CheckError(ValueError):
    """A model's folder that may not be published, with all the reasons."""


def check_model(model_dir: str | Path) -> None:
    """Check that strangers can load and use a model, and that it is what it was when it was saved.

    Raises CheckError with one reason a line, FileNotFoundError where there is no folder.
    """
    folder = Path(model_dir)
    if not folder.is_dir():
        raise FileNotFoundError(f"no model at {folder}: expected the folder of a saved model")
    problems = list(_file_problems(folder)) or list(_use_problems(folder))
    if problems:
        raise CheckError(
            f"{folder} cannot be published:\n" + "\n".join(f"- {problem}" for problem in problems)
        )


def _file_problems(folder: Path) -> Iterator[str]:
    try:
        read_facts(folder)
    except (OSError, ValueError) as error:
        yield " ".join(str(error).split())
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        if is_pickle(file):
            yield f"{file.relative_to(folder)} is a pickle, which runs code when it is opened: remove it"
    weights = weight_files(folder)
    if not weights:
        yield "there are no weights: expected model.safetensors or adapter_model.safetensors"
    for file in weights:
        yield from _weight_problems(file)


def is_pickle(file: Path) -> bool:
    """By its name, or by its first bytes: a pickle's protocol mark, or the zip that torch.save makes."""
    if file.suffix in PICKLE_SUFFIXES:
        return True
    with file.open("rb") as stream:
        start = stream.read(4096)
    bare = len(start) > 2 and start[0] == 0x80 and start[1] in range(2, 6)
    return bare or (start[:4] == b"PK\x03\x04" and b"data.pkl" in start)


def _weight_problems(file: Path) -> Iterator[str]:
    try:
        with safe_open(file, framework="pt") as tensors:
            names = list(tensors.keys())
            wrong = [name for name in names if not bool(tensors.get_tensor(name).isfinite().all())]
    except SafetensorError as error:
        yield f"{file.name} cannot be read ({error}): save the model again"
        return
    if not names:
        yield f"{file.name} holds no tensor: save the model again"
    if wrong:
        yield f"{file.name} has weights that are not finite: {wrong[:3]}; take an earlier checkpoint"


def _use_problems(folder: Path) -> Iterator[str]:
    """Load it twice, look at a test window, compare."""
    try:
        first, second = (answers(open_model(folder)) for _ in range(2))
    except (OSError, ValueError, RuntimeError) as error:
        yield f"it does not work: {' '.join(str(error).split())}"
        return
    for name, answer in first.items():
        if not bool(answer.isfinite().all()):
            yield f"the answer {name} to a test window is not finite: take an earlier checkpoint"
    if not same(first, second):
        yield "loaded twice it gives different answers: not all of it is in the file; save it again"


def open_model(folder: Path) -> nn.Module:
    """A task model, an adapter on its base, or an encoder alone, ready for use.

    Raises ModelError where weights are missing or left over.
    """
    files = ModelFolder(folder, str(folder))
    if files.is_adapter or "encoder" in files.settings():
        return load_model(folder)
    model: nn.Module = AutoModel.from_pretrained(folder, dtype=torch.float32)
    check_weights(files.weights(), model.state_dict(), files.source)
    return model.eval()


def answers(model: nn.Module) -> dict[str, Tensor]:
    """What a model says about the test window, by name."""
    with torch.inference_mode():
        output = model(made_up_window(model.contract))  # type: ignore[arg-type]
    nested = {key: value for key, value in output.items() if isinstance(value, dict)}
    flat = {f"{head}.{key}": value for head, values in nested.items() for key, value in values.items()}
    return flat or {key: value for key, value in output.items() if isinstance(value, Tensor)}


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    """The same names with the same bits."""
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def made_up_window(contract: InputContract) -> WaveformBatch:
    """A made-up window that a contract takes, always the same: noise, and an onset in its middle."""
    window_s = min(max(TEST_WINDOW_S, contract.window_s.min), contract.window_s.max)
    low, high = contract.sampling_rates_hz
    rate_hz = min(max(contract.model_rate_hz, low), high)
    num_samples = round(window_s * rate_hz)
    generator = torch.Generator().manual_seed(0)
    waveform = torch.randn(1, len(contract.components), num_samples, generator=generator)
    waveform[..., num_samples // 2 :] *= 20.0
    return WaveformBatch(
        waveform=waveform,
        sampling_rate_hz=torch.tensor([rate_hz]),
        component_names=contract.components,
        unit=(contract.units[0],),
    )
