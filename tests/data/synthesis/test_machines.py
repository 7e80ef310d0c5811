"""Machines are narrow-band, begin within two cycles, last as long as they should, and fade."""

import pytest
import torch
from seisfm.data.loading.window_random import WindowRandom, window_keys
from seisfm.data.synthesis import machines
from seisfm.data.synthesis.disturbance_shapes import SHAPES
from seisfm.data.synthesis.machines import MACHINE_HZ

RATE_HZ = 100.0
BEGIN_S = 5.0
KINDS = ("ring", "beats", "burst", "pump")


def random_of(num_records: int) -> WindowRandom:
    return WindowRandom(window_keys(torch.arange(num_records), 0))


def shape_of(kind: str, num_records: int = 64, rate_hz: float = RATE_HZ, length_s: float = 60.0):
    time_s = (torch.arange(round(length_s * rate_hz)) / rate_hz - BEGIN_S).expand(num_records, -1)
    return SHAPES[kind](random_of(num_records), time_s, rate_hz), time_s[0]


def power_spectrum(motion: torch.Tensor, rate_hz: float) -> tuple[torch.Tensor, torch.Tensor]:
    power = torch.fft.rfft(motion).abs().square().sum(dim=1)
    return power / power.sum(dim=1, keepdim=True), torch.fft.rfftfreq(motion.shape[-1], 1.0 / rate_hz)


@pytest.mark.parametrize("rate_hz", [20.0, 100.0, 250.0])
@pytest.mark.parametrize("kind", KINDS)
def test_the_energy_lies_between_4_and_40_hz(kind, rate_hz):
    motion, _ = shape_of(kind, rate_hz=rate_hz)
    assert bool(motion.isfinite().all())
    assert bool((motion.abs().amax(dim=(1, 2)) > 0.0).all())
    power, frequency_hz = power_spectrum(motion, rate_hz)
    inside = (frequency_hz > 0.5 * MACHINE_HZ[0]) & (frequency_hz < 1.3 * MACHINE_HZ[1])
    assert float(power[:, inside].sum(dim=1).median()) > 0.97


@pytest.mark.parametrize("kind", ["beats", "burst"])
def test_half_of_the_power_lies_within_a_narrow_band(kind):
    power, frequency_hz = power_spectrum(shape_of(kind, 256)[0], RATE_HZ)
    total = power.cumsum(dim=1)
    low, centre, high = (frequency_hz[(total < part).sum(dim=1)] for part in (0.25, 0.5, 0.75))
    assert float(((high - low) / centre).quantile(0.95)) < 0.25


@pytest.mark.parametrize("kind", ["beats", "pump"])
def test_two_cycles_after_its_beginning_it_is_as_loud_as_later(kind):
    motion, time_s = shape_of(kind, 256, rate_hz=400.0)
    hz = machines._frequency(random_of(256), 400.0)
    loud = motion.square().sum(dim=1)
    cycles = time_s * hz
    early = (loud * ((cycles >= 2.0) & (cycles < 4.0))).amax(dim=1)
    assert float((early / loud.amax(dim=1)).median()) > 0.6
    assert float((early > 0.1 * loud.amax(dim=1)).float().mean()) > 0.85


def test_a_knock_is_loudest_within_two_cycles_and_rings_for_some():
    motion, time_s = shape_of("ring", 256, rate_hz=400.0)
    loud = motion.square().sum(dim=1)
    slowest_s = 1.0 / machines._frequency(random_of(256), 400.0, 3).amin(dim=1)
    peak_s = time_s[loud.argmax(dim=1)]
    assert bool((peak_s <= 4.0 * slowest_s).all())
    assert float((peak_s <= 2.0 * slowest_s).float().mean()) > 0.95
    rings_s = ((loud > 0.01 * loud.amax(dim=1, keepdim=True)) * time_s).amax(dim=1)
    assert float(rings_s.amin()) > 0.05
    assert float(rings_s.amax()) < 10.0


@pytest.mark.parametrize("kind", ["beats", "burst"])
def test_runs_last_as_long_as_they_should_and_end(kind):
    motion, time_s = shape_of(kind, 256, length_s=90.0)
    loud = motion.square().sum(dim=1)
    lasts_s = ((loud > 0.05 * loud.amax(dim=1, keepdim=True)) * time_s).amax(dim=1)
    assert float(lasts_s.quantile(0.1)) < 2.0
    assert float(lasts_s.quantile(0.9)) > 15.0
    assert bool((loud[:, time_s > 80.0].amax(dim=1) < 0.05 * loud.amax(dim=1)).all())


def test_a_pump_stops_between_its_runs():
    motion = shape_of("pump", 64)[0]
    smooth = torch.nn.functional.avg_pool1d(motion.square().sum(dim=1), 20)
    smooth = smooth / smooth.amax(dim=1, keepdim=True)
    heard = smooth > 0.1
    starts = (heard[:, 1:] & ~heard[:, :-1]).sum(dim=1)
    assert bool((starts >= 1).all())
    assert float((starts >= 2).float().mean()) > 0.9


@pytest.mark.parametrize("kind", KINDS)
def test_components_have_strengths_and_phases_of_their_own(kind):
    motion, _ = shape_of(kind, 64)
    strength = motion.square().mean(dim=-1).sqrt()
    ratio = strength.amax(dim=1) / strength.amin(dim=1)
    assert 1.5 < float(ratio.median()) < 8.0
    singular = torch.linalg.svdvals(motion)
    assert float((singular[:, 1] / singular[:, 0]).median()) > 0.1


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_numbers_make_the_same_machine(kind):
    together, _ = shape_of(kind, 8)
    time_s = (torch.arange(6000) / RATE_HZ - BEGIN_S)[None]
    for number in range(8):
        alone = SHAPES[kind](random_of(8).select(torch.tensor([number])), time_s, RATE_HZ)
        torch.testing.assert_close(alone[0], together[number], rtol=1e-4, atol=1e-4)
