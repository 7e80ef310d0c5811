"""The shipped configurations for `accelerate launch`: read by Accelerate itself, and one of them run."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from accelerate.commands.config.config_args import load_config_from_file
from accelerate.commands.launch import _validate_launch_command, launch_command_parser
from accelerate.utils.launch import prepare_multi_gpu_env
from seisfm.configs.loader import CONFIG_FOLDER
from seisfm.data.formats.seisbench_format import write_seisbench
from seisfm.data.records import Record

FILES = sorted((CONFIG_FOLDER / "accelerate").glob("*.yaml"))


def environment_of(name):
    """What a process of a launch with this configuration would find in its environment."""
    arguments = ["--config_file", str(CONFIG_FOLDER / "accelerate" / name), "-m", "seisfm.pretrain"]
    arguments, _, _ = _validate_launch_command(launch_command_parser().parse_args(arguments))
    return prepare_multi_gpu_env(arguments)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_accelerate_reads_every_shipped_configuration(file):
    config = load_config_from_file(str(file))
    assert config.num_processes >= 2 and config.num_machines in (1, 2)
    assert config.use_cpu == (file.stem == "cpu")
    assert config.mixed_precision == ("no" if file.stem == "cpu" else "bf16")


def test_there_is_one_for_each_kind_of_machine():
    assert {file.stem for file in FILES} == {"cpu", "single_node", "multi_node", "fsdp2"}


def test_sharding_is_asked_for_in_the_way_that_the_training_looks_for():
    environment = environment_of("fsdp2.yaml")
    assert environment["ACCELERATE_USE_FSDP"] == "true" and environment["FSDP_VERSION"] == "2"
    assert "Block" in environment["FSDP_TRANSFORMER_CLS_TO_WRAP"].split(",")
    assert environment_of("single_node.yaml").get("ACCELERATE_USE_FSDP", "false") == "false"


@pytest.mark.slow
def test_accelerate_launch_trains_on_two_cpu_processes(tmp_path):
    generator = np.random.default_rng(0)
    waveforms = generator.standard_normal((6, 3, 1500)).astype(np.float32)
    records = [
        Record(
            record_id=f"r{i}",
            waveform=waveform,
            component_names=("Z", "N", "E"),
            sampling_rate_hz=100.0,
            station_id=f"XX.S{i}.",
            event_id=f"e{i}",
        )
        for i, waveform in enumerate(waveforms)
    ]
    write_seisbench(records, tmp_path / "set")
    nano = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "stem_channels": [4, 4, 4]}
    settings = {
        "output_dir": str(tmp_path / "run"),
        "sources": [{"kind": "seisbench", "path": str(tmp_path / "set")}],
        "architecture": nano,
        "windows": {"window_s": 12.0},
        "objectives": {"mae": {"decoder_size": 16, "decoder_layers": 1, "decoder_heads": 2}},
        "training": {"max_steps": 4, "batch_size": 2, "warmup_steps": 1},
        "validation_fraction": 0.4,
        "validation_windows": 4,
    }
    (tmp_path / "run.yaml").write_text(json.dumps(settings))
    launch = [str(Path(sys.executable).with_name("accelerate")), "launch"]
    config = ["--config_file", str(CONFIG_FOLDER / "accelerate/cpu.yaml")]
    done = subprocess.run(
        [*launch, *config, "-m", "seisfm.pretrain", str(tmp_path / "run.yaml")],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    metrics = json.loads((tmp_path / "run/metrics.json").read_text())
    assert metrics["num_processes"] == 2 and metrics["windows_seen"] == 16
    assert metrics["device"].startswith("cpu")
