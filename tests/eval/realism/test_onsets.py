"""Growth after an onset and the place of picks, on records whose shape is known."""

import dataclasses

import numpy as np
import pytest
from seisfm.eval.baselines import StaLtaPicker
from seisfm.eval.realism.excerpts import ExcerptConfig, cut_excerpts
from seisfm.eval.realism.onsets import growth_figure, onset_growth, pick_offsets_s


@pytest.fixture(scope="module")
def excerpts(record_of):
    return cut_excerpts([record_of(number) for number in range(24)], ExcerptConfig())[0]


@pytest.mark.parametrize("phase", ["P", "S"])
def test_motion_is_small_before_the_onset_and_reaches_its_peak_after_it(excerpts, phase):
    time_s, growth = onset_growth(excerpts, phase)
    assert growth.shape == (24, len(time_s)) and (time_s[0], time_s[-1]) == (-0.2, 0.5)
    middle = np.median(growth, axis=0)
    assert middle[time_s < -0.02].max() < 0.3 * middle[time_s > 0.1].mean()
    assert growth[:, time_s >= 0].max() == pytest.approx(1.0)


def test_an_onset_that_builds_up_grows_later(excerpts):
    def built_up(excerpt):
        since = (np.arange(excerpt.waveform.shape[1]) - excerpt.p_sample) / excerpt.sampling_rate_hz
        rise = np.where((since > 0) & (since < 0.1), since / 0.1, 1.0)
        return dataclasses.replace(excerpt, waveform=excerpt.waveform * rise)

    time_s, sharp = onset_growth(excerpts, "P")
    _, slow = onset_growth([built_up(excerpt) for excerpt in excerpts], "P")
    early = (time_s > 0) & (time_s < 0.05)
    assert np.median(slow[:, early]) < 0.5 * np.median(sharp[:, early])


def test_a_label_that_is_moved_moves_the_offset_the_other_way(excerpts):
    picker = StaLtaPicker()
    offset_s = pick_offsets_s(picker, excerpts[:8], "P")
    late = [dataclasses.replace(excerpt, p_sample=excerpt.p_sample + 5) for excerpt in excerpts[:8]]
    assert np.nanmedian(np.abs(offset_s)) < 0.05
    np.testing.assert_allclose(pick_offsets_s(picker, late, "P"), offset_s - 0.05, atol=1e-9)


def test_nothing_is_picked_in_nothing(excerpts):
    dead = dataclasses.replace(excerpts[0], waveform=np.zeros_like(excerpts[0].waveform))
    assert np.isnan(pick_offsets_s(StaLtaPicker(), [dead], "P")).all()


def test_the_figure_names_each_kind_with_its_number(excerpts):
    figure = growth_figure({"real": excerpts[:8], "synthetic": excerpts})
    labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert labels == ["real, n = 8", "synthetic, n = 24"]
