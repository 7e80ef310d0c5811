"""First motions by Monte Carlo dropout: passes that differ, answers that repeat, and nothing by default."""

import pytest
import torch
from seisfm.foundation.features import FeatureSpec, SeismicFeatures
from seisfm.heads.model_folder import BUNDLED_FOLDER, ModelFolder
from seisfm.heads.polarity import at_picks
from seisfm.heads.registry import head_config, make_head
from seisfm.heads.task_model import SeismicTaskModel, load_model, task_config

NAN = float("nan")
BARE = FeatureSpec(
    dim=8, token_samples=16, skip_channels=(), skip_strides=(), rate_hz=100.0, components=("Z", "N", "E")
)
PASSES = {"dropout": 0.3, "mc_passes": 12}
TOKENS = torch.randn(4, 24, 8, generator=torch.Generator().manual_seed(0))


def features_of(tokens=TOKENS):
    return SeismicFeatures(tokens=tokens, skips=())


def head_of(**settings):
    torch.manual_seed(0)
    head = make_head("polarity", settings, BARE).eval()
    with torch.no_grad():  # as large as after a training, so that passes differ
        head.classify.weight.normal_(std=0.5)
    return head


def answers_of(head, tokens=TOKENS):
    with torch.no_grad():
        return head.predict(head(features_of(tokens)), None)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"dropout": 1.0}, "dropout must be 0 or more and below 1, found 1.0"),
        ({"dropout": -0.1}, "dropout must be 0 or more and below 1, found -0.1"),
        ({"dropout": NAN}, "dropout must be 0 or more and below 1, found nan"),
        ({"mc_passes": 20}, "mc_passes need a dropout above 0.*found 20 passes without: train the head"),
        ({"dropout": 0.2, "mc_passes": 1}, "mc_passes must be 0 or at least 2, found 1"),
        ({"dropout": 0.2, "mc_passes": -3}, "mc_passes must be 0 or at least 2, found -3"),
    ],
)
def test_settings_that_cannot_be(settings, message):
    with pytest.raises(ValueError, match=message):
        head_config("polarity", settings)


def test_without_passes_an_answer_is_the_one_of_all_channels_bit_for_bit():
    plain, dropped = head_of(), head_of(dropout=0.3)
    assert plain.state_dict().keys() == dropped.state_dict().keys() == head_of(**PASSES).state_dict().keys()
    with torch.no_grad():
        expected = plain.classify(plain.norm(plain.decoder(features_of())))
        assert torch.equal(plain.train()(features_of())["logits"], expected)
        plain.eval()
        assert all(one(features_of()).keys() == {"logits"} for one in (plain, dropped))
        assert all(torch.equal(one(features_of())["logits"], expected) for one in (plain, dropped))


def test_the_bundled_model_answers_with_the_same_bits_whether_it_might_drop_channels_or_not(batch_of):
    folder = ModelFolder.find(BUNDLED_FOLDER / "seisfm-tiny")
    config = task_config(folder)
    assert {name: config.heads["polarity"][name] for name in ("dropout", "mc_passes")} == {
        "dropout": 0.0,
        "mc_passes": 0,
    }
    config.heads["polarity"]["dropout"] = 0.2
    batch = batch_of(1, duration_s=10.0)
    with torch.inference_mode():
        before = load_model(folder.path)(batch)
        after = SeismicTaskModel.with_weights(config, folder.weights(), "tiny")(batch)
    assert before["polarity"].keys() == {"probability"}
    for name, answer in before.items():
        assert all(torch.equal(value, after[name][key]) for key, value in answer.items()), name


def test_passes_have_the_mean_and_the_spread_of_the_network_in_training():
    head = head_of(dropout=0.3, mc_passes=600)
    answer = answers_of(head, TOKENS[:1, :4])
    head.train()
    with torch.no_grad():  # in training each window has a draw of its own
        drawn = answers_of(head, TOKENS[:1, :4].expand(600, -1, -1))["probability"]
    spread = drawn.std(dim=0)
    assert float(spread.mean()) > 0.03
    # The difference of two means of 600 has a standard deviation of √(2 / 600) of a draw's, 0.058.
    assert float(((answer["probability"] - drawn.mean(dim=0)) / spread).abs().max()) < 5 * 0.058
    assert float((answer["spread"] / spread - 1).abs().max()) < 0.25


def test_training_leaves_whole_channels_out_of_a_window_and_others_the_next_time():
    steady = TOKENS[:, :1].expand(-1, 24, -1)
    head = head_of(dropout=0.5).train()
    with torch.no_grad():
        first, second = (head(features_of(steady))["logits"][..., 64:-64] for _ in range(2))
        whole = head.eval()(features_of(steady))["logits"][..., 64:-64]
    one_token = [logits.unflatten(-1, (-1, 16)) for logits in (first, second, whole)]
    # Steady ground repeats itself every token; so does what one mask leaves of it.
    assert all(torch.allclose(tokens, tokens[..., :1, :], atol=1e-5) for tokens in one_token)
    assert not torch.allclose(first, second, atol=1e-2) and not torch.allclose(first, whole, atol=1e-2)


