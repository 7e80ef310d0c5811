"""Contrast with quantized targets: exact costs, negatives that are some, codes that are used."""

import importlib.util
import math
from pathlib import Path

import pytest
import torch
from seisfm.data.loading.window_random import WindowRandom, window_keys
from seisfm.foundation.backbones.registry import backbone_config, make_backbone
from seisfm.foundation.contract import InputContract
from seisfm.pretrain.objectives.negatives import NOT_THERE, draw, draw_other, other_windows, own_window
from seisfm.pretrain.objectives.quantizer import (
    GumbelQuantizer,
    QuantizedTokens,
    QuantizerConfig,
    diversity,
    gumbel,
)
from seisfm.pretrain.objectives.standardizing import standardize_over_time
from seisfm.pretrain.objectives.wav2vec2 import Wav2Vec2Config, info_nce
from torch.nn import functional as F

_spec = importlib.util.spec_from_file_location(
    "objective_settings", Path(__file__).with_name("objective_settings.py")
)
ours = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(ours)


def random_of(num_windows, seed=0):
    return WindowRandom(window_keys(torch.arange(num_windows), seed))


# --- the cost -------------------------------------------------------------------------------------


def test_the_cost_is_the_cross_entropy_of_the_right_answer():
    right, wrong = torch.tensor([[2.0]]), torch.tensor([[[1.0, 0.0, -1.0]]])
    loss, found = info_nce(right, wrong)
    expected = -math.log(math.exp(2) / (math.exp(2) + math.exp(1) + 1 + math.exp(-1)))
    assert loss.item() == pytest.approx(expected, abs=1e-6) and found.item()


def test_equal_similarities_cost_the_logarithm_of_the_choices_however_many_negatives_are_left():
    wrong = torch.zeros(1, 3, 7)
    wrong[0, 1, :5] = NOT_THERE
    wrong[0, 2] = NOT_THERE
    loss, found = info_nce(torch.zeros(1, 3), wrong)
    torch.testing.assert_close(loss, torch.full((1, 3), math.log(8)))
    assert not found.any()


def test_a_negative_that_is_none_has_no_gradient():
    wrong = torch.tensor([[[0.5, NOT_THERE], [NOT_THERE, NOT_THERE]]], requires_grad=True)
    right = torch.zeros(1, 2, requires_grad=True)
    info_nce(right, wrong)[0].sum().backward()
    assert wrong.grad[0, 0, 0] > 0 and not wrong.grad.flatten()[1:].any() and right.grad[0, 1] == 0


def test_knowing_nothing_costs_as_much_as_the_objective_says():
    pretraining, batch = ours.make_pretraining("wav2vec2"), ours.make_batch()
    objective = pretraining.objectives["wav2vec2"]
    assert objective.trivial_loss(pretraining.model, batch).item() == pytest.approx(math.log(21))
    torch.nn.init.zeros_(objective.project_context.weight)
    assert pretraining(batch)[1]["contrast"].item() == pytest.approx(math.log(21), abs=1e-5)


# --- negatives ------------------------------------------------------------------------------------


def test_others_are_drawn_with_equal_chance_and_never_oneself():
    uniform = torch.rand(1, 50_000, generator=torch.Generator().manual_seed(0))
    drawn = draw_other(uniform, torch.tensor([[5]]), torch.tensor([[2]]))
    counts = torch.bincount(drawn[0], minlength=5) / 50_000
    assert counts[2] == 0 and counts[[0, 1, 3, 4]].sub(0.25).abs().max() < 0.01
    assert draw_other(uniform[:, :3], torch.tensor([[1]]), torch.tensor([[0]])).tolist() == [[0, 0, 0]]
    largest = torch.full((1, 1), 1 - 2.0**-24)
    assert [draw(largest, torch.tensor([[number]])).item() for number in (0, 1, 3, 999)] == [0, 0, 2, 998]


def test_own_negatives_are_judged_tokens_of_the_window_with_another_code():
    judged = torch.ones(2, 12, dtype=torch.bool)
    judged[0, ::3] = False
    code = torch.arange(12).expand(2, 12).clone()
    code[:, 4] = code[:, 5]
    # Each column tells its own token.
    similarity = torch.arange(12.0).expand(2, 12, 12)
    drawn = own_window(similarity, code, judged, random_of(2), 200)
    for window in range(2):
        for token in judged[window].nonzero().flatten().tolist():
            seen = set(drawn[window, token].tolist()) - {NOT_THERE}
            possible = {float(t) for t in range(12) if judged[window, t] and t != token}
            assert seen == possible - ({4.0, 5.0} if token in (4, 5) else set()), (window, token)


