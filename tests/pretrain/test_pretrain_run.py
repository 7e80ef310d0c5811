import dataclasses
import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from seisfm.configs import loader
from seisfm.configs.loader import build_config, load_config
from seisfm.data.formats.seisbench_format import write_seisbench
from seisfm.data.records import Record
from seisfm.data.splitting.fingerprints import read_fingerprints
from seisfm.foundation.backbones.seismic import SIZES, SeismicModel
from seisfm.pretrain.__main__ import main
from seisfm.pretrain.objectives.registry import objective_config
from seisfm.pretrain.run import PretrainConfig, make_pretraining, pretrain

SHIPPED = sorted((loader.CONFIG_FOLDER / "pretrain").glob("*.yaml"))
SMALL = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "stem_channels": [4, 8, 16]}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Eight noisy records with a burst, on disk in SeisBench's format."""
    generator = np.random.default_rng(0)
    records = []
    for number in range(8):
        waveform = generator.standard_normal((3, 3000)).astype(np.float32)
        waveform[:, 1500:1800] *= 20
        records.append(
            Record(
                record_id=f"r{number}",
                waveform=waveform,
                component_names=("Z", "N", "E"),
                sampling_rate_hz=100.0,
                station_id=f"XX.S{number}.",
                event_id=f"e{number}",
            )
        )
    path = tmp_path_factory.mktemp("data") / "set"
    write_seisbench(records, path)
    return path


def settings(dataset, folder, **training):
    """A run of a few seconds: 12 s windows, one layer."""
    return {
        "output_dir": str(folder),
        "sources": [{"kind": "seisbench", "path": str(dataset)}],
        "architecture": SMALL,
        "windows": {"window_s": 12.0},
        "objectives": {"mae": {"decoder_size": 16, "decoder_layers": 1, "decoder_heads": 2}},
        "training": {
            "max_steps": 60,
            "batch_size": 2,
            "warmup_steps": 2,
            "ema_decay": 0.9,
            "checkpoint_every": 12,
            "log_every": 1,
        }
        | training,
        "validation_fraction": 0.4,
        "validation_windows": 4,
    }


def start(settings_, *prefix):
    """`python -m seisfm.pretrain` as a process of its own."""
    file = Path(settings_["output_dir"]).with_suffix(".yaml")
    file.write_text(json.dumps(settings_))
    command = [*(prefix or (sys.executable, "-m")), "seisfm.pretrain", str(file)]
    # The environment is inherited, with its number of threads: another one sums in another order.
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for_step(process, folder, step):
    log = folder / "log.jsonl"
    while not log.exists() or f'"step": {step},' not in log.read_text():
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.01)


def assert_same_weights(folder, other):
    for name in (
        "model.safetensors",
        "checkpoints/best.safetensors",
        "checkpoints/step-000060/optimizer.safetensors",
    ):
        tensors, others = load_file(folder / name), load_file(other / name)
        assert tensors.keys() == others.keys()
        assert all(torch.equal(tensor, others[key]) for key, tensor in tensors.items()), name


@pytest.fixture(scope="module")
def finished(dataset, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "finished"
    return pretrain(build_config(PretrainConfig, settings(dataset, folder)))


def test_a_run_leaves_an_encoder_with_its_configuration_and_scores(finished):
    folder = finished.output_dir
    files = {path.name for path in folder.iterdir()}
    assert {"config.json", "model.safetensors", "training.yaml", "metrics.json", "skipped.csv"} <= files
    assert not (folder / ".unfinished").exists()
    config = load_config(PretrainConfig, folder / "training.yaml")
    assert config.training.max_steps == 60 and config.output_dir == str(folder)
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics == finished.metrics
    assert metrics["held_out"]["loss"] < metrics["held_out_at_start"]["loss"]
    assert metrics["windows_seen"] == 120 and metrics["num_held_out_windows"] == 4
    model = SeismicModel.from_pretrained(folder)
    average = finished.training.average.weights
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, average[f"model.{name}"]), name


@pytest.mark.slow
def test_a_run_killed_at_any_moment_resumes_to_the_same_bits(finished, dataset, tmp_path):
    folder = tmp_path / "killed"
    step = random.SystemRandom().randint(12, 50)
    with start(settings(dataset, folder)) as process:
        wait_for_step(process, folder, step)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL, step
    result = pretrain(build_config(PretrainConfig, settings(dataset, folder)))
    assert 12 <= result.training.resumed_from <= 60, step
    assert_same_weights(folder, finished.output_dir)


@pytest.mark.slow
def test_sigterm_saves_exits_with_143_and_resumes_to_the_same_bits(finished, dataset, tmp_path, capsys):
    folder = tmp_path / "stopped"
    with start(settings(dataset, folder)) as process:
        wait_for_step(process, folder, 3)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 143 and "stopped by SIGTERM" in errors, errors
    saved = sorted((folder / "checkpoints").iterdir())[-1].name
    assert "Traceback" not in errors and saved in "".join(errors.split())
    assert main([str(folder.with_suffix(".yaml"))]) == 0
    assert json.loads(capsys.readouterr().out)["steps"] == 60
    assert_same_weights(folder, finished.output_dir)


def test_recomputing_activations_changes_the_memory_and_not_the_weights(dataset, tmp_path):
    results = []
    for recompute in (False, True):
        options = {"max_steps": 3, "gradient_checkpointing": recompute}
        config = build_config(PretrainConfig, settings(dataset, tmp_path / str(recompute), **options))
        results.append(load_file(pretrain(config).output_dir / "model.safetensors"))
    assert all(torch.equal(tensor, results[1][name]) for name, tensor in results[0].items())


