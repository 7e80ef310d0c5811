"""Each head: what it says, what it learns from, and that it learns nothing from nothing."""

import dataclasses

import pytest
import torch
from seisfm.foundation.features import FeatureSpec
from seisfm.foundation.stem import double_rate
from seisfm.heads.registry import HEADS, head_config, make_head
from seisfm.heads.time_axis import TimeGrid
from torch import nn

NAN = float("nan")
SPEC = FeatureSpec(
    dim=32,
    token_samples=16,
    skip_channels=(4, 8, 8),
    skip_strides=(1, 2, 4),
    rate_hz=100.0,
    components=("Z", "N", "E"),
)


@pytest.fixture(params=sorted(HEADS))
def name(request) -> str:
    return request.param


def test_each_head_has_a_frozen_configuration_beside_it(name):
    config = head_config(name, {})
    assert dataclasses.is_dataclass(config)
    assert type(config).__module__ == HEADS[name].__module__
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(config, dataclasses.fields(config)[0].name, 1)


def test_unknown_head_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"unknown head 'picks': the heads are \['back_azimuth', 'depth'"):
        make_head("picks", {}, SPEC)


def test_unknown_setting_of_a_head_is_an_error(name):
    with pytest.raises(ValueError, match="sigma_samples"):
        make_head(name, {"sigma_samples": 20}, SPEC)


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("picking", {"sigma_s": 0.0}, "sigma_s must be positive"),
        ("picking", {"class_weights": [1.0, -1.0, 1.0]}, "must not be negative"),
        ("detection", {"hidden": 0}, "hidden must be at least 1"),
        ("polarity", {"jitter_s": -0.1}, "jitter_s must not be negative"),
        (
            "event_type",
            {"classes": ["earthquake", "blast"]},
            r"classes must be two or more of .*'quarry_blast'",
        ),
        ("event_type", {"classes": ["noise"]}, "classes must be two or more"),
        ("event_type", {"arrival_weight": -1.0}, "arrival_weight not negative"),
        (
            "magnitude",
            {"hidden": 0},
            "hidden and looks must be at least 1 and arrival_weight not negative, found 0, 2 and 0.1",
        ),
        ("magnitude", {"least_std": 2.0}, "least_std must be positive and below spread"),
        ("distance", {"least_km": 0.0}, "least_km must be positive"),
        (
            "depth",
            {"looks": 0},
            "hidden and looks must be at least 1 and arrival_weight not negative, found 64, 0 and 0.1",
        ),
        ("back_azimuth", {"max_kappa": 0.0}, "max_kappa must be positive"),
        ("back_azimuth", {"looks": 0}, "hidden and looks must be at least 1"),
    ],
)
def test_impossible_settings_are_refused(name, settings, message):
    with pytest.raises(ValueError, match=message):
        head_config(name, settings)


def test_no_layer_of_a_head_mixes_windows_or_needs_a_transposed_convolution(name):
    head = make_head(name, {}, SPEC)
    forbidden = (nn.modules.batchnorm._BatchNorm, nn.ConvTranspose1d)
    assert not [layer for layer in head.modules() if isinstance(layer, forbidden)]


@pytest.fixture
def all_labels(labels_of):
    """Labels of every head; unknown where a window has no P."""

    def make(p_s, s_s, **arrivals):
        labels = labels_of(p_s, s_s, **arrivals)
        known = torch.tensor(p_s).isfinite()
        number = torch.arange(1.0, 1 + len(p_s))
        values = {"magnitude": 1.0, "distance_km": 30.0, "back_azimuth_deg": 100.0, "depth_km": 6.0}
        labels |= {key: torch.where(known, value * number, NAN) for key, value in values.items()}
        labels["event_type"] = torch.where(known, torch.arange(len(p_s)) % 2, -1)
        labels["origin_s"] = labels["p_arrival_s"] - 1.0
        labels["polarity"] = torch.where(known, torch.arange(len(p_s)) % 3, -1)[:, None]
        return labels

    return make


def _all_heads(new_model):
    return new_model(**{name: {} for name in HEADS})


@pytest.fixture(scope="module")
def model(new_model):
    return _all_heads(new_model)


def _head_loss(model, name, batch):
    features = model.encoder(batch)
    head = model.heads[name]
    return head.loss(head(features), batch, features)


