"""One answer a window: densities are proper, angles wrap, and what must not matter does not."""

import math
from dataclasses import replace

import pytest
import torch
from scipy import stats
from seisfm.foundation.features import FeatureSpec, SeismicFeatures
from seisfm.heads.back_azimuth import von_mises_nll
from seisfm.heads.groups import mean_of_groups
from seisfm.heads.measured_arrivals import MeasuredArrivals
from seisfm.heads.polarization import token_polarization
from seisfm.heads.registry import HEADS, make_head
from seisfm.heads.regression import gaussian_nll
from seisfm.heads.spectrum import in_bands, token_power
from seisfm.heads.window_summary import WindowSummary
from torch.nn import functional as F

WINDOW_HEADS = ("magnitude", "distance", "depth", "back_azimuth", "event_type")
BARE = FeatureSpec(
    dim=8, token_samples=16, skip_channels=(), skip_strides=(), rate_hz=100.0, components=("Z", "N", "E")
)


def features_of(num_windows=4, num_tokens=40, seed=0, **changes) -> SeismicFeatures:
    """Random features of a backbone that has no skips."""
    generator = torch.Generator().manual_seed(seed)
    samples = 16 * num_tokens
    made = {
        "tokens": torch.randn(num_windows, num_tokens, 8, generator=generator),
        "token_time_s": ((torch.arange(num_tokens) + 0.5) * 0.16).expand(num_windows, -1),
        "token_observed": torch.ones(num_windows, num_tokens, dtype=torch.bool),
        "skips": (),
        "sample_observed": torch.ones(num_windows, samples, dtype=torch.bool),
        "pooled": torch.randn(num_windows, 8, generator=generator),
        "log_gain": torch.randn(num_windows, generator=generator),
        "num_samples": samples,
        "waveform": torch.randn(num_windows, 3, samples, generator=generator),
    }
    return SeismicFeatures(**made | changes)


def head_of(name, **settings):
    torch.manual_seed(0)
    return make_head(name, settings, BARE)


@pytest.mark.parametrize("name", sorted(HEADS))
def test_a_backbone_without_skips_will_do(name):
    head = head_of(name)
    answers = head.predict(head(features_of()), None)
    assert answers and all(answer.isfinite().all() for answer in answers.values())


@pytest.mark.parametrize("name", WINDOW_HEADS)
def test_mixed_precision_does_not_reach_the_answer(name):
    head, features = head_of(name), features_of()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = head.predict(head(features), None)
    exact = head.predict(head(features), None)
    assert all(answer.dtype == torch.float32 for answer in mixed.values())
    assert all(torch.equal(mixed[key], exact[key]) for key in exact)


@pytest.mark.parametrize("name", WINDOW_HEADS)
def test_tokens_that_nobody_observed_do_not_matter(name):
    head, features = head_of(name), features_of()
    observed = features.token_observed.clone()
    observed[:, 30:] = False
    garbled = torch.where(observed[..., None], features.tokens, 7.0)
    waveform = torch.where(observed.repeat_interleave(16, 1)[:, None], features.waveform, 0.0)
    # Far from the gap: the spectrogram of a token at its edge sees it, as it should.
    first, second = (
        head.predict(head(features_of(tokens=t, token_observed=observed, waveform=waveform)), None)
        for t in (features.tokens, garbled)
    )
    tolerance = 1e-5 if name != "event_type" else 0.05
    assert all(torch.allclose(first[key], second[key], atol=tolerance) for key in first)


@pytest.mark.parametrize("name", WINDOW_HEADS)
def test_where_in_the_window_the_event_lies_does_not_matter(name):
    head, features = head_of(name), features_of()
    later = features_of(token_time_s=features.token_time_s + 11.0)
    first, second = head.predict(head(features), None), head.predict(head(later), None)
    assert all(torch.allclose(first[key], second[key], atol=1e-4) for key in first)


@pytest.mark.parametrize("name", ["back_azimuth", "event_type", "polarity"])
def test_the_gain_decides_no_direction_and_no_type(name):
    head, features = head_of(name), features_of()
    louder = features_of(log_gain=features.log_gain + 3.0, pooled=features.pooled * 2)
    first, second = head.predict(head(features), None), head.predict(head(louder), None)
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_a_window_of_which_nothing_was_observed_has_an_answer():
    features = features_of(
        token_observed=torch.zeros(4, 40, dtype=torch.bool), waveform=torch.zeros(4, 3, 640)
    )
    for name in WINDOW_HEADS:
        head = head_of(name)
        assert all(answer.isfinite().all() for answer in head.predict(head(features), None).values())


