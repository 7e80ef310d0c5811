"""The study of calibrations on real records, on synthetic ones: its arms, its halves and its table."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from seisfm.configs.loader import load_config
from seisfm.eval.calibration.config import CalibrationConfig
from seisfm.eval.calibration.judged import JudgedClasses, JudgedNumbers
from seisfm.eval.calibration.run import calibration_windows

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture(scope="module")
def example():
    sys.path.insert(0, str(EXAMPLES))
    spec = importlib.util.spec_from_file_location("real_calibration", EXAMPLES / "real_calibration.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    sys.path.remove(str(EXAMPLES))


def numbers(std: float, seed: int = 0, num: int = 400) -> JudgedNumbers:
    rng = np.random.default_rng(seed)
    event = (np.arange(num) // 2).astype(str)
    return JudgedNumbers(event=event, error=rng.normal(size=num), std=np.full(num, std))


def test_a_gain_is_told_with_what_chance_allows(example) -> None:
    low, high = example.gain_interval(numbers(0.3), numbers(1.0))
    assert 0 < low < numbers(0.3).nll() - numbers(1.0).nll() < high
    assert example.gain_interval(numbers(1.0), numbers(1.0)) == (0.0, 0.0)


def test_one_row_for_each_kind_of_answers_and_calibration(example) -> None:
    said = np.full(100, 0.7)
    picks = JudgedClasses(
        event=np.arange(100).astype(str),
        probability=np.stack([1 - said, said], axis=1),
        truth=(np.arange(100) < 90).astype(int),
        weight=np.ones(100),
    )
    told = {
        example.TRAINED: {"picking_p": picks, "magnitude": numbers(0.5)},
        example.PUBLISHED: {"picking_p": picks, "magnitude": numbers(1.0)},
    }
    table = pd.DataFrame(example.rows_of("a set", told)).set_index(["answers", "calibration"])
    assert len(table) == 4
    assert table.loc[("picking_p", "published"), "came_true"] == pytest.approx(0.9)
    assert table.loc[("magnitude", "published"), "covers_0.7"] == pytest.approx(0.7, abs=0.05)
    assert table.loc[("magnitude", "published"), "gain_low"] > 0
    drawn = example.errors_figure(
        pd.DataFrame(example.rows_of(example.NCEDC, told)).assign(set=lambda rows: example.NCEDC)
    )
    (axes,) = drawn.axes
    assert axes.get_yticklabels()[0].get_text() == "P, ncedc_phasenet (n = 100)"
    assert [line.get_xdata().tolist() for line in axes.lines[:2]] == [[pytest.approx(0.2)]] * 2
    assert "| magnitude | published | 400 |" in example.markdown(
        table.reset_index()[["answers", "calibration", "n"]]
    )


@pytest.mark.slow
def test_no_event_is_judged_by_numbers_that_it_made(example, new_model, tmp_path) -> None:
    model = new_model(magnitude={"spread": 0.2})
    given = (
        f"model={tmp_path}",
        f"output_dir={tmp_path}",
        "data=[{kind: synthetic, num_events: 40, seed: 5}]",
        "windows={window_s: 12.0}",
        "noise_windows=0",
    )
    windows = calibration_windows(load_config(CalibrationConfig, "eval/calibration.yaml", given))[0]
    answered = example.answered(model, windows, {})
    raw = answered.heads["magnitude"]
    both, notes = example.crossed(model, windows, answered)
    first = example.for_fit(example.CONFIG)(raw.event)
    # Those that the first half's numbers judge come first.
    judged, order = both["magnitude"], np.r_[np.flatnonzero(~first), np.flatnonzero(first)]
    assert (judged.event == raw.event[order]).all()
    factors = judged.std / raw.std[order]
    parts = np.split(factors, [int((~first).sum())])
    for part in parts:
        assert part == pytest.approx(part[0], rel=1e-3)
        assert part[0] > 1.5
    assert parts[0][0] != pytest.approx(parts[1][0], rel=1e-3)
    assert "std_factor" in notes[0]