def test_a_batch_without_labels_gives_exactly_zero_and_stays_connected(new_model, batch_of, name):
    model = _all_heads(new_model)
    loss, logs = _head_loss(model, name, batch_of())
    loss.backward()
    gradients = [p.grad for p in model.heads[name].parameters()]
    assert loss.item() == 0.0
    assert float(logs["labelled_share"]) == 0.0
    assert all(gradient is not None and not gradient.any() for gradient in gradients)


def test_labels_give_a_gradient_everywhere_in_the_head(new_model, batch_of, all_labels, name):
    model = _all_heads(new_model)
    loss, _ = _head_loss(model, name, batch_of(labels=all_labels([3.0, 4.0], [5.0, 7.0])))
    loss.backward()
    assert loss.item() > 0
    assert all(p.grad.any() for p in model.heads[name].parameters())


def test_unlabelled_windows_do_not_change_the_loss_of_the_others(model, batch_of, all_labels, name):
    batch = batch_of(4, labels=all_labels([3.0, 4.0, NAN, NAN], [5.0, 7.0, NAN, NAN]))
    labelled = torch.tensor([True, True, False, False])
    batch = batch.replace(labels=batch.labels | {"p_labelled": labelled, "s_labelled": labelled})
    with torch.no_grad():
        whole, _ = _head_loss(model, name, batch)
        part, _ = _head_loss(model, name, batch.select(labelled))
    assert float(whole) == pytest.approx(float(part), rel=1e-5)


def test_samples_that_nobody_observed_carry_no_loss(model, batch_of, all_labels, name):
    waveform = batch_of().waveform.clone()
    waveform[..., 600:] = NAN
    inside = batch_of(labels=all_labels([2.0, 2.0], [3.0, 3.0])).replace(waveform=waveform)
    later = {key: value + (6.5 if key.endswith("_s") else 0) for key, value in inside.labels.items()}
    also_outside = inside.replace(
        labels={
            key: torch.cat((value, later[key]), dim=1) if value.ndim == 2 else value
            for key, value in inside.labels.items()
        }
    )
    with torch.no_grad():
        losses = [float(_head_loss(model, name, batch)[0]) for batch in (inside, also_outside)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


@pytest.mark.parametrize("actual", [99.998, 100.0, 100.002])
def test_grid_times_are_those_of_the_digitizer(batch_of, actual):
    batch = batch_of(1, duration_s=30.0)
    batch = batch.replace(sampling_rate_hz=torch.tensor([actual]))
    time_s = TimeGrid(100.0).time_s(batch, 3000)
    assert float(time_s[0, -1]) == pytest.approx(2999 / actual, abs=1e-5)


@pytest.mark.parametrize("rate_hz", [20.0, 50.0, 62.5, 100.0, 200.0, 500.0])
@pytest.mark.parametrize("grid", [TimeGrid(100.0), TimeGrid(100.0, 8.0, 16.0)])
def test_a_parabola_survives_the_change_of_rate(batch_of, grid, rate_hz):
    batch = batch_of(2, rate_hz=rate_hz)
    num_points = round(1200 / grid.step)
    point_s = (grid.first + torch.arange(num_points) * grid.step) / 100.0
    sample_s = torch.arange(batch.num_samples) / rate_hz
    values = -((point_s - 5.003) ** 2).expand(2, 1, -1)
    result = grid.to_samples(values, batch)
    inside = (sample_s > point_s[1]) & (sample_s < point_s[-2])
    assert torch.allclose(result[0, 0][inside], -((sample_s - 5.003) ** 2)[inside], atol=1e-4)


def test_windows_of_several_rates_are_each_put_at_their_own_samples(batch_of):
    batch = batch_of(3).replace(sampling_rate_hz=torch.tensor([100.0, 50.0, 100.0]))
    values = torch.arange(2400.0).expand(3, -1)
    result = TimeGrid(100.0).to_samples(values, batch)
    assert torch.equal(result[0], torch.arange(1200.0))
    assert torch.equal(result[1], 2 * torch.arange(1200.0))
    observed = TimeGrid(100.0).observed_at_samples(values < 1000, batch)
    assert observed.sum(dim=1).tolist() == [1000, 500, 1000]


def test_doubling_the_rate_moves_nothing():
    slow = torch.arange(8.0)[None, None]
    assert torch.equal(double_rate(slow)[0, 0, :15], torch.arange(0, 7.5, 0.5))
