"""Fine-tuning runs from configuration to saved model, in this process and in others."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import obspy
import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file
from seisfm.configs.loader import CONFIG_FOLDER, build_config, load_config
from seisfm.data.sources import load_all
from seisfm.data.splitting.fingerprints import fingerprints_of, read_fingerprints, write_fingerprints
from seisfm.eval.leakage import leakage_report
from seisfm.finetune.__main__ import main
from seisfm.finetune.run import FinetuneConfig, finetune
from seisfm.foundation.checkpoints import CheckpointError
from seisfm.heads.model_folder import ModelError
from seisfm.heads.task_model import load_model

ON_BASE = {"architecture": {}}


def _config(settings, **changes) -> FinetuneConfig:
    return build_config(FinetuneConfig, settings | changes)


def _state(folder):
    return load_model(folder).state_dict()


def _equal(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


FINETUNING = sorted(p for p in (CONFIG_FOLDER / "finetune").glob("*.yaml") if p.stem != "adapt")


@pytest.mark.parametrize("path", FINETUNING, ids=lambda p: p.name)
def test_every_shipped_configuration_is_one(path):
    config = load_config(FinetuneConfig, f"finetune/{path.name}")
    assert config.train or config.networks


def test_a_run_from_nothing_saves_a_model_with_its_history(settings, batch_of):
    config = _config(settings)
    result = finetune(config)
    folder = result.output_dir
    assert {"config.json", "model.safetensors", "training.yaml", "metrics.json", "skipped.csv"} <= {
        file.name for file in folder.iterdir()
    }
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["steps"] == 4
    assert metrics["num_trainable"] == metrics["num_parameters"]
    assert metrics["validation"]["step"] in (2, 4)
    assert metrics["validation"]["loss"] < metrics["validation_at_start"]["loss"]
    assert load_config(FinetuneConfig, folder / "training.yaml") == config
    with torch.no_grad():
        expected = result.tunable.model(batch_of())["picking"]["probability"]
        assert torch.equal(load_model(folder)(batch_of())["picking"]["probability"], expected)


def test_the_same_run_gives_the_same_bits(settings, tmp_path):
    finetune(_config(settings))
    finetune(_config(settings, output_dir=str(tmp_path / "again")))
    assert _equal(_state(tmp_path / "run"), _state(tmp_path / "again"))


@pytest.mark.parametrize("kind", ["head", "lora"])
def test_an_encoder_gets_heads(settings, encoder, kind):
    result = finetune(_config(settings, **ON_BASE, base=str(encoder), method={"kind": kind}))
    loaded = load_model(result.output_dir)
    assert result.metrics["inherited_heads"] == []
    assert result.metrics["num_trainable"] < result.metrics["num_parameters"]
    assert (result.output_dir / "adapter_config.json").exists() == (kind == "lora")
    before = load_file(encoder / "model.safetensors")
    after = {n.replace(".base_layer.", "."): t for n, t in loaded.encoder.state_dict().items()}
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())


def test_heads_of_the_base_go_on_where_they_were(settings, base):
    config = _config(
        settings,
        **ON_BASE,
        base=str(base),
        heads={"picking": {}, "detection": {"hidden": 32}},
        training={"max_steps": 1, "learning_rate": 1e-12, "warmup_steps": 0, "weight_decay": 0.0},
    )
    result = finetune(config)
    assert result.metrics["inherited_heads"] == ["picking"]
    before, after = _state(base), _state(result.output_dir)
    assert after["heads.detection.hidden.weight"].shape == (32, 32)
    same = [name for name in before if name.startswith(("encoder.", "heads.picking."))]
    assert all(torch.allclose(before[name], after[name], atol=1e-6) for name in same)


def test_validation_sources_leave_all_of_the_others_for_training(settings):
    source = settings["train"][0]
    config = _config(settings, valid=[source | {"seed": 1, "num_events": 2}])
    num_records = len(load_all(config.train)[0])
    assert finetune(config).metrics["num_train_records"] == num_records


def test_an_event_on_both_sides_is_refused(settings):
    with pytest.raises(ValueError, match=r"train and valid must share no event, found \d+ in both .*part"):
        finetune(_config(settings, valid=settings["train"]))


def test_noise_sources_are_mixed_in(settings, tmp_path):
    source = settings["train"][0]
    kinds = ("earthquake", "quarry_blast", "explosion", "collapse", "surface_event")
    silence = {"sources": {"types": dict.fromkeys(kinds, 0.0) | {"noise": 1.0}}}
    noise = source | {"seed": 5, "num_events": 3, "synthesis": source["synthesis"] | silence}
    finetune(_config(settings))
    finetune(_config(settings, noise=[noise], output_dir=str(tmp_path / "noisy")))
    assert not _equal(_state(tmp_path / "run"), _state(tmp_path / "noisy"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": {"kind": "lora"}}, "method lora trains a part of a pretrained model: give it as base"),
        ({"method": {"kind": "head"}}, "method head trains a part of a pretrained model"),
        ({"validation_fraction": 0.0}, "validation_fraction must lie between 0 and 1"),
        (
            {"base": "somewhere"},
            "architecture and contract describe a new encoder, but the base brings its own",
        ),
        ({"validation_windows": 0}, "validation_windows must be at least 1"),
        ({"validation_fraction": 1e-6}, r"the split by event leaves nothing for \['validation'\]"),
        ({"heads": {"picks": {}}}, "unknown head 'picks'"),
        ({"head": {}}, "head"),
    ],
)
def test_impossible_runs_are_refused(settings, changes, message):
    with pytest.raises(ValueError, match=message):
        finetune(_config(settings, **changes))


def test_an_adapter_is_no_base(settings, base, tmp_path):
    finetune(_config(settings, **ON_BASE, base=str(base), method={"kind": "lora"}))
    with pytest.raises(ModelError, match="is an adapter: merge it into a model first"):
        finetune(_config(settings, **ON_BASE, base=str(tmp_path / "run"), output_dir=str(tmp_path / "next")))


def test_validation_without_labels_chooses_nothing(settings, tmp_path):
    generator = np.random.default_rng(0)
    header = {"network": "XX", "station": "A", "channel": "HHZ", "sampling_rate": 100.0}
    trace = obspy.Trace(generator.normal(size=6000).astype(np.float32), header)
    (tmp_path / "archive").mkdir()
    trace.write(tmp_path / "archive" / "day.mseed", format="MSEED")
    unlabelled = {"kind": "archive", "path": str(tmp_path / "archive")}
    with pytest.raises(ValueError, match="none of the 8 validation windows has a label"):
        finetune(_config(settings, valid=[unlabelled]))


def test_a_resumed_adapter_ends_with_the_same_bits(settings, base):
    config = _config(settings, **ON_BASE, base=str(base), method={"kind": "lora", "dropout": 0.1})
    folder = finetune(config).output_dir
    before = load_file(folder / "adapter_model.safetensors")
    shutil.rmtree(folder / "checkpoints" / "step-000004")
    (folder / "adapter_model.safetensors").unlink()
    finetune(config)
    after = load_file(folder / "adapter_model.safetensors")
    assert _equal(before, after)


def test_a_run_goes_on_only_with_the_weights_that_it_began_with(settings, base, tmp_path):
    copy = shutil.copytree(base, tmp_path / "base")
    config = _config(settings, **ON_BASE, base=str(copy), method={"kind": "lora"})
    finetune(config)
    weights = load_file(copy / "model.safetensors")
    save_file({name: tensor + 0.1 for name, tensor in weights.items()}, copy / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"run\.base_sha256 was '.*choose another output_dir"):
        finetune(config)


def test_the_command_prints_its_scores(settings, tmp_path, capsys):
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(settings))
    assert main([str(tmp_path / "run.yaml"), "training.max_steps=2"]) == 0
    assert json.loads(capsys.readouterr().out)["steps"] == 2


@pytest.mark.slow
def test_two_processes_train_one_adapter(settings, base, tmp_path):
    (tmp_path / "run.yaml").write_text(
        yaml.safe_dump(settings | {"base": str(base), "architecture": {}, "method": {"kind": "lora"}})
    )
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
    done = subprocess.run(
        [*command, "-m", "seisfm.finetune", str(tmp_path / "run.yaml")],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["num_processes"] == 2
    assert load_model(tmp_path / "run")


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["finetune/tiny.yaml", "size=huge", "train=[{kind: synthetic, num_events: 2}]"], 1, "unknown size"),
        (["finetune/tiny.yaml", "backbone=lstm"], 2, "the backbones are ['ditingmae', 'encoder'"),
        (["finetune/tiny.yaml", "sizes=tiny"], 2, "sizes"),
        ([], 2, "usage:"),
    ],
)
def test_wrong_use_is_told_in_one_line(arguments, status, message, capsys):
    assert main(arguments) == status
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error


def test_the_training_data_are_told_for_leakage_reports(settings, base, tmp_path):
    source = settings["train"][0]
    earlier = load_all(_config(settings, train=[source | {"seed": 77}]).train)[0]
    shutil.copytree(base, tmp_path / "base")
    write_fingerprints(fingerprints_of({"train": earlier}), tmp_path / "base")
    config = _config(settings, **ON_BASE, base=str(tmp_path / "base"), method={"kind": "lora"})
    learned = read_fingerprints(finetune(config).output_dir)
    assert set(learned.stage) == {"train", "validation", "base model, train"} and not learned.missing
    for records in (earlier, load_all(config.train)[0]):
        assert len(leakage_report(records, learned).shared_waveforms) == len(records)
