"""The transfer study's driver: every arm is a run, and a small study goes from training to its table."""

import dataclasses
import importlib.util
import sys
from pathlib import Path

import numpy as np
import obspy
import pandas as pd
import pytest
from seisfm.configs.loader import build_config, load_config
from seisfm.data.corpus.corpus import Corpus

EXAMPLE = Path(__file__).parents[1] / "examples" / "transfer_study.py"


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("transfer_study", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their own module up while they are made.
    sys.modules["transfer_study"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["transfer_study"]


def test_every_arm_of_the_shipped_study_is_a_run(example):
    study = load_config(example.StudyConfig, "study/transfer.yaml")
    runs = {arm.name: example.run_of_arm(study, arm) for arm in study.arms}
    assert len({run.output_dir for run in runs.values()}) == len(runs)
    for arm in study.arms:
        run = runs[arm.name]
        assert run.training.max_steps * run.training.batch_size >= arm.windows
        assert bool(run.noise) == (arm.real_noise is not None)
    full = runs["full"]
    changed = [
        dataclasses.replace(run, output_dir=full.output_dir) != full
        for name, run in runs.items()
        if name != "full"
    ]
    assert all(changed), "an arm that changes nothing"


def test_an_ingredient_of_no_synthetic_source_is_refused(example, tmp_path):
    (tmp_path / "run.yaml").write_text("output_dir: x\ntrain:\n  - {kind: seisbench, path: there}\n")
    arms = [{"name": "one", "windows": 10, "synthesis": ["snr=null"]}]
    study = build_config(
        example.StudyConfig, {"output_dir": "out", "run": str(tmp_path / "run.yaml"), "arms": arms}
    )
    with pytest.raises(ValueError, match="synthesis changes synthetic sources, found one of kind seisbench"):
        example.run_of_arm(study, study.arms[0])


def test_an_ingredient_that_does_not_exist_is_refused(example):
    arms = [{"name": "one", "windows": 10, "synthesis": ["scattering.share=0.0"]}]
    study = build_config(example.StudyConfig, {"output_dir": "out", "arms": arms})
    with pytest.raises(ValueError, match="arm one: synthesis: scattering: unknown key"):
        example.run_of_arm(study, study.arms[0])


def test_arms_of_one_name_are_refused(example):
    arms = [{"name": "one", "windows": 10}] * 2
    with pytest.raises(ValueError, match=r"each arm needs a name of its own, found \['one', 'one'\]"):
        build_config(example.StudyConfig, {"output_dir": "out", "arms": arms})


def test_overrides_may_follow_the_names_of_arms(example):
    """The three examples of the docstring."""
    words = ["study/transfer.yaml", "--arms", "full", "no disturbances", "output_dir=runs/mine"]
    arguments = example.arguments_of(words)
    assert arguments.arms == ["full", "no disturbances"]
    assert arguments.study.output_dir == "runs/mine"
    before = example.arguments_of([words[0], words[-1], *words[1:4]])
    assert (before.arms, before.study) == (arguments.arms, arguments.study)
    assert example.arguments_of(words[:1]).arms is None
    alone = example.arguments_of([words[0], "--arms", "--model", "runs/picker"])
    assert (alone.arms, alone.model) == ([], ["runs/picker"])


def test_an_arm_that_there_is_not_is_named(example, capsys):
    with pytest.raises(SystemExit):
        example.arguments_of(["study/transfer.yaml", "--arms", "none of these"])
    assert "unknown arms ['none of these']: there are ['full'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arm", "message"),
    [
        ({"name": "a=b"}, r"the name of an arm must not look like an override, found \['a=b'\]"),
        (
            {"name": "one", "real_noise": "moon"},
            r"real_noise must be one of \('pfo', 'iceland'\) or null, found \['moon'\]",
        ),
    ],
)
def test_arms_that_cannot_be(example, arm, message):
    with pytest.raises(ValueError, match=message):
        build_config(example.StudyConfig, {"output_dir": "out", "arms": [{"windows": 10} | arm]})


def network_study(example, folder, quiet: bool):
    """A study with a network of five stations, 40 s each, whose counts are noise or full of bursts."""
    rng = np.random.default_rng(0)
    (folder / "network").mkdir()
    for number in range(5):
        counts = rng.normal(size=4000) * (1.0 if quiet else rng.normal(size=4000) ** 4)
        header = {"network": "XX", "station": f"S{number}", "channel": "HHZ", "sampling_rate": 100.0}
        trace = obspy.Trace((100.0 * counts).astype(np.float32), header)
        trace.write(str(folder / "network" / f"{number}.mseed"), format="MSEED")
    settings = {
        "output_dir": str(folder / "out"),
        "networks": {"there": str(folder / "network")},
        "arms": [{"name": "one", "windows": 10, "real_noise": "there"}],
    }
    return build_config(example.StudyConfig, settings)


