import dataclasses

import numpy as np
import pytest
from seisfm.data.records import Arrival
from seisfm.eval.realism.excerpts import ExcerptConfig, cut_excerpts

CONFIG = ExcerptConfig()


def test_onsets_lie_where_the_labels_are_and_the_span_is_as_asked(record_of):
    (excerpt,), skipped = cut_excerpts([record_of(0)], CONFIG)
    assert not skipped
    assert excerpt.p_sample == 600 and excerpt.s_sample == 800
    assert excerpt.waveform.shape == (3, 600 + 200 + 1000)
    assert excerpt.separation_s == 2.0
    before, after = excerpt.waveform[0, 550:600], excerpt.waveform[0, 600:650]
    assert after.std() > 20 * before.std()


def test_gain_does_not_matter_but_the_ratio_of_components_stays(record_of):
    record = record_of(0)
    louder = dataclasses.replace(record, waveform=record.waveform * np.float32(1e6))
    (one, other), _ = cut_excerpts([record, louder], CONFIG)
    np.testing.assert_allclose(one.waveform, other.waveform, rtol=1e-4, atol=1e-6)
    assert one.waveform.std() == pytest.approx(1.0)
    assert one.waveform[1].std() > 1.1 * one.waveform[2].std()


def test_the_order_of_components_does_not_matter(record_of):
    record = record_of(0)
    turned = dataclasses.replace(
        record, waveform=record.waveform[[2, 0, 1]].copy(), component_names=("E", "Z", "N")
    )
    (one, other), _ = cut_excerpts([record, turned], CONFIG)
    np.testing.assert_array_equal(one.waveform, other.waveform)


SECOND_EVENT = (
    Arrival(phase="P", time_s=10.0),
    Arrival(phase="S", time_s=12.0),
    Arrival(phase="P", time_s=15.0, event=1),
)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"waveform": np.ones((1, 3000), np.float32), "component_names": ("Z",)}, "needs the components"),
        ({"sampling_rate_hz": 50.0}, "needs 100 Hz, has 50 Hz"),
        ({"arrivals": (Arrival(phase="P", time_s=10.0),)}, "needs P and S 0.35 s apart, has nan s"),
        ({"separation_s": 0.2}, "has 0.20 s"),
        ({"separation_s": 12.0}, "needs the span 4.0 to 32.0 s, has 0 to 30.0 s"),
        ({"arrivals": SECOND_EVENT}, "another event"),
        ({"waveform": np.zeros((3, 3000), np.float32)}, "missing or dead"),
    ],
)
def test_what_cannot_be_compared_is_skipped_with_its_reason(record_of, changes, reason):
    excerpts, (skipped,) = cut_excerpts([record_of(4, **changes)], CONFIG)
    assert not excerpts and skipped.item == "r4"
    assert reason in skipped.reason


def test_a_gap_before_the_span_is_no_harm(record_of):
    waveform = record_of(0).waveform.copy()
    waveform[:, :200] = np.nan
    (excerpt,), _ = cut_excerpts([record_of(0, waveform=waveform)], CONFIG)
    assert np.isfinite(excerpt.waveform).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"band_hz": (1.0, 50.0)}, "band_hz must rise within 0 to 50 Hz"),
        ({"band_hz": (5.0, 2.0)}, "band_hz must rise"),
        ({"before_p_s": 1.0}, "must be 4 s or more"),
    ],
)
def test_what_a_configuration_refuses(changes, message):
    with pytest.raises(ValueError, match=message):
        ExcerptConfig(**changes)
