"""An Earth of several sampling rates: one for each event and each block of windows, the same every time."""

import pytest
import torch
from seisfm.configs.loader import build_config
from seisfm.data.loading.loader import WindowLoader
from seisfm.data.loading.windows import WindowConfig
from seisfm.data.synthesis import SynthesisConfig, SyntheticEarth, SyntheticRecords, synthesize_records

RATES_HZ = (100.0, 40.0, 200.0)
SHORT = {"duration_s": [40.0, 45.0], "pre_event_s": [8.0, 12.0], "stations_per_event": [1, 2]}
WINDOWS = WindowConfig(window_s=20.0, arrival_fraction=1.0, length_block=8)


def config_of(**settings) -> SynthesisConfig:
    return build_config(SynthesisConfig, SHORT | settings)


SEVERAL = config_of(also_hz=list(RATES_HZ[1:]))


def test_each_event_has_one_of_the_rates_and_all_occur():
    records = synthesize_records(SEVERAL, 0, 24)
    by_event = {}
    for record in records:
        by_event.setdefault(record.event_id, set()).add(record.sampling_rate_hz)
        assert 40.0 <= record.duration_s <= 45.1
    assert all(len(rates) == 1 for rates in by_event.values())
    assert set.union(*by_event.values()) == set(RATES_HZ)


def test_a_record_is_that_of_the_earth_at_its_rate_in_any_company():
    earth = SyntheticEarth(SEVERAL, 0)
    together = earth.records(torch.arange(12))
    for number, record in enumerate(together):
        alone = SyntheticEarth(SEVERAL.at_rate(record.sampling_rate_hz), 0).records(torch.tensor([number]))[0]
        assert record.record_id == alone.record_id and record.arrivals == alone.arrivals
        assert record.waveform.shape == alone.waveform.shape


def test_blocks_of_windows_draw_their_rate_and_windows_have_the_one_asked_for():
    records = SyntheticRecords(SEVERAL, 3, 400)
    loader = WindowLoader(records, WINDOWS, None, 8, seed=0)
    drawn = set()
    for number in range(12):
        earth = records._earth_of(loader.sampler.random(8 * number, 8))
        drawn.add(earth.config.sampling_rate_hz)
    assert drawn == set(RATES_HZ)
    batch = loader.batch(0)
    assert batch.sampling_rate_hz.unique().tolist() == [100.0] and batch.num_samples == 2000
    singles = WindowLoader(records, WINDOWS, None, 1, seed=0).batch(3)
    assert singles.event_id == batch.select(torch.tensor([3])).event_id


def test_a_lower_rate_leaves_nothing_above_its_half():
    """Windows at 100 Hz of an Earth at 40 Hz hold next to nothing above 20 Hz."""
    records = SyntheticRecords(SEVERAL.at_rate(40.0), 3, 40)
    waveform = WindowLoader(records, WINDOWS, None, 8, seed=0).batch(0).waveform.nan_to_num()
    power = torch.fft.rfft(waveform.diff(dim=-1)).abs().square().sum(dim=(0, 1))
    frequency_hz = torch.fft.rfftfreq(waveform.shape[-1] - 1, 0.01)
    above, below = power[frequency_hz > 25.0].mean(), power[frequency_hz < 15.0].mean()
    assert float(above / below) < 0.05


def test_without_further_rates_nothing_is_split():
    earth = SyntheticEarth(config_of(), 0)
    assert earth.at_rates == (earth,) and earth.config.rates_hz == (100.0,)


def test_a_rate_that_is_too_low_is_named():
    with pytest.raises(ValueError, match=r"also_hz must be 10 or more, found \(100.0, 5.0\)"):
        config_of(also_hz=[5.0])