def test_noise_of_a_network_is_written_once_and_what_was_left_out_beside_it(example, tmp_path):
    study = network_study(example, tmp_path, quiet=True)
    example.write_noise(study, "there", None)
    folder = example.noise_folder(study, "there")
    written = (folder / "corpus.json").stat().st_mtime_ns
    example.write_noise(study, "there", None)
    assert (folder / "corpus.json").stat().st_mtime_ns == written
    assert len(Corpus(folder)) == 10
    assert "reason" in (tmp_path / "out" / "noise-there.skipped.csv").read_text().splitlines()[0]
    run = example.run_of_arm(study, study.arms[0])
    assert run.noise[0].path == str(folder) and run.train[-1].path == str(folder)


def test_a_network_without_noise_is_an_error_that_says_why(example, tmp_path):
    study = network_study(example, tmp_path, quiet=False)
    with pytest.raises(ValueError, match=r"there has no noise to learn from: .*not taken for noise"):
        example.write_noise(study, "there", None)


def test_the_figure_orders_pickers_by_p(example):
    rows = [
        {"set": "all", "tolerance_s": 0.5, "point": "false picks", "picker": name, "phase": phase}
        | {"recall": recall, "recall_low": recall - 0.1, "recall_high": recall + 0.05}
        for name, recall in (("worse", 0.5), ("better", 0.9))
        for phase in ("P", "S")
    ]
    (axes,) = example.recall_figure(pd.DataFrame(rows)).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["worse", "better"]


@pytest.mark.slow
def test_a_small_study_from_training_to_its_table(example, tmp_path, monkeypatch, capsys):
    rng = np.random.default_rng(0)
    for name in ("events", "noise"):
        (tmp_path / name).mkdir()
    for number in range(6):
        data = rng.normal(size=(9001, 3)).astype(np.float32)
        data[3000:3600] *= 30
        file = tmp_path / "events" / f"XX_ST_201201{number + 1:02d}00000000.npz"
        np.savez(file, data=data, channels="HHE_HHN_HHZ", itp=3000, its=3300)
    for number in range(12):
        header = {"station": f"N{number}", "channel": "HHZ", "sampling_rate": 100.0}
        trace = obspy.Trace(rng.normal(size=12000).astype(np.float32), header)
        trace.write(str(tmp_path / "noise" / f"n{number}.mseed"), format="MSEED")
    overrides = [
        f"output_dir={tmp_path / 'out'}",
        f"transfer.events={tmp_path / 'events'}",
        f"transfer.noise={tmp_path / 'noise'}",
        "transfer.p_only=null",
        "transfer.false_picks_per_hour={P: 20.0, S: 20.0}",
        "transfer.scores.num_resamples=50",
        "arms=[{name: noisy, windows: 16, real_noise: pfo, overrides: [training.batch_size=8]}]",
    ]
    run = tmp_path / "run.yaml"
    run.write_text(
        "output_dir: x\nbackbone: unet\ntrain: [{kind: synthetic, num_events: 6, seed: 1}]\n"
        "heads: {picking: {}}\nvalidation_windows: 8\nvalidation_fraction: 0.3\n"
    )
    arguments = ["study/transfer.yaml", *overrides, f"run={run}", "--arms", "noisy"]
    monkeypatch.setattr(sys, "argv", ["transfer_study.py", *arguments])
    example.main()
    first = capsys.readouterr().out
    example.main()
    assert capsys.readouterr().out == first, "what is done is not done again"
    table = pd.read_csv(tmp_path / "out" / "scores.csv")
    assert set(table.picker) == {"STA/LTA + AIC", "PAL", "noisy"}
    assert (tmp_path / "out" / "scores.png").stat().st_size > 0
    assert (tmp_path / "out" / "noise-pfo" / "corpus.json").exists()


def test_the_ablation_changes_one_thing_an_arm(example):
    study = load_config(example.StudyConfig, "study/ablation.yaml")
    runs = {arm.name: example.run_of_arm(study, arm) for arm in study.arms}
    reference = runs.pop("reference")
    for name, run in runs.items():
        same = dataclasses.replace(run, output_dir=reference.output_dir)
        changed = {
            f.name for f in dataclasses.fields(run) if getattr(same, f.name) != getattr(reference, f.name)
        }
        wanted = {"train", "noise"} if name == "no real noise" else {"train"}
        assert changed == ({"seed"} if "seed" in name else wanted), name
        assert run.training == reference.training