def test_a_lone_token_has_no_negative():
    judged = torch.zeros(1, 6, dtype=torch.bool)
    judged[0, 3] = True
    drawn = own_window(torch.zeros(1, 6, 6), torch.arange(6)[None], judged, random_of(1), 9)
    assert (drawn == NOT_THERE).all()


def guess_and_truth(num_windows=4, num_tokens=6):
    """Truths that tell their window by their place in it; guesses that read it."""
    truth = torch.arange(float(num_windows))[:, None, None].expand(-1, num_tokens, 1).clone()
    return torch.ones_like(truth), truth


def test_other_windows_negatives_come_from_every_other_window_that_has_data():
    guess, truth = guess_and_truth()
    judged = torch.ones(4, 6, dtype=torch.bool)
    judged[2] = False
    code = torch.arange(24).reshape(4, 6)
    drawn = other_windows(guess, truth, code, judged, random_of(4), 60)
    seen = [set(drawn[window, 0].tolist()) - {NOT_THERE} for window in range(4)]
    assert seen == [{1.0, 3.0}, {0.0, 3.0}, {0.0, 1.0, 3.0}, {0.0, 1.0}]
    same = other_windows(guess, truth, torch.zeros_like(code), judged, random_of(4), 60)
    assert (same == NOT_THERE).all()


def test_a_window_that_is_alone_has_none_of_other_windows():
    guess, truth = guess_and_truth(1)
    drawn = other_windows(
        guess, truth, torch.arange(6)[None], torch.ones(1, 6, dtype=torch.bool), random_of(1), 5
    )
    assert (drawn == NOT_THERE).all()


def test_the_order_of_windows_in_a_batch_changes_nothing():
    pretraining, batch = ours.make_pretraining("wav2vec2"), ours.make_batch()
    with torch.no_grad():
        losses = [
            float(pretraining(windows)[0]) for windows in (batch, batch.select(torch.tensor([2, 0, 3, 1])))
        ]
    assert losses[0] == pytest.approx(losses[1], abs=1e-6)


def test_with_negatives_of_other_windows_alone_a_lone_window_can_only_be_guessed_at():
    pretraining = ours.make_pretraining("wav2vec2", other_windows_share=1.0)
    batch = ours.make_batch()
    with torch.no_grad():
        alone = pretraining(batch.select(torch.tensor([2])))[1]
        together = pretraining(batch)[1]
    assert alone["contrast"].item() == pytest.approx(math.log(21)) and alone["accuracy"] == 0
    assert together["contrast"].item() != pytest.approx(math.log(21), abs=1e-3)


# --- the quantizer --------------------------------------------------------------------------------


def make_quantizer(**changes):
    torch.manual_seed(0)
    config = QuantizerConfig(**{"groups": 2, "codes": 5, "dim": 8, "anneal_updates": 10} | changes)
    quantizer = GumbelQuantizer(6, config)
    quantizer.reset()
    return quantizer


def test_vectors_are_entries_of_the_codebooks_and_codes_number_their_combinations():
    quantizer = make_quantizer()
    out = quantizer(torch.randn(3, 40, 6), random_of(3))
    chosen = out.choice.argmax(dim=-1)
    for group in range(2):
        torch.testing.assert_close(
            out.vectors[..., 4 * group : 4 * group + 4], quantizer.codebook[group][chosen[..., group]]
        )
    assert torch.equal(out.code, chosen[..., 0] + 5 * chosen[..., 1])
    assert torch.equal(out.choice.sum(dim=-1), torch.ones(3, 40, 2))


def test_choices_follow_the_likely_ones_and_the_windows_keys():
    quantizer = make_quantizer(last_temperature=0.1)
    tokens = torch.randn(1, 1, 6).expand(4000, 1, 6)
    out = quantizer(tokens, random_of(4000))
    # The Gumbel trick draws from the softmax exactly, at any temperature.
    torch.testing.assert_close(out.choice.mean(dim=(0, 1)), out.likely[0, 0], atol=0.03, rtol=0)
    again = quantizer(tokens[:7], random_of(7))
    assert torch.equal(again.code, out.code[:7])


def test_gradients_reach_the_choice_through_the_soft_one():
    quantizer = make_quantizer()
    tokens = torch.randn(2, 10, 6, requires_grad=True)
    quantizer(tokens, random_of(2)).vectors.square().sum().backward()
    assert tokens.grad.abs().sum() > 0 and quantizer.choose.weight.grad.abs().sum() > 0


def test_the_temperature_falls_with_the_updates_and_then_stays():
    quantizer = make_quantizer(first_temperature=2.0, last_temperature=0.5)
    temperatures = []
    for updates in (0, 5, 10, 1000):
        quantizer.updates.fill_(updates)
        temperatures.append(quantizer.temperature().item())
    assert temperatures == pytest.approx([2.0, 1.25, 0.5, 0.5])
    pretraining = ours.make_pretraining("wav2vec2")
    pretraining.after_update()
    assert pretraining.state_dict()["objectives.wav2vec2.quantizer.updates"] == 1


