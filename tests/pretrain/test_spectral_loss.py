import math

import pytest
import torch
from seisfm.pretrain.objectives.spectral_loss import LogPower, SpectralLossConfig, log_spectral_distance
from torch.autograd import gradcheck

RATE_HZ = 100.0


def distance(predicted, truth, judged=None, **settings):
    judged = torch.ones_like(truth, dtype=torch.bool) if judged is None else judged
    return log_spectral_distance(predicted, truth, judged, RATE_HZ, SpectralLossConfig(**settings))


def noise(seed, shape=(2, 3, 1200)):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_equal_waveforms_are_at_no_distance_and_a_gain_costs_its_logarithm():
    truth = noise(0)
    assert distance(truth, truth) == 0
    # Far above the floor, twice the amplitude is log 2 away in every bin.
    assert float(distance(200 * truth, 100 * truth)) == pytest.approx(math.log(2.0), rel=1e-3)


def test_the_sign_and_the_phase_do_not_matter_but_the_frequency_does():
    time_s = torch.arange(1200) / RATE_HZ
    truth = torch.sin(2 * torch.pi * 5 * time_s).expand(1, 1, -1)
    shifted = torch.sin(2 * torch.pi * 5 * time_s + 1.0).expand(1, 1, -1)
    other = torch.sin(2 * torch.pi * 12 * time_s).expand(1, 1, -1)
    assert distance(-truth, truth) == 0
    assert distance(shifted, truth) < 0.1 * distance(other, truth)


def test_a_frame_counts_by_its_judged_share_and_not_at_all_below_half():
    truth, predicted = noise(0), noise(1)
    judged = torch.zeros_like(truth, dtype=torch.bool)
    judged[..., 600:] = True
    assert distance(predicted, truth, judged) > 0
    # A change that only frames with less than half of their power judged can see costs nothing.
    changed = torch.cat([predicted[..., :340], noise(2)[..., 340:344], predicted[..., 344:]], dim=-1)
    one_length = {"lengths_s": (1.28,)}
    assert distance(changed, truth, judged, **one_length) == distance(predicted, truth, judged, **one_length)


def test_nothing_judged_costs_nothing_and_stays_connected():
    predicted = noise(0).requires_grad_()
    loss = distance(predicted, noise(1), torch.zeros(2, 3, 1200, dtype=torch.bool))
    loss.backward()
    assert loss == 0 and torch.equal(predicted.grad, torch.zeros_like(predicted))


def test_silence_has_a_finite_gradient():
    predicted = torch.zeros(1, 1, 1200, requires_grad=True)
    distance(predicted, noise(1, (1, 1, 1200))).backward()
    assert predicted.grad.isfinite().all()


def test_windows_longer_than_the_waveform_take_all_of_it():
    assert distance(noise(0, (1, 1, 100)), noise(1, (1, 1, 100)), lengths_s=(5.0,)) > 0


def test_lengths_and_floor_must_be_positive():
    with pytest.raises(ValueError, match="lengths_s and floor must be positive"):
        SpectralLossConfig(lengths_s=())
    with pytest.raises(ValueError, match="lengths_s and floor must be positive"):
        SpectralLossConfig(floor=0.0)


@pytest.mark.parametrize("length", [32, 9, 5, 1])
def test_log_power_is_that_of_torchs_spectrogram_and_its_gradient_that_of_small_differences(length):
    waveform, taper = noise(0, (1, 2, 43)).double(), torch.hann_window(length, dtype=torch.float64)
    spectrum = torch.stft(
        waveform[0], length, max(1, length // 4), window=taper, center=False, return_complex=True
    )
    expected = (spectrum.abs().square() / taper.square().sum() + 1e-3).log().transpose(-1, -2)
    assert torch.allclose(LogPower.apply(waveform, taper, 1e-3)[0], expected)
    assert gradcheck(lambda x: LogPower.apply(x, taper, 1e-3), (waveform.requires_grad_(),))
