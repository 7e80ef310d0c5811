"""Spectra and directions of hidden tokens: exact on made waves, of the token alone, masked."""

import importlib.util
import math
from pathlib import Path

import pytest
import torch
from seisfm.foundation.backbones.seismic import SeismicConfig, SeismicModel
from seisfm.foundation.contract import InputContract
from seisfm.pretrain.objectives.mae import MaskedAutoencoderConfig
from seisfm.pretrain.objectives.token_targets import (
    log_spectrum,
    polarization,
    polarization_loss,
    spectrum_loss,
    symmetric_deviator,
    token_judged,
)

_spec = importlib.util.spec_from_file_location(
    "objective_settings", Path(__file__).with_name("objective_settings.py")
)
ours = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(ours)

SIZE = 16
ONLY = {"waveform_weight": 0.0, "spectral_weight": 0.0, "spectrum_weight": 0.0, "polarization_weight": 0.0}


def test_a_sine_has_its_power_at_its_frequency_and_half_of_its_amplitude_beside_it():
    time = torch.arange(3 * SIZE)
    waveform = (2.0 * torch.sin(2 * math.pi * 4 * time / SIZE))[None, None]
    spectrum = log_spectrum(waveform, SIZE, 1e-12)
    assert spectrum.shape == (1, 3, 1, 9)
    # Hann: A² N / 6 at the frequency itself, half of the amplitude on either side, nothing elsewhere.
    amplitude = spectrum.exp()[0, 1, 0]
    peak = math.sqrt(4.0 * SIZE / 6)
    expected = torch.zeros(9)
    expected[3:6] = torch.tensor([peak / 2, peak, peak / 2])
    torch.testing.assert_close(amplitude, expected, atol=1e-4, rtol=1e-4)


def test_white_noise_has_a_power_of_one():
    noise = torch.randn(1, 1, 4000 * SIZE, generator=torch.Generator().manual_seed(0))
    power = log_spectrum(noise, SIZE, 1e-12).mul(2).exp()[0, :, 0, 1:-1].mean()
    assert power.item() == pytest.approx(1.0, abs=0.03)


def test_a_tokens_targets_know_nothing_of_its_neighbours():
    waveform = torch.randn(1, 3, 5 * SIZE)
    other = 100 * torch.randn(1, 3, 5 * SIZE)
    other[..., 2 * SIZE : 3 * SIZE] = waveform[..., 2 * SIZE : 3 * SIZE]
    for target in (lambda w: log_spectrum(w, SIZE, 1e-3), lambda w: polarization(w, SIZE)[0]):
        assert torch.equal(target(waveform)[:, 2], target(other)[:, 2])


def motion(kind):
    phase = 2 * math.pi * 2 * torch.arange(SIZE) / SIZE
    rows = {
        "along Z": (phase.sin(), 0 * phase, 0 * phase),
        "along north-east": (0 * phase, phase.sin(), phase.sin()),
        "a circle of Z and N": (phase.sin(), phase.cos(), 0 * phase),
    }
    return torch.stack(rows[kind])[None]


@pytest.mark.parametrize(
    ("kind", "expected", "squared_norm"),
    [
        ("along Z", [[2 / 3, 0, 0], [0, -1 / 3, 0], [0, 0, -1 / 3]], 2 / 3),
        ("along north-east", [[-1 / 3, 0, 0], [0, 1 / 6, 0.5], [0, 0.5, 1 / 6]], 2 / 3),
        ("a circle of Z and N", [[1 / 6, 0, 0], [0, 1 / 6, 0], [0, 0, -1 / 3]], 1 / 6),
    ],
)
def test_the_direction_of_motion_is_exact_whatever_the_amplitude(kind, expected, squared_norm):
    for amplitude in (1.0, 1e4):
        deviator, moves = polarization(amplitude * motion(kind), SIZE)
        torch.testing.assert_close(deviator[0, 0], torch.tensor(expected), atol=1e-6, rtol=1e-5)
        assert deviator.square().sum().item() == pytest.approx(squared_norm, rel=1e-5) and moves.all()


def test_no_motion_has_no_direction():
    deviator, moves = polarization(torch.zeros(1, 3, 2 * SIZE), SIZE)
    assert not moves.any() and deviator.isfinite().all()


def test_a_guessed_deviator_is_symmetric_without_a_trace():
    deviator = symmetric_deviator(torch.randn(4, 7, 5))
    assert torch.equal(deviator, deviator.transpose(-1, -2))
    assert deviator.diagonal(dim1=-2, dim2=-1).sum(dim=-1).abs().max() < 1e-6