def test_a_run_with_other_data_is_not_resumed(finished, dataset):
    config = build_config(PretrainConfig, settings(dataset, finished.output_dir))
    with pytest.raises(ValueError, match=r"run\.seed was 0, is 1.*choose another output_dir"):
        pretrain(dataclasses.replace(config, seed=1))


@pytest.mark.slow
def test_two_processes_train_one_model_and_resume_it(dataset, tmp_path):
    torchrun = (
        str(Path(sys.executable).with_name("torchrun")),
        "--standalone",
        "--nproc_per_node",
        "2",
        "-m",
    )
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    with start(settings(dataset, whole), *torchrun) as process:
        output, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert json.loads(output)["num_processes"] == 2 and json.loads(output)["windows_seen"] == 240
    with start(settings(dataset, stopped), *torchrun) as process:
        wait_for_step(process, stopped, 5)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=120)
    assert process.returncode != 0 and errors.count("stopped by SIGTERM") == 1, errors
    with start(settings(dataset, stopped), *torchrun) as process:
        _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert_same_weights(stopped, whole)


@pytest.mark.slow
def test_accelerate_launch_trains_too(finished, dataset, tmp_path):
    folder = tmp_path / "launched"
    launch = (
        str(Path(sys.executable).with_name("accelerate")),
        "launch",
        "--cpu",
        "--num_processes",
        "1",
        "-m",
    )
    with start(settings(dataset, folder), *launch) as process:
        output, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert json.loads(output)["steps"] == 60


# --- configurations -------------------------------------------------------------------------------


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_run_is_a_valid_configuration_of_its_size(path):
    config = load_config(PretrainConfig, path)
    with torch.device("meta"):
        pretraining = make_pretraining(config)
    assert pretraining.model.num_parameters() > 1e6
    if path.stem in SIZES:
        assert (config.backbone, config.size) == ("encoder", path.stem)
    if "mae" in config.objectives:
        mae = objective_config("mae", config.objectives["mae"])
        assert mae.decoder_size % (4 * mae.decoder_heads) == 0
    assert config.training.warmup_steps < config.training.max_steps
    assert config.contract.window_s.min <= config.windows.window_s <= config.contract.window_s.max


def test_every_size_has_a_shipped_run():
    assert SIZES.keys() <= {path.stem for path in SHIPPED}


def test_unknown_keys_are_refused(dataset, tmp_path):
    with pytest.raises(ValueError, match=r"unknown key \['lerning_rate'\]; TrainingConfig knows"):
        build_config(PretrainConfig, settings(dataset, tmp_path, lerning_rate=1.0))


def test_shares_and_counts_of_validation_must_make_sense(dataset, tmp_path):
    plain = settings(dataset, tmp_path)
    with pytest.raises(ValueError, match="validation_fraction must lie between 0 and 1, found 0"):
        build_config(PretrainConfig, plain | {"validation_fraction": 0.0})
    with pytest.raises(ValueError, match="validation_windows must be at least 1, found 0"):
        build_config(PretrainConfig, plain | {"validation_windows": 0})


def test_a_split_without_a_held_out_event_is_an_error(dataset, tmp_path):
    config = build_config(PretrainConfig, settings(dataset, tmp_path) | {"validation_fraction": 0.001})
    with pytest.raises(ValueError, match=r"leaves nothing for \['validation'\] of 8 records: give more"):
        pretrain(config)


# --- the command line -----------------------------------------------------------------------------


def test_wrong_use_is_status_2_and_a_failure_status_1_in_one_line(tmp_path, capsys):
    assert main([]) == 2 and "usage:" in capsys.readouterr().err
    assert main(["--help"]) == 0 and "pretrain/tiny.yaml" in capsys.readouterr().out
    assert main(["no/such.yaml"]) == 2
    assert capsys.readouterr().err.startswith("error: no configuration no/such.yaml")
    file = tmp_path / "run.yaml"
    file.write_text(json.dumps(settings(tmp_path / "absent", tmp_path / "out")))
    assert main([str(file)]) == 1
    message = capsys.readouterr().err
    assert message.startswith("error: no data at") and message.count("\n") == 1


def test_noise_is_mixed_in_and_remembered(dataset, tmp_path):
    own = settings(dataset, tmp_path / "noisy", max_steps=12)
    waveform = np.random.default_rng(5).standard_normal((3, 3000)).astype(np.float32)
    record = Record(record_id="n", waveform=waveform, component_names=("Z", "N", "E"), sampling_rate_hz=100.0)
    write_seisbench([record], tmp_path / "noise")
    own["noise"] = [{"kind": "seisbench", "path": str(tmp_path / "noise")}]
    own["augmentation"] = {"real_noise": {"probability": 1.0, "snr_db": [0.0, 1.0]}}
    noisy = pretrain(build_config(PretrainConfig, own))
    quiet = pretrain(build_config(PretrainConfig, own | {"output_dir": str(tmp_path / "quiet"), "noise": []}))
    weights = [load_file(run.output_dir / "model.safetensors") for run in (noisy, quiet)]
    assert any(not torch.equal(tensor, weights[1][name]) for name, tensor in weights[0].items())
    assert "noise" in read_fingerprints(noisy.output_dir).stage
    assert "noise" not in read_fingerprints(quiet.output_dir).stage