def tokens_with(share):
    """Tokens whose codes are used as `share` `(group, code)` says, for sure."""
    counts = (share * 60).round().long()
    rows = torch.stack([torch.arange(share.shape[1]).repeat_interleave(row) for row in counts], dim=1)
    choice = F.one_hot(rows, share.shape[1]).float()[None]
    return QuantizedTokens(vectors=choice.flatten(2), choice=choice, likely=choice)


def test_diversity_counts_the_entries_in_use():
    share = torch.tensor([[0.25, 0.25, 0.25, 0.25], [0.5, 0.5, 0.0, 0.0]])
    judged = torch.ones(1, 60, dtype=torch.bool)
    loss, perplexity = diversity(tokens_with(share), judged)
    assert perplexity.item() == pytest.approx(3.0, abs=1e-4) and loss.item() == pytest.approx(0.25, abs=1e-4)
    assert diversity(tokens_with(share), torch.zeros_like(judged))[0] == 0


def test_only_judged_tokens_count_for_diversity():
    tokens = tokens_with(torch.full((1, 4), 0.25))
    judged = torch.zeros(1, 60, dtype=torch.bool)
    judged[0, :15] = True
    loss, perplexity = diversity(tokens, judged)
    assert perplexity.item() == pytest.approx(1.0) and loss.item() == pytest.approx(0.75)


def test_codebooks_do_not_collapse_in_fifty_updates():
    pretraining, batch = ours.make_pretraining("wav2vec2"), ours.make_batch()
    optimizer = torch.optim.AdamW(pretraining.parameters(), lr=2e-3)
    for _ in range(50):
        loss, figures = pretraining(batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        pretraining.after_update()
    assert figures["code_perplexity"] > 8 and figures["accuracy"] > 0.3


def test_standardized_tokens_have_no_mean_and_unit_variance_where_observed():
    tokens = 3 + 2 * torch.randn(2, 50, 4)
    observed = torch.rand(2, 50) < 0.6
    out, variance = standardize_over_time(tokens, observed)
    seen = out[0][observed[0]]
    torch.testing.assert_close(seen.mean(dim=0), torch.zeros(4), atol=1e-5, rtol=0)
    torch.testing.assert_close(seen.var(dim=0, correction=0), torch.ones(4), atol=1e-3, rtol=0)
    torch.testing.assert_close(variance[0, 0], tokens[0][observed[0]].var(dim=0, correction=0))
    assert standardize_over_time(tokens, torch.zeros_like(observed))[0].isfinite().all()


# --- what is refused ------------------------------------------------------------------------------


def test_a_backbone_without_local_tokens_is_refused():
    model = make_backbone(backbone_config("unet", "tiny", InputContract(), {}))
    with pytest.raises(ValueError, match=r"UNetModel does not keep apart: take a token backbone"):
        ours.make_pretraining("wav2vec2", model)


@pytest.mark.parametrize(
    ("config", "settings", "message"),
    [
        (Wav2Vec2Config, {"num_negatives": 0}, "num_negatives must be 1 or more"),
        (Wav2Vec2Config, {"other_windows_share": 1.5}, "other_windows_share lie in 0 to 1"),
        (Wav2Vec2Config, {"temperature": 0.0}, "temperature must be positive"),
        (Wav2Vec2Config, {"diversity_weight": -1.0}, "diversity_weight not negative"),
        (QuantizerConfig, {"groups": 3}, "a dim that the groups share evenly, found 3 groups"),
        (QuantizerConfig, {"codes": 1}, "two codes or more"),
        (QuantizerConfig, {"first_temperature": 0.1}, "temperature must fall from"),
        (QuantizerConfig, {"anneal_updates": 0}, "anneal_updates of 1 or more"),
    ],
)
def test_settings_that_cannot_work_are_refused(config, settings, message):
    with pytest.raises(ValueError, match=message):
        config(**settings)


def test_gumbel_noise_is_finite_wherever_the_draw_falls():
    ends = torch.tensor([0.0, 2.0**-24, 0.5, 1 - 2.0**-23, 1 - 2.0**-24])
    noise = gumbel(ends)
    assert noise.isfinite().all() and (noise.diff() > 0).all()
    uniform = WindowRandom(window_keys(torch.arange(50), "gumbel")).uniform("draw", 2000)
    # The distribution has its mean at Euler's constant and a variance of π²/6.
    assert gumbel(uniform).mean() == pytest.approx(0.5772, abs=0.02)
    assert gumbel(uniform).var() == pytest.approx(torch.pi**2 / 6, rel=0.03)
