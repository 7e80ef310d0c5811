"""What does `seisfm pick` say about files and models that are broken or odd?

    python examples/bad_input.py --model runs/picker

Makes each of them in a temporary folder, from ObsPy's example recording and copies of the model, runs the
command on it, and prints command, exit status and messages as a Markdown table.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import obspy


def empty_file(path: Path) -> None:
    path.touch()


def truncated(path: Path) -> None:
    obspy.read().write(str(path), format="MSEED", reclen=512)
    path.write_bytes(path.read_bytes()[:-200])


def all_nan(path: Path) -> None:
    stream = obspy.read()
    for trace in stream:
        trace.data = np.full(len(trace), np.nan, dtype=np.float32)
    stream.write(str(path), format="MSEED")


def all_zero(path: Path) -> None:
    stream = obspy.read()
    for trace in stream:
        trace.data = np.zeros(len(trace), dtype=np.int32)
    stream.write(str(path), format="MSEED")


def overlapping(path: Path) -> None:
    """The vertical once more: five seconds of it, with other samples."""
    stream = obspy.read()
    other = stream.select(component="Z")[0].copy()
    other.trim(other.stats.starttime + 10, other.stats.starttime + 15)
    other.data = other.data + 1000.0
    (stream + other).write(str(path), format="MSEED")


def ten_hertz(path: Path) -> None:
    obspy.read().decimate(10).write(str(path), format="MSEED")


def unknown_component(path: Path) -> None:
    stream = obspy.read()
    for trace, channel in zip(stream, ("EHA", "EHB", "EHC"), strict=True):
        trace.stats.channel = channel
    stream.write(str(path), format="MSEED")


def without_contract(folder: Path) -> None:
    settings = json.loads((folder / "config.json").read_text())
    settings.get("encoder", settings).pop("input_contract")
    (folder / "config.json").write_text(json.dumps(settings))


def corrupt_weights(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[: weights.stat().st_size // 2])


WAVEFORMS: dict[str, Callable[[Path], None]] = {
    "an empty file": empty_file,
    "a truncated miniSEED": truncated,
    "all NaN": all_nan,
    "all zero": all_zero,
    "two overlapping traces": overlapping,
    "10 Hz data": ten_hertz,
    "an unknown component": unknown_component,
}
MODELS: dict[str, Callable[[Path], None]] = {
    "a model without an input contract": without_contract,
    "a corrupt safetensors": corrupt_weights,
}


def row(case: str, folder: Path, waveform: str, model: str) -> str:
    """A line of the table: what the command does in `folder`."""
    words = ["pick", waveform, "--model", model, "--out", "picks.csv"]
    line = [sys.executable, "-m", "seisfm", *words]
    done = subprocess.run(line, capture_output=True, text=True, check=False, cwd=folder)
    said = (done.stdout + done.stderr).replace("|", "\\|")
    message = "<br>".join(line for line in said.splitlines() if line.strip())
    return f"| {case} | `seisfm {' '.join(words)}` | {done.returncode} | {message} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True, help="a folder with config.json and weights")
    arguments = parser.parse_args()
    print("| input | command | exit status | what it says |\n| --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copytree(arguments.model, folder / "model")
        obspy.read().write(str(folder / "good.mseed"), format="MSEED")
        for case, make in WAVEFORMS.items():
            make(folder / f"{make.__name__}.mseed")
            print(row(case, folder, f"{make.__name__}.mseed", "model"), flush=True)
        for case, make in MODELS.items():
            shutil.copytree(arguments.model, folder / make.__name__)
            make(folder / make.__name__)
            print(row(case, folder, "good.mseed", make.__name__), flush=True)


if __name__ == "__main__":
    main()
