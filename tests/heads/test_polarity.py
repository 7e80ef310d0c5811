"""First motions: asked at the pick, and turned round with the instrument."""

import pytest
import torch
from seisfm.data.loading.distortions import PolarityFlip
from seisfm.data.loading.window_random import WindowRandom, window_keys
from seisfm.foundation.features import FeatureSpec, SeismicFeatures
from seisfm.heads.polarity import at_picks
from seisfm.heads.registry import make_head

NAN = float("nan")


@pytest.fixture
def onsets(batch_of, labels_of):
    """Windows of noise with a one-sided first motion of the vertical at 4 s, up in every second one."""

    def make(num_windows=16, seed=0):
        sign = torch.tensor([1.0, -1.0]).repeat(num_windows // 2)
        labels = labels_of([4.0] * num_windows, [6.0] * num_windows)
        labels["polarity"] = (sign < 0).long()[:, None]
        batch = batch_of(num_windows, labels=labels, seed=seed)
        waveform = batch.waveform.clone()
        wave = torch.sin(torch.arange(800) / 100.0 * 2 * torch.pi * 5.0) * 15.0
        waveform[:, 0, 400:] += sign[:, None] * wave
        return batch.replace(waveform=waveform)

    return make


@pytest.mark.slow
def test_the_first_motion_is_learned_and_turns_round_with_the_sign(new_model, onsets):
    model = new_model(polarity={}).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for step in range(25):
        loss, _ = model.compute_loss(onsets(seed=step))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    batch = onsets(seed=99)
    reversed_ = batch.replace(waveform=-batch.waveform)
    pick_s = batch.labels["p_arrival_s"]
    with torch.no_grad():
        answers = [
            at_picks(model.eval()(one)["polarity"]["probability"], one.sampling_rate_hz, pick_s)[:, 0]
            for one in (batch, reversed_)
        ]
    truth = batch.labels["polarity"][:, 0]
    assert float((answers[0].argmax(dim=1) == truth).float().mean()) > 0.9
    assert float((answers[1].argmax(dim=1) == 1 - truth).float().mean()) > 0.9


def test_the_augmentation_turns_the_label_with_the_wave(onsets):
    batch = onsets()
    random = WindowRandom(window_keys(torch.arange(len(batch)), "test"))
    turned = PolarityFlip(probability=1.0)(batch, random)
    assert torch.equal(turned.waveform, -batch.waveform)
    assert torch.equal(turned.labels["polarity"], 1 - batch.labels["polarity"])


def test_only_p_inside_of_the_window_with_a_known_first_motion_count(new_model, onsets):
    model = new_model(polarity={})
    batch = onsets(4)
    outside = torch.tensor([[-3.0], [4.0], [NAN], [12.5]])
    labels = batch.labels | {"p_arrival_s": outside}
    with torch.no_grad():
        _, logs = model.compute_loss(batch.replace(labels=labels))
    assert float(logs["polarity_labelled_share"]) == 0.25


def test_nothing_observed_is_undecidable(new_model, onsets):
    batch = onsets(2)
    waveform = batch.waveform.clone()
    waveform[:, :, 300:600] = NAN
    probability = new_model(polarity={})(batch.replace(waveform=waveform))["polarity"]["probability"]
    assert torch.equal(probability[:, 2, 300:600], torch.ones(2, 300))
    assert not probability[:, :2, 300:600].any()
    assert torch.allclose(probability.sum(dim=1), torch.ones(2, 1200))


def test_a_pick_is_answered_at_its_own_sample():
    probability = torch.rand(2, 3, 100, generator=torch.Generator().manual_seed(0))
    rate_hz = torch.tensor([50.0, 100.0])
    answer = at_picks(probability, rate_hz, torch.tensor([[0.501, NAN], [0.5, 1.2]]))
    assert torch.equal(answer[0, 0], probability[0, :, 25])
    assert torch.equal(answer[1, 0], probability[1, :, 50])
    assert bool(answer[0, 1].isnan().all()) and bool(answer[1, 1].isnan().all())


def test_without_jitter_the_p_itself_is_asked(batch_of, labels_of):
    spec = FeatureSpec(
        dim=8, token_samples=16, skip_channels=(), skip_strides=(), rate_hz=100.0, components=("Z", "N", "E")
    )
    head = make_head("polarity", {"jitter_s": 0.0}, spec)
    labels = labels_of([4.0], [6.0]) | {"polarity": torch.tensor([[1]])}
    logits = torch.zeros(1, 3, 1200)
    logits[0, 1, 400] = 10.0
    features = SeismicFeatures(sample_observed=torch.ones(1, 1200, dtype=torch.bool))
    assert float(head.loss({"logits": logits}, batch_of(1, labels=labels), features)[0]) < 1e-3
