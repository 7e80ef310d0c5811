import importlib.util
import json
import math
import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.torch import load_file
from scipy import stats
from seisfm.cli import app
from seisfm.configs.loader import load_config, save_config
from seisfm.data.sources import load_records
from seisfm.foundation.interruption import Stopped
from seisfm.study.config import StudyConfig
from seisfm.study.intervals import over_seeds, paired
from seisfm.study.plan import Run, check_equal_budgets, folder_of, pretrain_config, runs_of, windows_seen
from seisfm.study.records import StudyData
from seisfm.study.run import Clock, run_study, write_results
from seisfm.study.runs import DONE
from seisfm.study.tables import table_page
from typer.testing import CliRunner

_spec = importlib.util.spec_from_file_location("nano", Path(__file__).with_name("nano.py"))
nano = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(nano)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A finished study."""
    study = nano.study(tmp_path_factory.mktemp("study") / "whole")
    return study, run_study(study)


# --- what comes out -------------------------------------------------------------------------------


def test_every_run_has_a_row_for_each_phase_and_metric(whole):
    study, _ = whole
    table = pd.read_csv(Path(study.output_dir) / "results.csv")
    metrics = {"precision@0.5s", "recall@0.5s", "f1@0.5s", "mae_s", "threshold"}
    own = table[table.arm != "STA/LTA"]
    counts = own.groupby(["arm", "seed", "num_events", "set", "phase"]).metric.agg(set)
    assert len(counts) == 2 * 2 * 2 * 1 * 2 and all(found == metrics for found in counts)
    assert len(own) == len(counts) * len(metrics)
    assert own[own.metric == "f1@0.5s"].value.between(0, 1).all()
    for name in ("table.md", "costs.csv", "study.yaml", "efficiency-hills.png", "cost.png"):
        assert (Path(study.output_dir) / name).stat().st_size, name


def test_the_table_says_what_the_results_say(tmp_path):
    study = nano.study(tmp_path, "seeds=[0,1,2]")
    random = np.random.default_rng(0)
    value = {"none": random.uniform(0.1, 0.2, 3), "mae": random.uniform(0.6, 0.7, 3)}
    who = {"set": "hills", "metric": "f1@0.5s", "phase": "P", "num_events": 4}
    rows = [who | {"arm": arm, "seed": seed, "value": value[arm][seed]} for arm in value for seed in range(3)]
    others = [row | {"phase": "S", "value": 0.9} for row in rows] + [
        row | {"num_events": 2} for row in rows[:2]
    ]
    pd.DataFrame(rows + others).to_csv(tmp_path / "results.csv", index=False)
    costs = pd.DataFrame(columns=["arm", "stage", "windows", "teraflops", "seconds"])
    page = table_page(study, pd.read_csv(tmp_path / "results.csv"), costs)
    scores, differences = page.split("### hills, P: ")[1:]
    assert cells_of(scores, "mae") == ["–", by_hand(value["mae"])]
    assert cells_of(scores, "none") == [f"{by_hand(value['none'][:2])} (n = 2)", by_hand(value["none"])]
    assert cells_of(differences, "mae") == ["–", f"**{by_hand(value['mae'] - value['none'])}**"]


def by_hand(values):
    half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / math.sqrt(len(values))
    return f"{values.mean():.3f} ± {half:.3f}"


def cells_of(part, arm):
    line = next(line for line in part.splitlines() if line.startswith(f"| {arm} |"))
    return [cell.strip() for cell in line.split("|")[2:-1]]


def test_intervals_are_those_of_a_t_test():
    values = [0.5, 0.7, 0.6, 0.9, math.nan]
    known = stats.ttest_1samp(values[:4], 0.0).confidence_interval(0.95)
    found = over_seeds(values)
    assert found.count == 4
    np.testing.assert_allclose([found.mean - found.half_width, found.mean + found.half_width], known)
    assert math.isnan(over_seeds([0.3]).half_width) and str(over_seeds([])) == "–"
    first, second = pd.Series([0.5, 0.6, 0.7], [0, 1, 2]), pd.Series([0.4, 0.5], [0, 1])
    assert paired(first, second).count == 2 and paired(first, second).mean == pytest.approx(0.1)


# --- one budget for all ---------------------------------------------------------------------------


def test_all_arms_see_as_many_windows_and_the_random_one_none(whole):
    study, result = whole
    config = pretrain_config(study, study.arms[1], 0)
    spent = result.costs.set_index(["arm", "stage"]).sort_index()
    assert (spent.loc[("mae", "pretraining")].windows == windows_seen(config.training)).all()
    assert (spent.loc[("none", "pretraining")].windows == 0).all()
    assert (spent.loc[("mae", "pretraining")].teraflops > 0).all()
    assert spent.xs("fine-tuning", level="stage").windows.nunique() == 1


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("training.max_steps=7", "the number of windows"),
        ("windows.window_s=13.0", "windows"),
        ("architecture.hidden_size=16", "architecture"),
        ("sources=[{kind: synthetic, num_events: 9}]", "sources"),
    ],
)
def test_an_arm_with_another_budget_is_refused(tmp_path, override, named):
    arms = [*nano.settings(tmp_path)["arms"], {"name": "more", "overrides": [override]}]
    with pytest.raises(ValueError, match=f"more differs from none in {named}"):
        check_equal_budgets(nano.study(tmp_path, arms=arms))


def test_an_arm_may_have_its_own_learning_rate(tmp_path):
    arms = [*nano.settings(tmp_path)["arms"], {"name": "slow", "overrides": ["training.learning_rate=1e-5"]}]
    check_equal_budgets(nano.study(tmp_path, arms=arms))


def test_small_budgets_lie_in_large_ones_and_noise_is_no_event(whole):
    study, _ = whole
    (hills,) = study.sets
    data = StudyData(folder=Path(study.output_dir) / "data")
    events = {}
    for seed in (0, 1):
        for count in (2, 4):
            records, skipped = load_records(data.labelled(hills, seed, count))
            events[seed, count] = set(records.event_keys())
            assert len(events[seed, count]) == count and "excluded" in skipped[0].reason
            assert all(record.arrivals for record in records)
    assert events[0, 2] < events[0, 4] and events[1, 2] < events[1, 4]
    assert events[0, 4] != events[1, 4]


def test_more_events_than_there_are_is_an_error(whole):
    study, _ = whole
    data = StudyData(folder=Path(study.output_dir) / "data")
    with pytest.raises(ValueError, match="the set hills has 8 labelled events to learn from, fewer than 9"):
        data.labelled(study.sets[0], 0, 9)


# --- no leak --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("side", "seed"), [("the pretraining", 1), ("its train side", 2)])
def test_scored_events_that_anything_learns_from_are_refused(whole, side, seed):
    study, _ = whole
    made = nano.settings(study.output_dir)["sets"][0] | {
        "name": f"leaky-{seed}",
        "test": [nano.source(seed, 4)],
    }
    with pytest.raises(ValueError, match=f"test events of leaky-{seed} are in {side}: LEAKAGE"):
        run_study(nano.study(study.output_dir, sets=[made]))


# --- stopping and going on ------------------------------------------------------------------------


@pytest.mark.slow
def test_a_study_stopped_in_a_training_goes_on_to_the_same_bits(whole, tmp_path, capsys):
    finished, _ = whole
    study = nano.study(tmp_path, "seeds=[0]")
    (training,) = [run for run in runs_of(study) if run.arm.name == "mae" and run.num_events == 2]
    was = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        threading.Thread(target=terminate_at, args=(folder_of(study, training) / "log.jsonl",)).start()
        with pytest.raises(Stopped) as stop:
            run_study(study)
    finally:
        signal.signal(signal.SIGTERM, was)
    assert stop.value.exit_status == 143 and not (folder_of(study, training) / DONE).exists()
    done = [folder_of(study, run) / DONE for run in runs_of(study)]
    before = {file: file.stat().st_mtime_ns for file in done if file.exists()}
    capsys.readouterr()
    result = run_study(study)
    assert 0 < len(before) < len(done)
    assert all(file.stat().st_mtime_ns == former for file, former in before.items())
    # One line a run that was still to be done, with the time that is left.
    told = [line for line in capsys.readouterr().out.splitlines() if "min left" in line]
    assert len(told) == len(done) - len(before)
    for run in runs_of(study):
        mine, theirs = (load_file(folder_of(one, run) / "model.safetensors") for one in (study, finished))
        assert all(np.array_equal(tensor, theirs[name]) for name, tensor in mine.items()), str(run)
        assert not (folder_of(study, run) / "checkpoints").exists()
    all_seeds = pd.read_csv(Path(finished.output_dir) / "results.csv")
    expected = all_seeds[all_seeds.seed == 0].value.to_numpy()
    np.testing.assert_array_equal(result.results[result.results.seed == 0].value.to_numpy(float), expected)


def terminate_at(log):
    """Terminate this process as soon as a training has begun to write its log."""
    deadline_s = time.monotonic() + 120
    while time.monotonic() < deadline_s and not (log.exists() and log.stat().st_size):
        time.sleep(0.001)
    os.kill(os.getpid(), signal.SIGTERM)


def test_finished_runs_of_other_settings_are_refused(whole):
    study, _ = whole
    other = nano.study(study.output_dir, "finetuning.training.max_steps=7")
    with pytest.raises(ValueError, match="made with other settings: choose another output_dir"):
        run_study(other)
    other = nano.study(study.output_dir, "pretraining.sources=[{kind: synthetic, num_events: 3}]")
    with pytest.raises(ValueError, match="made of other sources: choose another output_dir"):
        run_study(other)


def test_tables_of_a_part_say_how_many_seeds_there_are(whole, tmp_path):
    study, _ = whole
    more = nano.study(study.output_dir, "seeds=[0,1,2]")
    try:
        write_results(more)
        assert "(n = 2)" in (Path(study.output_dir) / "table.md").read_text()
    finally:
        write_results(study)


def test_the_clock_counts_by_the_kind_of_run(tmp_path):
    study = nano.study(tmp_path)
    runs = list(runs_of(study))
    clock = Clock(list(runs))
    pretraining = [run for run in runs if run.one is None]
    clock.note(pretraining[0], 2.0)
    tuning = next(run for run in runs if run.one is not None)
    clock.note(tuning, 6.0)
    # One more of the same arm, two of another kind at the mean of what is known, seven fine-tunings.
    assert clock.left_s == pytest.approx(2.0 + 2 * 4.0 + 7 * 6.0)


# --- configuration --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"arms": [{"name": "x", "objectives": {"jigsaw": {}}}], "reference": "x"}, "unknown objective"),
        ({"arms": [{"name": "mae", "objectives": {"mae": {}}}]}, "reference must be one of the arms"),
        ({"arms": [{"name": "none"}, {"name": "none"}]}, "each arm needs a name of its own"),
        ({"arms": [{"name": "none"}, {"name": "a/b"}]}, "arm names become folders"),
        ({"budgets": [4, 2]}, "budgets must be 1 or more and rise"),
        ({"seeds": [1, 1]}, "seeds must be one or more, each once"),
        ({"tolerance_s": 0.3}, "tolerance_s must be one of the protocol's"),
        ({"seed": 1}, "unknown key"),
    ],
)
def test_a_wrong_study_is_refused(tmp_path, changes, reason):
    with pytest.raises(ValueError, match=reason):
        nano.study(tmp_path, **changes)


def test_the_study_decides_on_what_differs_between_runs(tmp_path):
    with pytest.raises(ValueError, match=r"pretraining: the study itself decides on \['seed'\]"):
        check_equal_budgets(nano.study(tmp_path, "pretraining.seed=3"))
    with pytest.raises(ValueError, match=r"finetuning: the study itself decides on \['base'\]"):
        check_equal_budgets(nano.study(tmp_path, "finetuning.base=somewhere"))


def test_a_set_whose_data_are_not_here_is_told(tmp_path, monkeypatch):
    monkeypatch.delenv("NO_SUCH_DATA", raising=False)
    made = nano.settings(tmp_path)["sets"][0] | {"name": "far", "needs": "NO_SUCH_DATA"}
    study = nano.study(tmp_path, sets=[*nano.settings(tmp_path)["sets"], made])
    assert {run.one.name for run in runs_of(study) if run.one} == {"hills"}
    found = CliRunner().invoke(app, ["study", str(written(study, tmp_path)), "--dry-run"])
    assert "skipped the set far: the environment variable NO_SUCH_DATA is not set" in found.output


def test_a_dry_run_tells_the_runs_and_trains_nothing(tmp_path):
    study = nano.study(tmp_path / "out")
    found = CliRunner().invoke(app, ["study", str(written(study, tmp_path)), "--dry-run", "--json"])
    plan = json.loads(found.stdout)
    assert list(plan["runs"]) == [str(run) for run in runs_of(study)] and plan["total_s"] > 0
    assert not (tmp_path / "out").exists()


def written(study, folder):
    save_config(study, folder / "study.yaml")
    return folder / "study.yaml"


def test_the_shipped_study_is_sound(monkeypatch):
    monkeypatch.setenv("SEISFM_DATA", "anywhere")
    study = load_config(StudyConfig, "study/pretraining.yaml")
    check_equal_budgets(study)
    assert len(study.seeds) >= 5 and {"none", "mae", "wav2vec2", "data2vec", "clip", "supervised"} <= {
        arm.name for arm in study.arms
    }
    assert str(Run(arm=study.arms[1], seed=0)) == "mae, seed 0, pretraining"
    assert len(list(runs_of(study))) == 7 * 5 * (1 + 2 * 3)