def test_a_summary_knows_the_seconds_between_its_looks():
    summary = WindowSummary(BARE, hidden=4, looks=2, with_gain=False)
    sharp = torch.full((1, 40, 2), -100.0)
    sharp[0, 5, 0] = sharp[0, 30, 1] = 100.0
    summary.score.forward = lambda value: sharp
    assert float(summary(features_of(1)).detach()[0, -1]) == pytest.approx(25 * 0.16 / 10.0, abs=1e-5)


def test_the_magnitude_and_its_error_are_learned_from_the_gain():
    head, spread = head_of("magnitude", hidden=16), 0.3
    optimizer = torch.optim.AdamW(head.parameters(), lr=2e-2)

    def windows(number, seed):
        features = features_of(number, 1, seed, pooled=torch.zeros(number, 8))
        noise = torch.randn(number, generator=torch.Generator().manual_seed(seed))
        return features, 3.0 + features.log_gain + spread * noise

    for step in range(100):
        features, magnitude = windows(64, step)
        optimizer.zero_grad()
        gaussian_nll(head(features), magnitude, 0.05).mean().backward()
        optimizer.step()
    features, magnitude = windows(500, 999)
    answer = head.predict(head(features), None)
    error = (answer["magnitude"] - magnitude).detach()
    assert float(error.std()) < 1.3 * spread
    assert 0.8 < float((error / answer["magnitude_std"].detach()).std()) < 1.25


def test_the_gaussian_is_one_but_for_a_constant():
    mean, std, target = torch.randn(3, 50, generator=torch.Generator().manual_seed(0)).unbind()
    std = std.abs() + 0.05
    ours = gaussian_nll({"mean": mean, "std": std}, target, 0.05)
    theirs = -torch.distributions.Normal(mean, std).log_prob(target)
    assert torch.allclose(ours - theirs, torch.tensor(-math.log(0.05 * math.sqrt(2 * math.pi))), atol=1e-3)
    assert float(gaussian_nll({"mean": target, "std": torch.tensor(0.05)}, target, 0.05).abs().max()) == 0.0


@pytest.mark.parametrize("kappa", [1e-3, 0.7, 5.0, 60.0, 390.0])
def test_the_von_mises_is_one_and_wraps(kappa):
    angle_deg = torch.linspace(-350.0, 700.0, 41)
    vector = kappa * torch.tensor([math.cos(1.0), math.sin(1.0)])
    ours = von_mises_nll(vector.expand(41, 2), angle_deg)
    theirs = -stats.vonmises.logpdf(torch.deg2rad(angle_deg).numpy(), kappa, loc=1.0) - math.log(2 * math.pi)
    assert ours.numpy() == pytest.approx(theirs, abs=2e-3)
    assert torch.allclose(ours, von_mises_nll(vector.expand(41, 2), angle_deg + 360.0), atol=2e-3)


def test_no_direction_at_all_has_a_gradient():
    vector = torch.zeros(1, 2, requires_grad=True)
    von_mises_nll(vector, torch.tensor([90.0])).sum().backward()
    assert vector.grad.tolist() == [[pytest.approx(0.0, abs=1e-6), pytest.approx(-1.0, abs=1e-3)]]


@pytest.mark.parametrize(("vector", "degrees"), [((1, 0), 0), ((0, 1), 90), ((-1, 0), 180), ((0, -1), 270)])
def test_directions_are_clockwise_from_north(vector, degrees):
    answer = head_of("back_azimuth").predict({"vector": torch.tensor([vector]).float() * 5}, None)
    assert answer["back_azimuth_deg"].tolist() == [pytest.approx(degrees, abs=1e-4)]
    assert answer["back_azimuth_kappa"].tolist() == [pytest.approx(5.0)]


def test_concentrations_are_bounded():
    head = head_of("back_azimuth", max_kappa=50.0)
    with torch.no_grad():
        head.belief.bias.fill_(1e6)
    kappa = head.predict(head(features_of()), None)["back_azimuth_kappa"]
    assert kappa.min() > 40.0 and kappa.max() <= 50.0


