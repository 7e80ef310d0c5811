import json

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text
from seisfm.eval.figures import (
    WIDTH_IN,
    depth_section_figure,
    map_figure,
    record_section_figure,
    window_figure,
)
from seisfm.eval.score_figures import (
    comparison_figure,
    learning_curve_figure,
    read_training_log,
    residual_figure,
    threshold_figure,
)

RNG = np.random.default_rng(0)


def window():
    waveform = RNG.normal(size=(3, 3000)).astype(np.float32)
    waveform[1] = np.nan
    waveform[2, :700] = np.nan
    curves = {"P": RNG.uniform(size=3000), "S": RNG.uniform(size=3000)}
    picks, labels = {"P": [10.0], "S": []}, {"P": [10.2, np.nan]}
    return window_figure(
        waveform, "ZNE", 100.0, probability=curves, picks_s=picks, labels_s=labels, title="NC.ABC, M 2.1"
    )


def record_section():
    waves = [RNG.normal(size=2000), np.full(2000, np.nan), np.zeros(4000)]
    return record_section_figure(
        waves, [5.0, 12.0, 30.0], [-2.0, -2.0, 0.0], [100.0, 100.0, 200.0], station_names=["A", "B", "C"],
        picks_s={"P": [1.0, np.nan, 6.0]},
        predicted_s={"P": [1.1, 2.2, 5.9], "S": [2.0, 4.0, 10.0]}, title="Event",
    )  # fmt: skip


def station_map():
    stations, events = RNG.normal(size=(5, 2)) * 10, RNG.normal(size=(9, 2)) * 5
    return map_figure(
        stations, events, RNG.uniform(2, 9, 9), station_names=list("ABCDE"), event_magnitude=np.ones(9)
    )


def depth_section():
    return depth_section_figure(RNG.normal(size=9), RNG.uniform(2, 9, 9), depth_uncertainty_km=np.ones(9))


def learning_curve():
    log = pd.DataFrame({"step": np.arange(50), "loss": 1 / (1 + np.arange(50)), "validation_loss": np.nan})
    log.loc[::10, "validation_loss"] = 0.4
    return learning_curve_figure(log, ["loss", "validation_loss"])


def thresholds():
    grid = np.linspace(0.05, 0.95, 19)
    curve = pd.DataFrame(
        {"threshold": grid, "precision": grid**0.2, "recall": 1 - grid**3, "f1": 0.8 - (grid - 0.4) ** 2}
    )
    return threshold_figure(curve, chosen=0.4)


def comparison():
    rows = [("P", "base", 0.7), ("P", "adapted", 0.9), ("S", "base", 0.5), ("S", "adapted", np.nan)]
    table = pd.DataFrame(rows, columns=["phase", "model", "f1"])
    return comparison_figure(
        table.assign(f1_low=table.f1 - 0.1, f1_high=table.f1 + 0.05), "phase", "f1", "model"
    )


FIGURES = {
    "window": window,
    "record_section": record_section,
    "map": station_map,
    "depth_section": depth_section,
    "learning_curve": learning_curve,
    "residual": lambda: residual_figure(
        {"model P": RNG.normal(size=100) * 0.3, "model S": np.array([np.nan])}
    ),
    "thresholds": thresholds,
    "comparison": comparison,
}


@pytest.mark.parametrize("name", FIGURES)
def test_figures_draw_with_text_that_a_phone_can_show(name, tmp_path):
    before = dict(matplotlib.rcParams)
    figure = FIGURES[name]()
    figure.savefig(tmp_path / "figure.png", dpi=60)
    assert figure.get_figwidth() == WIDTH_IN
    shown = [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]
    assert shown and min(text.get_fontsize() for text in shown) >= 9
    assert dict(matplotlib.rcParams) == before


def test_a_training_log_is_read_up_to_its_last_whole_line(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text(
        json.dumps({"step": 1, "loss": 2.0}) + "\n" + json.dumps({"step": 2, "loss": 1.0}) + '\n{"st'
    )
    assert list(read_training_log(path)["loss"]) == [2.0, 1.0]
    path.write_text('{"step": 1}\nnot json\n')
    with pytest.raises(ValueError, match="line 2"):
        read_training_log(path)


def test_a_column_that_was_not_logged_is_named():
    with pytest.raises(ValueError, match="accuracy"):
        learning_curve_figure(pd.DataFrame({"step": [1], "loss": [1.0]}), ["accuracy"])
