"""The task model: the same answer from any recording of the same ground, at the recording's own samples."""

import pytest
import torch
from seisfm.foundation.contract import ContractError
from seisfm.heads.task_model import SeismicTaskConfig
from torch.nn import functional as F

ANSWERS = ("picking", "detection")


def _answers(model, batch) -> dict[str, torch.Tensor]:
    with torch.no_grad():
        return {name: answer["probability"] for name, answer in model(batch).items()}


@pytest.mark.parametrize("rate_hz", [20.0, 50.0, 100.0, 200.0, 500.0])
@pytest.mark.parametrize("duration_s", [10.0, 33.33])
def test_answers_are_at_the_samples_of_the_recording(model, batch_of, rate_hz, duration_s):
    batch = batch_of(rate_hz=rate_hz, duration_s=duration_s)
    answers = _answers(model, batch)
    assert answers["picking"].shape == (2, 3, batch.num_samples)
    assert answers["detection"].shape == (2, batch.num_samples)
    for answer in answers.values():
        assert bool(((answer >= 0) & (answer <= 1)).all())
    assert torch.allclose(answers["picking"].sum(dim=1), torch.ones(2, batch.num_samples), atol=1e-5)


@pytest.mark.parametrize("components", ["Z", "ZE", "ZNE", "ZNEH", "H"])
def test_any_components_will_do(model, batch_of, components):
    assert all(
        answer.isfinite().all() for answer in _answers(model, batch_of(components=components)).values()
    )


def test_an_absent_component_equals_one_of_nan(model, batch_of):
    batch = batch_of()
    waveform = batch.waveform.clone()
    waveform[:, 2] = torch.nan
    absent = batch.replace(waveform=waveform[:, :2], component_names=("Z", "N"))
    with_nan, without = (_answers(model, b) for b in (batch.replace(waveform=waveform), absent))
    assert all(torch.equal(with_nan[name], without[name]) for name in ANSWERS)


def test_the_order_of_the_components_does_not_matter(model, batch_of):
    batch = batch_of()
    turned = batch.replace(waveform=batch.waveform.flip(1), component_names=("E", "N", "Z"))
    straight, other = _answers(model, batch), _answers(model, turned)
    assert all(torch.equal(straight[name], other[name]) for name in ANSWERS)


def test_permuted_windows_give_permuted_answers(model, batch_of):
    batch, order = batch_of(4), torch.tensor([2, 0, 3, 1])
    straight, permuted = _answers(model, batch), _answers(model, batch.select(order))
    assert all(torch.allclose(straight[name][order], permuted[name], atol=1e-5) for name in ANSWERS)


@pytest.mark.parametrize("power", [-30, 12])
def test_the_scale_of_the_counts_moves_no_pick_by_a_bit(model, batch_of, power):
    batch = batch_of()
    louder = batch.replace(waveform=batch.waveform * 2.0**power)
    before, after = _answers(model, batch), _answers(model, louder)
    assert all(torch.equal(before[name], after[name]) for name in ANSWERS)


def test_in_a_gap_there_is_noise_and_nothing_else(model, batch_of):
    waveform = batch_of().waveform.clone()
    waveform[0, :, 300:500] = torch.nan
    waveform[1] = torch.nan
    answers = _answers(model, batch_of().replace(waveform=waveform))
    gap = answers["picking"][0, :, 300:500]
    assert torch.equal(gap, torch.tensor([0.0, 0.0, 1.0])[:, None].expand_as(gap))
    assert not answers["picking"][1, :2].any()
    assert not answers["detection"][0, 300:500].any()
    assert answers["picking"][0, 0, :300].all()


def test_unobserved_padding_hardly_changes_the_answer_inside(model, batch_of):
    batch = batch_of()
    padded = batch.replace(waveform=F.pad(batch.waveform, (0, 500), value=torch.nan))
    short, long = _answers(model, batch), _answers(model, padded)
    for name in ANSWERS:
        assert torch.allclose(short[name][..., :1100], long[name][..., :1100], atol=0.02)


def test_untrained_it_expects_noise(model, batch_of):
    assert _answers(model, batch_of())["picking"][:, 2].mean() > 0.8


def test_what_the_contract_forbids_is_refused(model, batch_of):
    with pytest.raises(ContractError, match="sampling rate must be 20 to 500 Hz"):
        model(batch_of(rate_hz=1000.0))


def test_the_loss_is_the_weighted_sum_of_the_heads(new_model, batch_of, labels_of):
    batch = batch_of(labels=labels_of([3.0, 4.0], [5.0, 7.0]))
    model = new_model()
    model.config.loss_weights = {"detection": 0.25}
    with torch.no_grad():
        loss, logs = model.compute_loss(batch)
    assert loss.item() == pytest.approx(logs["picking_loss"].item() + 0.25 * logs["detection_loss"].item())


def test_the_loss_of_an_unlabelled_batch_is_zero_with_zero_gradients(new_model, batch_of):
    model = new_model()
    loss, _ = model.compute_loss(batch_of())
    loss.backward()
    assert loss.item() == 0.0
    assert all(p.grad is None or not p.grad.any() for p in model.parameters())
    assert all(p.grad is not None for p in model.heads.parameters())


def test_a_few_steps_lower_the_loss(new_model, batch_of, labels_of):
    torch.manual_seed(0)
    model = new_model().train()
    batch = batch_of(labels=labels_of([3.0, 4.0], [5.0, 7.0]))
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(30):
        loss, _ = model.compute_loss(batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]


def test_bfloat16_stays_close(model, batch_of):
    reference = _answers(model, batch_of())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = _answers(model, batch_of())
    assert all((mixed[name] - reference[name]).abs().mean() < 0.02 for name in ANSWERS)


def test_the_configuration_says_what_the_heads_take_by_default(model):
    assert model.config.heads["picking"]["sigma_s"] == 0.1
    assert model.config.heads["detection"] == {"hidden": 64}


def test_a_weight_for_a_head_that_is_not_there_is_an_error(model):
    with pytest.raises(ValueError, match=r"loss_weights name \['polarity'\], the model's heads are"):
        SeismicTaskConfig(encoder=model.config.encoder, heads={"picking": {}}, loss_weights={"polarity": 1.0})


def test_a_model_without_heads_is_refused(new_model, model):
    with pytest.raises(ValueError, match="needs one head or more"):
        type(model)(SeismicTaskConfig(encoder=model.config.encoder))


def test_one_head_alone_will_do(new_model, batch_of):
    model = new_model(picking={"sigma_s": 0.2, "channels": [4, 4, 8]})
    assert set(_answers(model, batch_of())) == {"picking"}