def test_distances_are_medians_of_a_logarithm(batch_of):
    head = head_of("distance")
    answer = head.predict({"mean": torch.tensor([20.0]).log(), "std": torch.tensor([0.1])}, None)
    assert answer["distance_km"].tolist() == [pytest.approx(20.0)]
    batch = batch_of(3, labels={"distance_km": torch.tensor([0.0, 40.0, math.nan])})
    target = head.target(batch)
    assert target[:2].tolist() == [pytest.approx(math.log(0.5)), pytest.approx(math.log(40.0))]
    assert bool(target[2].isnan())


def test_balanced_magnitudes_count_by_bin(batch_of):
    magnitude = torch.tensor([1.1, 1.2, 1.3, 5.1, math.nan])
    batch = batch_of(5, labels={"magnitude": magnitude})
    output = {"mean": torch.tensor([1.1, 1.2, 1.3, 4.1, 0.0]), "std": torch.ones(5)}
    plain, balanced = (
        float(head_of("magnitude", balanced=b, arrival_weight=0.0).loss(output, batch, features_of(5))[0])
        for b in (False, True)
    )
    least = math.log(1 / 0.05)
    assert plain == pytest.approx(least + 0.5 / 4)
    assert balanced == pytest.approx(least + 0.5 / 2)


def test_groups_that_do_not_occur_count_nothing():
    values = torch.tensor([1.0, 3.0, 8.0], requires_grad=True)
    groups = torch.tensor([[True, True, False], [False, False, True], [False, False, False]])
    assert float(mean_of_groups(values, groups).detach()) == 5.0
    nothing = mean_of_groups(values, torch.zeros_like(groups))
    nothing.backward()
    assert float(nothing.detach()) == 0.0 and not values.grad.any()


def test_power_is_where_and_when_the_wave_is():
    time_s = torch.arange(1600) / 100.0
    wave = torch.sin(2 * math.pi * 6.25 * time_s) * (time_s >= 8.0)
    waveform = torch.stack([wave, wave, torch.zeros(1600)])[None]
    power = token_power(waveform, 16, 100.0)
    frequencies = torch.fft.rfftfreq(128, 0.01)
    bands = in_bands(power, frequencies, ((1.0, 2.0), (4.0, 8.0), (8.0, 16.0)))[0]
    assert power.shape == (1, 100, 65)
    # A dead component is not counted: two waves of amplitude 1 have a mean square of 1/2.
    assert float(power[0, 75].sum()) == pytest.approx(0.5, rel=0.01)
    assert float(bands[75, 1]) == pytest.approx(0.5, rel=0.01)
    assert float(bands[75, 0]) < 1e-3 and float(bands[75, 2]) < 1e-3 and float(power[0, 25].sum()) == 0.0


def test_the_ratio_compares_p_with_s():
    head, features = head_of("event_type"), features_of()
    looks = torch.full((4, 40, 2), -1e4)
    looks[:, 5, 0] = looks[:, 30, 1] = 0.0
    power = torch.full((4, 40, 65), 1e-3)
    power[:, 5] *= 100.0
    assert head._ratios(power, looks).flatten().tolist() == pytest.approx([1.0] * 16, abs=1e-2)
    assert features.waveform is not None


def test_types_outside_of_the_list_teach_nothing(batch_of):
    head = head_of("event_type", classes=["noise", "earthquake"])
    batch = batch_of(4, labels={"event_type": torch.tensor([0, 1, 13, -1])})
    assert head._target(batch).tolist() == [1, -1, 0, -1]
    output = head(features_of())
    expected = -F.log_softmax(output["logits"], 1)[[0, 2], [1, 0]].mean()
    loss, logs = head.loss(output, batch, features_of())
    torch.testing.assert_close(loss, expected, rtol=1e-5, atol=0.0)
    assert float(logs["labelled_share"]) == 0.5