def test_the_passes_are_the_same_for_a_window_in_any_company_and_the_random_state_stays():
    head = head_of(**PASSES)
    before = torch.get_rng_state()
    together = answers_of(head)
    assert torch.equal(torch.get_rng_state(), before)
    assert float(together["spread"].mean()) > 0.03
    swapped, doubled = answers_of(head, TOKENS.flip(0)), answers_of(head, TOKENS[[0, 0, 2, 2]])
    for key, answer in together.items():
        assert torch.equal(swapped[key].flip(0), answer)
        assert torch.equal(doubled[key], answer[[0, 0, 2, 2]])
    # Convolutions add up in another order for a batch of another size; other passes would be 0.1 away.
    for row in range(len(TOKENS)):
        alone = answers_of(head, TOKENS[row : row + 1])
        for key, answer in together.items():
            torch.testing.assert_close(alone[key][0], answer[row], rtol=0, atol=1e-5)


def test_a_window_that_begins_later_has_the_same_answers_at_the_same_times():
    head = head_of(**PASSES)
    whole, later = answers_of(head), answers_of(head, TOKENS[:, 5:])
    for key, answer in whole.items():
        expected = answer[..., 5 * 16 + 64 : -64]
        torch.testing.assert_close(later[key][..., 64:-64], expected, rtol=0, atol=1e-6)


def test_the_seed_says_which_channels_the_passes_leave_out():
    first, again, other = (answers_of(head_of(**PASSES, mc_seed=seed)) for seed in (0, 0, 1))
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not torch.allclose(first["probability"], other["probability"], atol=1e-3)


def test_a_temperature_divides_what_the_passes_say_together_and_travels_with_the_model(
    tmp_path, new_model, batch_of
):
    model, batch = new_model(polarity=PASSES), batch_of()
    with torch.inference_mode():
        before = model(batch)["polarity"]
        model.config.calibrate({"polarity": {"temperature": 3.0}})
        after = model(batch)["polarity"]
        model.save_pretrained(tmp_path)
        loaded = load_model(tmp_path)(batch)["polarity"]
    expected = (before["probability"].log() / 3.0).softmax(dim=1)
    torch.testing.assert_close(after["probability"], expected)
    assert torch.equal(after["spread"], before["spread"])
    assert all(torch.equal(loaded[key], after[key]) for key in after)


@pytest.mark.parametrize("rate_hz", [100.0, 40.0])
def test_the_spread_is_told_at_picks_and_nowhere_without_data(new_model, batch_of, rate_hz):
    batch = batch_of(rate_hz=rate_hz)
    waveform = batch.waveform.clone()
    gap = slice(round(3 * rate_hz), round(6 * rate_hz))
    waveform[:, :, gap] = NAN
    with torch.inference_mode():
        answer = new_model(polarity=PASSES)(batch.replace(waveform=waveform))["polarity"]
    spread = answer["spread"]
    assert spread.shape == answer["probability"].shape
    assert torch.equal(answer["probability"][:, 2, gap], torch.ones_like(spread[:, 2, gap]))
    silent = torch.zeros(batch.num_samples, dtype=torch.bool)
    silent[gap] = True
    assert torch.equal(spread.isnan(), silent.expand_as(spread))
    assert float(spread[..., ~silent].min()) >= 0.0
    pick_s = torch.tensor([[1.5, 4.0, NAN], [8.0, 99.0, 2.0]])
    told = at_picks(spread, batch.sampling_rate_hz, pick_s)
    assert torch.equal(told[0, 0], spread[0, :, round(1.5 * rate_hz)])
    assert told.isfinite().all(dim=-1).tolist() == [[True, False, False], [True, False, True]]


def test_a_batch_without_labels_has_no_gradient_and_the_others_learn(new_model, batch_of, labels_of):
    model = new_model(polarity=PASSES).train()
    loss, _ = model.compute_loss(batch_of())
    loss.backward()
    assert loss.item() == 0.0
    assert not any(p.grad.any() for p in model.heads["polarity"].parameters())
    labels = labels_of([4.0, 4.0], [6.0, 6.0]) | {"polarity": torch.tensor([[0], [1]])}
    loss, _ = model.compute_loss(batch_of(labels=labels))
    loss.backward()
    assert all(p.grad.any() for p in model.heads["polarity"].parameters())
    with torch.no_grad():
        validated, _ = model.eval().compute_loss(batch_of(labels=labels))
        again, _ = model.compute_loss(batch_of(labels=labels))
    assert torch.equal(validated, again)
