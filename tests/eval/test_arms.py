"""Arms of a study side by side: pairs of errors, tables, the figure, and scores of the windows that count."""

import numpy as np
import pandas as pd
import pytest
from seisfm.data.records import Arrival, Record
from seisfm.eval.arm_differences import DIFFERENCE_COLUMNS, no_errors, paired_differences, window_errors
from seisfm.eval.arm_figures import MEASURES, ON_ALL, arm_figure, arm_table, difference_table
from seisfm.eval.head_scores import ALL, REFERENCE, HeadScoresConfig, as_scored, pick_frame
from seisfm.eval.source_predictors import ModelPredictor, SourceDummy, trained_harmonization
from seisfm.eval.source_protocol import SourceScoreConfig, answer_windows, score_answers
from seisfm.eval.source_tables import markdown_table, score_frame
from seisfm.eval.source_windows import SourceWindowsConfig, source_windows

CUT = SourceWindowsConfig(window_s=20.0, p_position_s=(5.0, 8.0))
QUICK = SourceScoreConfig(jitters_s=(0.0, 0.2), num_resamples=50)
LABELS = ("magnitude", "distance_km", "back_azimuth_deg", "depth_km", "event_type", "polarity")


def record(number, kind="earthquake"):
    rng = np.random.default_rng(number)
    about = {
        "source_magnitude": 1.0 + 0.3 * number,
        "path_ep_distance_km": 10.0 + number,
        "path_back_azimuth_deg": 20.0 * number,
        "source_depth_km": 5.0 + number,
    }
    arrivals = (Arrival(phase="P", time_s=15.0, polarity="positive"), Arrival(phase="S", time_s=17.0))
    return Record(
        record_id=f"r{number}",
        waveform=rng.normal(size=(3, 4000)).astype(np.float32),
        component_names=("Z", "N", "E"),
        sampling_rate_hz=100.0,
        station_id="XX.A.",
        event_id=f"e{number // 2}",
        unit="counts",
        arrivals=() if kind == "noise" else arrivals,
        labelled_phases=frozenset("PS"),
        metadata=({} if kind == "noise" else about) | {"source_type": kind},
    )


@pytest.fixture(scope="module")
def windows():
    return source_windows([record(i, "noise" if i == 7 else "earthquake") for i in range(8)], CUT)


@pytest.fixture(scope="module")
def answers(new_model, windows):
    heads = ("magnitude", "distance", "back_azimuth", "depth", "event_type", "polarity")
    model = new_model(**{name: {} for name in heads})
    return answer_windows(ModelPredictor(model, "one"), windows, QUICK.jitters_s)


def test_errors_by_window_are_what_the_scores_are_made_of(answers, windows):
    errors = window_errors(answers, windows)
    said = answer_windows(SourceDummy.fit(windows), windows, QUICK.jitters_s)
    scores = score_frame(score_answers(answers, said, windows, QUICK))
    assert set(errors.label) == set(LABELS)
    for label in ("magnitude", "distance_km", "back_azimuth_deg", "depth_km"):
        (mae,) = scores[(scores.label == label) & (scores.metric == "mae")].value
        assert errors[errors.label == label].error.mean() == pytest.approx(mae)
    for label in ("event_type", "polarity"):
        rows = scores[(scores.label == label) & (scores.metric == "accuracy") & (scores.jitter_s == 0)]
        assert 1.0 - errors[errors.label == label].error.mean() == pytest.approx(rows.value.item())


def test_only_the_windows_that_count_are_scored(answers, windows):
    said = answer_windows(SourceDummy.fit(windows), windows, QUICK.jitters_s)
    where = {"magnitude": np.arange(8) < 3, "event_type": np.arange(8) == 7}
    rows = {row.label: row for row in score_answers(answers, said, windows, QUICK, where)}
    assert (rows["magnitude"].labelled, rows["magnitude"].answered) == (3, 3)
    assert rows["magnitude"].dummy["mae"].n == 3
    assert list(rows["event_type"].recall) == ["noise"]
    assert rows["depth_km"].labelled == 7, "a label that is not named counts everywhere"
    nowhere = {label: np.zeros(8, dtype=bool) for label in LABELS}
    assert score_answers(answers, said, windows, QUICK, nowhere) == []


def test_rows_become_a_table_that_is_read_and_one_that_is_computed_with(answers, windows):
    said = answer_windows(SourceDummy.fit(windows), windows, QUICK.jitters_s)
    rows = [row for one in (answers, said) for row in score_answers(one, said, windows, QUICK)]
    lines = markdown_table(rows)
    assert sum("polarity, P ± 0.2 s" in line for line in lines) == 1, "the dummy is told once"
    assert any("magnitude | 7 of 7 | mae" in line and "bias" in line for line in lines)
    frame = score_frame(rows)
    assert frame[frame.metric == "r2"].label.isin(["magnitude", "distance_km", "depth_km"]).all()
    assert frame[(frame.label == "magnitude") & (frame.predictor == "one")].coverage_90.notna().all()


def test_windows_for_pickers_know_which_are_noise(windows):
    scored = as_scored(windows, HeadScoresConfig().harmonization)
    assert scored.is_noise.tolist() == [False] * 7 + [True]
    assert len(scored.truth("P").time_s) == 7 and scored.event.tolist() == windows.event.tolist()


def errors_of(name, seed, values):
    rows = {"label": "magnitude", "window": np.arange(len(values)), "error": values}
    return pd.DataFrame(rows | {"event": [f"e{i // 2}" for i in range(len(values))]}).assign(
        predictor=name, seed=seed
    )