def test_the_looks_are_drawn_to_the_arrivals(batch_of, labels_of):
    head = head_of("event_type")
    labels = labels_of([1.0], [4.0]) | {"event_type": torch.tensor([0])}
    looks = torch.full((1, 40, 2), -50.0)
    looks[0, 8, 0] = looks[0, 27, 1] = 0.0
    features = features_of(1)
    batch, counts = batch_of(1, labels=labels), torch.tensor([True])
    right, wrong = (
        float(head.arrivals.misplaced(each, batch, features, counts)) for each in (looks, looks.flip(-1))
    )
    assert right == pytest.approx(0.0, abs=1e-4)
    assert wrong > 10.0


def p_waves(back_azimuth_deg, num_samples=640, seed=0):
    """Rectilinear noise along rays that come from these directions, 30° from the vertical."""
    generator = torch.Generator().manual_seed(seed)
    motion = torch.randn(1, num_samples, generator=generator).expand(len(back_azimuth_deg), -1)
    angle = torch.deg2rad(torch.tensor(back_azimuth_deg))[:, None]
    return torch.stack((motion, -0.577 * angle.cos() * motion, -0.577 * angle.sin() * motion), dim=1)


def test_motion_along_a_ray_points_to_its_source():
    toward, _ = token_polarization(p_waves([10.0, 100.0, 250.0]), ("Z", "N", "E"), 16, 100.0)
    angle = torch.rad2deg(torch.atan2(toward[..., 1], toward[..., 0])).remainder(360.0)
    expected = torch.tensor([10.0, 100.0, 250.0])[:, None, None].expand_as(angle)
    torch.testing.assert_close(angle, expected, atol=1e-2, rtol=0)
    assert bool((toward.square().sum(dim=-1).sqrt() > 0.4).all())


def test_what_has_no_direction_does_not_turn_with_the_horizontals():
    _, plain = token_polarization(p_waves([10.0, 200.0]), ("Z", "N", "E"), 16, 100.0)
    torch.testing.assert_close(plain[0], plain[1], atol=1e-4, rtol=1e-4)


def test_the_answered_direction_turns_with_the_ground():
    head = head_of("back_azimuth")
    azimuths = [0.0, 35.0, 170.0, 300.0]
    features = features_of(4, waveform=p_waves(azimuths))
    features.tokens = features.tokens[:1].expand(4, -1, -1)
    answer = head.predict(head(features), None)
    turned = (answer["back_azimuth_deg"] - answer["back_azimuth_deg"][0]).remainder(360.0)
    torch.testing.assert_close(turned, torch.tensor(azimuths), atol=0.05, rtol=0)


def test_the_order_of_the_components_is_told_by_their_names():
    waveform = p_waves([75.0])
    swapped, _ = token_polarization(waveform[:, [2, 0, 1]], ("E", "Z", "N"), 16, 100.0)
    assert torch.equal(swapped, token_polarization(waveform, ("Z", "N", "E"), 16, 100.0)[0])


def test_a_direction_needs_both_horizontals():
    with pytest.raises(ValueError, match="a back azimuth needs the components Z, N and E, found"):
        make_head("back_azimuth", {}, replace(BARE, components=("Z",)))
    one = p_waves([75.0])
    one[:, 1:] = 0.0
    head = head_of("back_azimuth")
    answer = head.predict(head(features_of(1, waveform=one)), None)
    assert float(answer["back_azimuth_kappa"].detach()) < 1e-5


def test_s_minus_p_and_amplitudes_are_measured_where_the_looks_are():
    measured = MeasuredArrivals(BARE)
    waveform = torch.zeros(1, 3, 640)
    tone = torch.sin(2 * math.pi * 6.0 * torch.arange(640) / 100.0)
    waveform[..., :320], waveform[..., 320:] = 0.1 * tone[:320], tone[320:]
    sharp = torch.full((1, 40, 2), -100.0)
    sharp[0, 8, 0] = sharp[0, 30, 1] = 100.0
    measured.looks.score.forward = lambda tokens: sharp
    figures, _ = measured(features_of(1, waveform=waveform))
    assert figures.shape == (1, MeasuredArrivals.width)
    assert figures[0, 0].item() == pytest.approx(22 * 0.16 / 10.0, abs=1e-4)
    assert figures[0, 1].item() == pytest.approx(math.log(22 * 0.16), abs=1e-4)
    p_level, s_level = figures[0, 2:].reshape(2, 4)[:, 2].tolist()
    assert s_level - p_level == pytest.approx(2.0, abs=0.01)