def test_a_token_is_judged_where_every_sample_of_it_is():
    judged = torch.ones(1, 2, 3 * SIZE, dtype=torch.bool)
    judged[0, 1, 20] = False
    assert token_judged(judged, SIZE).tolist() == [[[True, True], [True, False], [True, True]]]


def test_what_is_not_judged_cannot_matter():
    for loss_of, shape in ((spectrum_loss, (2, 6, 3, 9)), (polarization_loss, (2, 6, 3, 3))):
        guess, truth = torch.randn(2, *shape).unbind()
        judged = torch.rand(shape[:3] if len(shape) == 4 and shape[-1] == 9 else shape[:2]) < 0.5
        unseen = ~judged.reshape(*judged.shape, *(1,) * (len(shape) - judged.ndim))
        other = torch.where(unseen, 1e3, guess).requires_grad_()
        loss = loss_of(other, truth, judged)
        assert loss == loss_of(guess, truth, judged) > 0
        loss.backward()
        assert not (other.grad * unseen).any()


# --- as targets of the masked autoencoder ---------------------------------------------------------


@pytest.mark.parametrize(
    ("weight", "part"), [("spectrum_weight", "spectrum_loss"), ("polarization_weight", "polarization_loss")]
)
def test_each_can_be_the_only_target_and_is_learned(weight, part):
    pretraining, batch = ours.make_pretraining("mae", **ONLY | {weight: 1.0}), ours.make_batch()
    optimizer = torch.optim.AdamW(pretraining.parameters(), lr=2e-3)
    losses = []
    for _ in range(30):
        loss, parts = pretraining(batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert set(parts) == {part} and not hasattr(pretraining.objectives["mae"], "reconstruct")
    trivial = pretraining.objectives["mae"].trivial_loss(pretraining.model, batch)
    assert losses[-1] < 0.9 * losses[0] and losses[-1] < float(trivial)


def test_the_loss_is_the_weighted_sum_of_its_parts():
    weights = {
        "waveform_weight": 2.0,
        "spectral_weight": 0.25,
        "spectrum_weight": 0.5,
        "polarization_weight": 3.0,
    }
    loss, parts = ours.make_pretraining("mae", **weights)(ours.make_batch())
    expected = sum(weights[name.replace("_loss", "_weight")] * value for name, value in parts.items())
    torch.testing.assert_close(loss, expected)
    assert len(parts) == 4


def test_truths_are_those_of_the_hidden_motion_in_units_of_the_visible_part():
    """A perfect guess costs nothing, made here by hand from the input itself."""
    pretraining = ours.make_pretraining("mae", **ONLY | {"polarization_weight": 1.0, "spectrum_weight": 1.0})
    objective, model, batch = pretraining.objectives["mae"], pretraining.model, ours.make_batch()
    hidden = objective.draw_mask(model, batch)
    visible, whole = model.prepare(model.hide(batch, hidden)), model.prepare(batch)
    truth = objective.hidden_truth(whole, visible, hidden)
    waveform = whole.waveform * whole.scale / visible.scale
    guess = {
        "spectrum": log_spectrum(waveform, SIZE, objective.config.spectral.floor),
        "polarization": polarization(waveform[:, :3], SIZE)[0],
    }
    loss, _ = objective.compare(guess, truth)
    assert loss < 1e-6
    guess["polarization"] = guess["polarization"] + 0.1
    # 0.1 at each of nine entries, at every token that counts.
    assert objective.compare(guess, truth)[1]["polarization_loss"].item() == pytest.approx(0.09, rel=1e-3)


def test_windows_that_lack_a_component_have_no_direction():
    pretraining = ours.make_pretraining("mae", **ONLY | {"polarization_weight": 1.0})
    batch = ours.make_batch()
    waveform = batch.waveform.clone()
    waveform[:, 2] = torch.nan
    assert pretraining(batch)[0] > 0 and pretraining(batch.replace(waveform=waveform))[0] == 0


def test_directions_need_three_components():
    contract = InputContract(components=("Z", "H"))
    model = SeismicModel(SeismicConfig(**ours.NANO, input_contract=contract.to_dict()))
    with pytest.raises(
        ValueError, match=r"polarization needs .* lacks \['N', 'E'\]: set polarization_weight"
    ):
        ours.make_pretraining("mae", model)


@pytest.mark.parametrize("weights", [ONLY, {"spectrum_weight": -1.0}])
def test_weights_that_ask_for_nothing_are_refused(weights):
    with pytest.raises(ValueError, match="must not be negative, and one or more be positive"):
        MaskedAutoencoderConfig(**weights)
