"""The heads study's driver: every arm is a run, nothing is done twice, a small study goes to its table."""

import importlib.util
import sys
from pathlib import Path

import pandas as pd
import pytest
from seisfm.configs.loader import build_config, load_config, save_config

EXAMPLE = Path(__file__).parents[1] / "examples" / "heads_study.py"
RUN = {"heads": {"magnitude": {}, "depth": {}}, "train": [{"kind": "synthetic", "num_events": 6, "seed": 1}]}


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("heads_study", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their own module up while they are made.
    sys.modules["heads_study"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["heads_study"]


def small(example, folder, *overrides, arms=({"name": "one"},)):
    settings = {"output_dir": str(folder), "windows": 64, "run": RUN, "arms": list(arms)}
    return build_config(example.StudyConfig, settings, overrides)


def test_every_arm_of_the_shipped_study_is_a_run_of_its_own(example):
    study = load_config(example.StudyConfig, "study/heads.yaml")
    runs = {arm.name: example.run_of_arm(study, arm, 3) for arm in study.arms}
    assert len({run.output_dir for run in runs.values()}) == len(runs)
    for arm in study.arms:
        run = runs[arm.name]
        assert run.training.max_steps * run.training.batch_size >= study.windows * arm.share
        assert run.training.warmup_steps < run.training.max_steps
        assert set(run.heads) == set(arm.heads or study.run["heads"]) and run.seed == 3
        assert run.windows.harmonization == study.scores.harmonization
        assert run.train[0].seed not in (study.scores.seed, study.scores.fit_seed)
    for head in study.run["heads"]:
        own, eighth = (runs[f"only {head.replace('_', ' ')}{more}"] for more in ("", ", 1/8"))
        assert 8 * eighth.training.max_steps == pytest.approx(own.training.max_steps, abs=8)
    few = runs["few labels"].windows
    assert set(few.fewer_labels.share) == {"magnitude", "distance_km", "depth_km"}
    for law in ("S − P law", "attenuation law", "both laws"):
        assert (
            runs[f"few labels, {law}"].windows == few and runs[f"few labels, {law}"].multitask.physics.weights
        )
    bare = runs["component scope, no gain back"].contract.normalization
    assert (bare.scope, bare.gain_back) == ("component", False)


def test_a_pretraining_sees_as_many_windows_and_ends_in_the_base_of_its_arm(example):
    study = load_config(example.StudyConfig, "study/heads.yaml")
    pretraining = example.pretraining_of(study, 3)
    (arm,) = (arm for arm in study.arms if arm.pretrained)
    run = example.run_of_arm(study, arm, 3)
    assert run.base == pretraining.output_dir and pretraining.sources == run.train
    assert pretraining.training.max_steps == run.training.max_steps
    assert (pretraining.backbone, pretraining.size) == (run.backbone, run.size)
    assert pretraining.seed != run.seed


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"arms": [{"name": "a b"}, {"name": "a-b"}]}, r"a name of its own, found \['a b', 'a-b'\]"),
        ({"arms": [{"name": "a=b"}]}, r"must not look like an override, found \['a=b'\]"),
        ({"arms": [{"name": "a", "heads": ["depths"]}]}, r"arms name the heads \['depths'\], the run has"),
        ({"arms": [{"name": "a", "share": 0.0}]}, "share must lie above 0 and be at most 1, found 0.0"),
        ({"arms": [{"name": "a", "against": "b"}]}, r"are held against \['b'\], but there are \['a'\]"),
        ({"run": RUN | {"seed": 1}}, r"run must leave \['seed'\] to the study"),
    ],
)  # fmt: skip
def test_studies_that_cannot_be(example, settings, message):
    with pytest.raises(ValueError, match=message):
        build_config(example.StudyConfig, {"output_dir": "out", "run": RUN, "arms": []} | settings)


def test_an_arm_that_there_is_not_is_named(example, capsys):
    with pytest.raises(SystemExit):
        example.arguments_of(["study/heads.yaml", "--arms", "none of these"])
    assert "unknown arms ['none of these']: there are ['multi'" in capsys.readouterr().err
    alone = example.arguments_of(["study/heads.yaml", "--arms", "multi", "windows=64"])
    assert (alone.arms, alone.study.windows) == (["multi"], 64)
    assert [arm.name for arm, _ in example.chosen(alone.study, alone.arms)] == ["multi"]


