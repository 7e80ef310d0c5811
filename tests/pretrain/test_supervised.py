import pytest
import torch
from seisfm.data.batch import WaveformBatch
from seisfm.data.loading.window_random import window_keys
from seisfm.foundation.backbones.registry import backbone_config, make_backbone
from seisfm.foundation.contract import InputContract
from seisfm.heads.task_model import SeismicTaskConfig, SeismicTaskModel
from seisfm.pretrain.objectives.registry import make_objective
from seisfm.pretrain.pretraining import Pretraining

SMALL = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "stem_channels": [4, 8, 8]}


def make_pretraining(objectives=None, **settings):
    torch.manual_seed(0)
    model = make_backbone(backbone_config("encoder", "tiny", InputContract(), SMALL))
    asked = objectives or {"supervised": settings}
    return Pretraining(model, {name: make_objective(name, own, model) for name, own in asked.items()}, {})


def make_batch(num_windows=4, labelled=(True, True), seed=0):
    """Noise with a wave packet at S. labelled: whether P, S are."""
    generator = torch.Generator().manual_seed(seed)
    waveform = torch.randn(num_windows, 3, 1040, generator=generator)
    arrival_s = torch.linspace(2.0, 5.0, num_windows)[:, None]
    for window, first_s in enumerate(arrival_s.flatten().tolist()):
        waveform[window, :, round(100 * first_s + 150) :] *= 10
    p_known, s_known = (torch.full((num_windows,), known) for known in labelled)
    return WaveformBatch(
        waveform=waveform,
        sampling_rate_hz=torch.full((num_windows,), 100.0),
        component_names=("Z", "N", "E"),
        unit=("counts",) * num_windows,
        window_key=window_keys(torch.arange(num_windows), seed),
        labels={
            "p_arrival_s": torch.where(p_known[:, None], arrival_s, torch.nan),
            "s_arrival_s": torch.where(s_known[:, None], arrival_s + 1.5, torch.nan),
            "p_labelled": p_known,
            "s_labelled": s_known,
        },
    )


def gradients_of(pretraining, loss):
    pretraining.zero_grad()
    loss.backward()
    return {name: value.grad for name, value in pretraining.named_parameters()}


def test_the_loss_is_that_of_a_task_model_with_these_weights():
    pretraining = make_pretraining(loss_weights={"detection": 0.3}).eval()
    config = SeismicTaskConfig(
        encoder=pretraining.model.config,
        heads={"picking": {}, "detection": {}},
        loss_weights={"detection": 0.3},
    )
    task = SeismicTaskModel(config).eval()
    task.encoder.load_state_dict(pretraining.model.state_dict())
    task.heads.load_state_dict(pretraining.objectives["supervised"].heads.state_dict())
    loss, logs = pretraining(make_batch())
    expected, expected_logs = task.compute_loss(make_batch())
    torch.testing.assert_close(loss, expected)
    assert logs.keys() == expected_logs.keys()
    assert float(logs["picking_labelled_share"]) == float(logs["detection_labelled_share"]) == 1.0


def test_an_untrained_picker_expects_noise():
    pretraining = make_pretraining(heads={"picking": {}}).eval()
    head = pretraining.objectives["supervised"].heads["picking"]
    with torch.no_grad():
        probability = head.predict(head(pretraining.model(make_batch())), None)["probability"]
    assert probability[:, 2].mean() > 0.9


def test_a_head_without_labels_has_a_gradient_of_exactly_zero():
    """P alone is labelled: the picker learns, the detector, which wants both, does not."""
    pretraining = make_pretraining()
    loss, logs = pretraining(make_batch(labelled=(True, False)))
    gradients = gradients_of(pretraining, loss)
    assert logs["detection_loss"] == 0 < logs["picking_loss"]
    detection = [value for name, value in gradients.items() if ".detection." in name]
    assert detection and all(value is None or not value.any() for value in detection)
    assert any(value.any() for name, value in gradients.items() if ".picking." in name)


def test_a_batch_without_labels_teaches_nothing():
    pretraining = make_pretraining()
    loss, _ = pretraining(make_batch().replace(labels={}))
    gradients = gradients_of(pretraining, loss)
    assert loss == 0 and all(value is None or not value.any() for value in gradients.values())


def test_labelled_windows_count_the_same_among_unlabelled_ones():
    pretraining = make_pretraining(heads={"picking": {}}).eval()
    both = make_batch(num_windows=4)
    known = torch.tensor([True, False, True, False])
    labels = {
        name: torch.where(known.view(-1, *[1] * (label.ndim - 1)), label, torch.nan).to(label.dtype)
        if label.is_floating_point()
        else label & known
        for name, label in both.labels.items()
    }
    with torch.no_grad():
        mixed = pretraining(both.replace(labels=labels))[0]
        alone = pretraining(both.select(known))[0]
    torch.testing.assert_close(mixed, alone)


def test_reconstruction_joins_by_combination():
    mae = {"decoder_size": 16, "decoder_heads": 2, "decoder_layers": 1}
    pretraining = make_pretraining({"supervised": {}, "mae": mae})
    loss, logs = pretraining(make_batch())
    torch.testing.assert_close(loss.detach(), logs["supervised_loss"] + logs["mae_loss"])
    gradients = gradients_of(pretraining, loss)
    assert gradients["objectives.mae.reconstruct.weight"].any()
    assert gradients["objectives.supervised.heads.picking.classify.weight"].any()


def test_the_loss_falls():
    pretraining, batch = make_pretraining(), make_batch()
    optimizer = torch.optim.AdamW(pretraining.parameters(), lr=3e-3)
    losses = []
    for _ in range(30):
        loss, _ = pretraining(batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.7 * losses[0]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"heads": {}}, "needs one head or more, found none"),
        ({"heads": {"oracle": {}}}, "unknown head 'oracle'"),
        ({"heads": {"picking": {"sigma": 1.0}}}, "sigma"),
        ({"loss_weights": {"magnitude": 1.0}}, r"loss_weights name \['magnitude'\]"),
    ],
)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        make_pretraining(**settings)