def test_pairs_take_out_how_hard_a_window_is():
    """Errors that differ wildly between windows, an arm that is better by 0.1 on each: no doubt is left."""
    hard = np.random.default_rng(0).exponential(size=40)
    both = [errors_of("multi", seed, hard) for seed in (0, 1)]
    better = [errors_of("better", seed, hard - 0.05 - 0.1 * seed) for seed in (0, 1)]
    alone = errors_of("other seed", 7, hard)
    found = paired_differences(pd.concat([*both, *better, alone]), "multi").set_index("predictor")
    assert found.difference["better"] == pytest.approx(-0.1)
    assert found.high["better"] == pytest.approx(-0.1) and found.seeds["better"] == 2
    assert (found.seed_low["better"], found.seed_high["better"]) == pytest.approx((-0.15, -0.05))
    assert list(found.index) == ["better"], "without a common seed there is no pair"
    assert paired_differences(no_errors().assign(predictor=[], seed=[]), "multi").empty


def scores_of(arms):
    """A table in which arm number i has i / 10 everywhere."""
    lines = []
    for number, (name, label_of) in enumerate(arms.items()):
        for measure in label_of:
            lines.append(
                {"predictor": name, "head": measure.head, "label": measure.label, "metric": measure.metric}
                | {"where": measure.where, "jitter_s": 0.0, "seed": 0, "dummy": 0.5}
                | {"value": number / 10, "low": number / 10 - 0.1, "high": number / 10 + 0.1}
            )
    return pd.DataFrame(lines)


def test_tables_and_figure_hold_each_arm_where_it_has_a_score():
    magnitude = [m for m in MEASURES if m.head == "magnitude"]
    table = scores_of({"multi": MEASURES, "only magnitude": magnitude, magnitude[0].reference: magnitude})
    lines = arm_table(table, ["multi", "only magnitude", "not run"])
    assert [line.split(" | ")[0] for line in lines[2:]] == [
        "| multi", "| only magnitude", f"| {magnitude[0].reference}",
    ]  # fmt: skip
    assert lines[3].count("0.10 (0.00–0.20)") == 1
    figure = arm_figure(table, ["multi", "only magnitude", "not run"])
    panels = {axes.get_title(loc="left").split(",")[0]: axes for axes in figure.axes if axes.axison}
    assert len(panels) == len({m.title.split(",")[0] for m in MEASURES})
    assert [text.get_text() for text in panels["magnitude"].get_yticklabels()] == ["multi", "only magnitude"]
    assert {text.get_text() for text in figure.legends[0].get_texts()} == {"reference", "dummy"}


def test_a_mean_over_seeds_stands_in_a_cell():
    depth = [m for m in MEASURES if m.head == "depth"]
    one, two = scores_of({"multi": depth}), scores_of({"multi": depth}).assign(seed=1, value=3.0)
    assert "1.50 (" in arm_table(pd.concat([one, two]), ["multi"])[2]


def test_all_windows_are_another_measure_than_those_of_the_reference():
    assert {m.where for m in MEASURES} == {ALL, REFERENCE} and {m.where for m in ON_ALL} == {ALL}


def test_differences_clear_of_zero_are_bold_where_all_seeds_agree():
    rows = [
        ("a", "magnitude", -0.2, -0.3, -0.1, -0.2, -0.2, 1, 9),
        ("a", "depth_km", 0.1, -0.1, 0.3, 0.1, 0.1, 1, 9),
        ("b", "magnitude", -0.2, -0.3, -0.1, -0.5, 0.1, 2, 18),
        ("b", "depth_km", 0.2, 0.1, 0.3, 0.15, 0.25, 2, 18),
    ]
    lines = difference_table(pd.DataFrame(rows, columns=list(DIFFERENCE_COLUMNS)), ["multi", "a", "b"])
    assert lines[0] == "| arm | magnitude | depth (km) |"
    assert lines[2] == "| a | **-0.200** (-0.300 to -0.100) | +0.10 (-0.10 to +0.30) |"
    assert lines[3] == (
        "| b | -0.200 (-0.300 to -0.100); 2 seeds -0.500 to +0.100 "
        "| **+0.20** (+0.10 to +0.30); 2 seeds +0.15 to +0.25 |"
    )


def test_picks_are_lines_like_all_others():
    row = {"phase": "P", "tolerance_s": 0.2, "f1": 0.5, "f1_low": 0.4, "f1_high": 0.6}
    (line,) = pick_frame(pd.DataFrame([row | {"true_positives": 3, "misses": 1}])).to_dict("records")
    assert (line["metric"], line["value"], line["labelled"]) == ("f1@0.2s", 0.5, 4)


def test_what_is_scored_must_not_choose_thresholds():
    with pytest.raises(ValueError, match="seed and fit_seed must differ, found 7"):
        HeadScoresConfig(seed=7, fit_seed=7)


def test_a_model_tells_in_which_unit_it_learned(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"has no training.yaml: nobody knows in which unit"):
        trained_harmonization(tmp_path)
    papers = tmp_path / "training.yaml"
    papers.write_text("windows: {harmonization: {unit: m/s, response: sensitivity}}\n")
    assert trained_harmonization(tmp_path).unit == "m/s"
    papers.write_text("heads: {}\n")
    with pytest.raises(ValueError, match="must say how `windows` were made, found NoneType"):
        trained_harmonization(tmp_path)