def test_each_arm_is_held_against_the_one_that_it_names(example, tmp_path):
    arms = [{"name": "multi"}, {"name": "few"}, {"name": "few, law", "against": "few"}]
    study = small(example, tmp_path, arms=arms)
    errors = pd.concat(
        pd.DataFrame(
            {"label": "magnitude", "window": range(4), "event": list("aabb"), "error": error}
        ).assign(predictor=name, seed=0)
        for name, error in (("multi", 0.3), ("few", 0.9), ("few, law", 0.5))
    )
    found = example.differences(study, errors).set_index(["against", "predictor"]).difference
    assert found.round(6).to_dict() == {("multi", "few"): 0.6, ("few", "few, law"): -0.4}


def test_a_folder_of_other_settings_is_refused(example, tmp_path):
    study = small(example, tmp_path)
    example.Scores(study)
    with pytest.raises(ValueError, match="tells of other held-out windows than the study's"):
        example.Scores(small(example, tmp_path, "scores.seed=9"))
    arm, folder = study.arms[0], example.folder_of(study, study.arms[0], 0)
    folder.mkdir()
    save_config(example.run_of_arm(study, arm, 0), folder / "training.yaml")
    example.train_arm(study, arm, 0)
    assert [file.name for file in folder.iterdir()] == ["training.yaml"], "what is done is not done again"
    with pytest.raises(ValueError, match="tells of other settings than the study's"):
        example.train_arm(small(example, tmp_path, "windows=128"), arm, 0)


def test_tables_go_between_the_marks_of_a_text(example, tmp_path):
    study, text = small(example, tmp_path), tmp_path / "studies" / "heads.md"
    for folder in ("studies", "figures"):
        (tmp_path / folder).mkdir()
    (tmp_path / "scores.png").write_bytes(b"figure")
    text.write_text("nothing\n")
    with pytest.raises(ValueError, match="found not both"):
        example.put_into(text, study, "| a |")
    text.write_text(f"before\n{example.BEGIN}\nold\n{example.END}\nafter\n")
    example.put_into(text, study, "| a |")
    example.put_into(text, study, "| b |")
    written = text.read_text()
    assert written.startswith("before\n") and written.endswith("\nafter\n")
    assert "| b |" in written and "old" not in written and "| a |" not in written
    assert (tmp_path / "figures" / "heads_study.png").read_bytes() == b"figure"


@pytest.mark.slow
def test_a_small_study_from_training_to_its_table(example, tmp_path, monkeypatch, capsys):
    run = (
        "{backbone: unet, validation_fraction: 0.3, validation_windows: 8, heads: {magnitude: {}, depth: {}, "
        "picking: {}, detection: {}}, training: {batch_size: 8}, "
        "train: [{kind: synthetic, num_events: 12, seed: 1}]}"
    )
    words = [
        "study/heads.yaml",
        f"output_dir={tmp_path}",
        f"run={run}",
        "windows=16",
        "scores.num_events=12",
        "scores.fit_events=60",
        "scores.classes=[earthquake,quarry_blast]",
        "scores.sources.jitters_s=[0.0]",
        "scores.sources.num_resamples=20",
        "arms=[{name: multi}, {name: learned, pretrained: true}, {name: alone, heads: [depth], share: 0.5}]",
    ]
    monkeypatch.setattr(sys, "argv", ["heads_study.py", *words])
    example.main()
    first = capsys.readouterr().out
    example.main()
    assert capsys.readouterr().out == first, "what is done is not done again"
    table = pd.read_csv(tmp_path / "scores.csv")
    assert {"multi", "learned", "alone", "STA/LTA + AIC", "dummy (mean)"} <= set(table.predictor)
    assert set(table[table.predictor == "multi"]["head"]) == {"magnitude", "depth", "picking", "detection"}
    differences = pd.read_csv(tmp_path / "differences.csv").set_index(["predictor", "label"])
    assert set(differences.index) == {
        ("learned", "magnitude"),
        ("learned", "depth_km"),
        ("alone", "depth_km"),
    }
    assert (tmp_path / "scores.png").stat().st_size > 0
    assert (tmp_path / "encoder-seed-0" / "model.safetensors").exists()
