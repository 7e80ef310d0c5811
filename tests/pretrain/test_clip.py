import math

import numpy as np
import pytest
import torch
from seisfm.data.batch import WaveformBatch
from seisfm.data.event_types import EVENT_TYPES
from seisfm.data.loading.window_random import window_keys
from seisfm.data.loading.window_source import WindowSource
from seisfm.data.loading.windows import WindowConfig
from seisfm.data.records import Arrival, Record
from seisfm.foundation.backbones.registry import backbone_config, make_backbone
from seisfm.foundation.contract import InputContract
from seisfm.pretrain.objectives.clip import (
    NO_PAIR,
    ClipConfig,
    WaveformMetadataContrast,
    contrast,
    nearest_is_right,
    pair_keys,
    pair_targets,
)
from seisfm.pretrain.objectives.metadata_encoders import PAD_TO, TextEncoder, byte_codes
from seisfm.pretrain.objectives.metadata_text import FACTS, NUM_COLUMNS, NUMBERS, facts_of
from seisfm.pretrain.pretraining import Pretraining
from torch.nn import functional as F

SMALL = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "stem_channels": [4, 8, 8]}
NAN = float("nan")
QUAKE, BLAST, NOISE = (EVENT_TYPES.index(name) for name in ("earthquake", "quarry_blast", "noise"))


def make_pretraining(contract=None, **settings):
    torch.manual_seed(0)
    model = make_backbone(backbone_config("encoder", "tiny", contract or InputContract(), SMALL))
    config = ClipConfig(**{"dim": 16, "hidden": 32, "text_layers": 1, "text_heads": 2} | settings)
    return Pretraining(model, {"clip": WaveformMetadataContrast(model, config)}, {})


def objective_of(pretraining):
    return pretraining.objectives["clip"]


def make_batch(
    magnitude=(2.3, 1.0, NAN, 4.0),
    distance_km=(45.0, 3.04, 120.0, NAN),
    back_azimuth_deg=(45.0, 350.0, NAN, 181.0),
    depth_km=(8.0, NAN, 12.3, 0.52),
    event_type=(QUAKE, BLAST, -1, QUAKE),
    event_id=("a", "b", "c", "d"),
    unit=("m/s", "counts", "unknown", "m/s**2"),
    elevation_m=(1200.0, NAN, 3.0, NAN),
    **fields,
):
    """Windows whose loudness follows the magnitude; the metadata of each test's choice."""
    count = len(magnitude)
    generator = torch.Generator().manual_seed(3)
    labels = {
        name: torch.tensor(values)
        for name, values in {
            "magnitude": magnitude,
            "distance_km": distance_km,
            "back_azimuth_deg": back_azimuth_deg,
            "depth_km": depth_km,
            "event_type": event_type,
        }.items()
    }
    geometry = torch.full((count, 3), NAN)
    geometry[:, 2] = torch.tensor(elevation_m)
    return WaveformBatch(
        **{
            "waveform": torch.randn(count, 3, 1040, generator=generator),
            "sampling_rate_hz": torch.full((count,), 100.0),
            "component_names": ("Z", "N", "E"),
            "unit": unit,
            "event_id": event_id,
            "station_geometry": geometry,
            "window_key": window_keys(torch.arange(count), 0),
            "labels": labels,
            **fields,
        }
    )


def test_the_sentence_tells_what_is_known():
    assert facts_of(make_batch()).sentences() == [
        "magnitude 2.3 earthquake, 45 km north-east of the station, 8 km deep, station 1200 m high, "
        "recorded in m/s",
        "magnitude 1.0 quarry blast, 3 km north of the station, recorded in counts",
        "event, 120 km from the station, 12 km deep, station 3 m high",
        "magnitude 4.0 earthquake, south of the station, 0.5 km deep, recorded in m/s**2",
    ]


def test_an_unknown_number_is_zero_with_its_flag_down():
    vectors = facts_of(make_batch()).vectors()
    count = len(NUMBERS)
    assert vectors.shape == (4, NUM_COLUMNS) and vectors.isfinite().all()
    numbers, known = vectors[:, :count], vectors[:, count : 2 * count]
    assert known.tolist() == [
        [1, 1, 1, 1, 1, 1],
        [1, 1, 1, 1, 0, 0],
        [0, 1, 0, 0, 1, 1],
        [1, 0, 1, 1, 1, 0],
    ]
    assert (numbers[known == 0] == 0).all() and (numbers[known == 1] != 0).all()
    kinds, units = vectors[:, 2 * count :].split([len(EVENT_TYPES), 3], dim=1)
    assert kinds.argmax(dim=1).tolist() == [QUAKE, BLAST, 0, QUAKE] and kinds.sum(dim=1).tolist() == [
        1,
        1,
        0,
        1,
    ]
    assert units.tolist() == [[0, 1, 0], [1, 0, 0], [0, 0, 0], [0, 0, 1]]


def test_back_azimuths_wrap():
    facts = facts_of(make_batch(back_azimuth_deg=(0.01, 359.99, 360.0, 0.0)))
    vectors = facts.vectors()
    assert (vectors[:, 2:4] - vectors[3, 2:4]).abs().max() < 1e-3
    assert all("north of" in sentence for sentence in facts.sentences())


def test_facts_that_are_not_told_change_nothing():
    told = ("magnitude", "event_type")
    facts = facts_of(make_batch(), told)
    other = facts_of(make_batch(distance_km=(1.0,) * 4, depth_km=(NAN,) * 4, unit=("counts",) * 4), told)
    assert facts.sentences() == other.sentences() and torch.equal(facts.vectors(), other.vectors())
    assert facts.sentences()[0] == "magnitude 2.3 earthquake" and facts.of_event().tolist() == [
        True,
        True,
        False,
        True,
    ]


def test_a_batch_without_metadata_is_told_nothing_of():
    batch = make_batch().replace(labels={}, station_geometry=None, unit=("unknown",) * 4)
    facts = facts_of(batch)
    assert not facts.of_event().any() and facts.vectors().abs().sum() == 0
    assert facts.sentences() == ["event"] * 4


@pytest.mark.parametrize("metadata", ["numbers", "text", "both"])
def test_where_arrivals_lie_in_the_window_cannot_reach_the_metadata(metadata):
    """The leak of SeisCLIP: shuffled arrivals, start times and station names leave every bit as it was."""
    encoder = objective_of(make_pretraining(metadata=metadata)).metadata
    batch = make_batch()
    arrivals = {
        "p_arrival_s": torch.tensor([[1.0], [2.0], [4.0], [5.5]]),
        "s_arrival_s": torch.tensor([[3.0], [6.0], [9.0], [NAN]]),
        "polarity": torch.tensor([[0], [1], [-1], [2]]),
        "p_labelled": torch.tensor([True, True, False, True]),
    }
    with torch.no_grad():
        plain = encoder(facts_of(batch))
        for order in ([0, 1, 2, 3], [3, 1, 0, 2], [2, 3, 1, 0]):
            shuffled = batch.replace(
                labels={**batch.labels, **{name: label[order] for name, label in arrivals.items()}},
                start_time=1e9 + torch.tensor(order, dtype=torch.float64),
                station_id=tuple(f"NA.{place}." for place in order),
            )
            assert torch.equal(encoder(facts_of(shuffled)), plain)


def test_windows_cut_anywhere_around_an_arrival_have_the_same_metadata():
    about = {"source_magnitude": 2.0, "path_ep_distance_km": 30.0, "source_type": "earthquake"}
    record = Record(
        record_id="r",
        waveform=np.ones((3, 6000), dtype=np.float32),
        component_names=("Z", "N", "E"),
        sampling_rate_hz=100.0,
        event_id="a",
        arrivals=(Arrival(phase="P", time_s=30.0), Arrival(phase="S", time_s=33.5)),
        labelled_phases=frozenset("PS"),
        metadata=about,
    )
    source = WindowSource([record])
    facts = [
        facts_of(source.cut_at(np.zeros(1, dtype=np.int64), np.array([start]), WindowConfig(window_s=20.0)))
        for start in (1200, 1700, 2500, 2999)
    ]
    assert {one.sentences()[0] for one in facts} == {"magnitude 2.0 earthquake, 30 km from the station"}
    assert all(torch.equal(one.vectors(), facts[0].vectors()) for one in facts)


def test_padding_changes_nothing_that_is_read():
    torch.manual_seed(0)
    encoder = TextEncoder(8, 16, 1, 2, 0.02)
    alone = facts_of(make_batch().select(torch.tensor([1])))
    with torch.no_grad():
        together = encoder(facts_of(make_batch()))[1]
        torch.testing.assert_close(encoder(alone)[0], together, atol=1e-6, rtol=1e-5)


def test_bytes_are_utf8_padded_to_few_lengths():
    codes, present = byte_codes(["aé", "b" * (PAD_TO + 1)], torch.device("cpu"))
    assert codes.shape == (2, 2 * PAD_TO) and codes[0, :3].tolist() == [97, 0xC3, 0xA9]
    assert present.sum(dim=1).tolist() == [3, PAD_TO + 1]


def keys_of(**fields):
    batch = make_batch(**fields)
    return pair_keys(batch, facts_of(batch))


def test_windows_of_an_event_belong_together_and_noise_is_one_event():
    keys = keys_of(event_id=("a", "b", "a", ""), event_type=(QUAKE, NOISE, -1, NOISE))
    assert keys[0] == keys[2] != keys[1] == keys[3] and (keys != NO_PAIR).all()
    assert torch.equal(keys_of(), keys_of()) and keys_of().unique().numel() == 4


def test_windows_without_an_event_or_without_a_fact_take_no_part():
    assert (keys_of(event_id=("", "b", "", "d")) != NO_PAIR).tolist() == [False, True, False, True]
    unknown = dict.fromkeys(("magnitude", "distance_km", "back_azimuth_deg", "depth_km"), (NAN,) * 4)
    assert (keys_of(**unknown) != NO_PAIR).tolist() == [True, True, False, True]
    assert (keys_of(event_id=None) == NO_PAIR).all()


def test_pairs_of_different_events_have_the_loss_of_clip():
    logits = torch.randn(5, 5, generator=torch.Generator().manual_seed(0))
    place = torch.arange(5)
    expected = (F.cross_entropy(logits, place) + F.cross_entropy(logits.T, place)) / 2
    torch.testing.assert_close(contrast(logits, torch.tensor([3, 4, 5, 6, 7]), 0.5), expected)


def test_targets_are_shared_with_the_events_other_stations():
    noise = int(keys_of(event_type=(NOISE,) * 4)[0])
    pair = torch.tensor([5, 5, 5, 8, NO_PAIR, noise, noise])
    target = pair_targets(pair, 0.6)
    assert target.sum(dim=1).tolist() == pytest.approx([1, 1, 1, 1, 0, 1, 1])
    assert target[0].tolist() == pytest.approx([0.6, 0.2, 0.2, 0, 0, 0, 0])
    assert target[3].tolist() == [0, 0, 0, 1, 0, 0, 0]
    assert target[5].tolist() == [0, 0, 0, 0, 0, 0.5, 0.5]
    assert torch.equal(pair_targets(pair[:4], 1.0), torch.eye(4))


def test_soft_targets_weigh_the_log_likelihoods():
    logits = torch.tensor([[2.0, 0.0, -1.0], [1.0, 1.0, 0.0], [0.0, 0.5, 3.0]])
    pair = torch.tensor([5, 5, 8])
    rows, columns = logits.log_softmax(dim=1), logits.T.log_softmax(dim=1)
    one_way = [0.75 * part[0, 0] + 0.25 * part[0, 1] for part in (rows, columns)]
    one_way += [0.75 * part[1, 1] + 0.25 * part[1, 0] for part in (rows, columns)]
    one_way += [part[2, 2] for part in (rows, columns)]
    torch.testing.assert_close(contrast(logits, pair, 0.75), -torch.stack(one_way).sum() / 6)


def test_windows_without_a_pair_cannot_matter():
    logits = torch.randn(4, 4, generator=torch.Generator().manual_seed(1))
    pair = torch.tensor([7, NO_PAIR, 9, 11])
    there = torch.tensor([0, 2, 3])
    other = logits.clone()
    other[1], other[:, 1] = 1e4, -1e4
    other.requires_grad_()
    loss = contrast(other, pair, 0.5)
    torch.testing.assert_close(loss, contrast(logits[there][:, there], pair[there], 0.5))
    (gradient,) = torch.autograd.grad(loss, other)
    assert gradient[1].abs().sum() == gradient[:, 1].abs().sum() == 0 < gradient[there][:, there].abs().min()
    assert nearest_is_right(torch.eye(4), pair) == 1.0


def test_a_batch_without_pairs_has_a_loss_and_gradients_of_zero():
    pretraining = make_pretraining()
    loss, logs = pretraining(make_batch(event_id=("",) * 4))
    loss.backward()
    assert loss == 0 == logs["paired_share"]
    assert all((p.grad == 0).all() for p in pretraining.parameters() if p.grad is not None)


@pytest.mark.parametrize("pairs", [2, 4])
def test_knowing_nothing_costs_the_logarithm_of_the_number_of_pairs(pairs):
    pretraining = make_pretraining()
    batch = make_batch(event_id=("a", "a", "c", "d")[:pairs] + ("",) * (4 - pairs))
    trivial = objective_of(pretraining).trivial_loss(pretraining.model, batch)
    assert float(trivial) == pytest.approx(math.log(pairs), rel=1e-6)


def test_the_order_of_windows_does_not_matter():
    pretraining = make_pretraining().eval()
    batch = make_batch(event_id=("a", "b", "a", "d"))
    with torch.no_grad():
        loss = pretraining(batch)[0]
        turned = pretraining(batch.select(torch.tensor([2, 0, 3, 1])))[0]
    torch.testing.assert_close(turned, loss, atol=1e-5, rtol=1e-5)


def test_the_scale_stays_in_its_range():
    pretraining = make_pretraining()
    objective = objective_of(pretraining)
    assert objective.scale().item() == pytest.approx(1 / 0.07)
    for pushed, expected in ((9.0, 100.0), (-3.0, 1.0)):
        torch.nn.init.constant_(objective.log_scale, pushed)
        assert pretraining(make_batch())[1]["scale"].item() == pytest.approx(expected)
        pretraining.after_update()
        assert objective.log_scale.exp().item() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"metadata": "spectrogram"}, r"metadata must be one of \('numbers', 'text', 'both'\)"),
        ({"facts": ("p_arrival",)}, r"facts must be some of .* found \('p_arrival',\)"),
        ({"facts": ("unit", "elevation")}, "at least one of"),
        ({"own_share": 0.0}, "own_share must lie above 0"),
        ({"first_scale": 200.0}, "first_scale must lie in 1 to 100"),
    ],
)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        ClipConfig(**settings)


def test_bfloat16_autocast_keeps_the_loss_in_float32():
    pretraining = make_pretraining().eval()
    with torch.no_grad():
        plain = pretraining(make_batch())[0]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = pretraining(make_batch())[0]
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, plain, atol=0.1, rtol=0.1)


def loud_windows(count=64):
    """Windows of 32 events at two stations: loudness tells the magnitude, the frequency the distance."""
    generator = torch.Generator().manual_seed(1)
    event = torch.arange(count) // 2
    magnitude = torch.linspace(0, 5, count // 2)[torch.randperm(count // 2, generator=generator)][event]
    distance_km = 10 ** (2 * torch.rand(count, generator=generator))
    time_s = torch.arange(500) / 50
    tone = torch.sin(2 * math.pi * (20 / (1 + distance_km.log()))[:, None, None] * time_s)
    noise = torch.randn(count, 3, 500, generator=generator)
    unknown = (NAN,) * count
    return make_batch(
        waveform=10 ** magnitude[:, None, None] * (tone + 0.1 * noise),
        sampling_rate_hz=torch.full((count,), 50.0),
        magnitude=magnitude.tolist(),
        distance_km=distance_km.tolist(),
        back_azimuth_deg=unknown,
        depth_km=unknown,
        event_type=(QUAKE,) * count,
        event_id=tuple(str(number) for number in event.tolist()),
        unit=("counts",) * count,
        elevation_m=unknown,
    )


@pytest.mark.parametrize("metadata", ["numbers", pytest.param("both", marks=pytest.mark.slow)])
def test_training_finds_the_metadata_of_a_waveform(metadata):
    contract = InputContract(model_rate_hz=50.0)
    pretraining = make_pretraining(contract=contract, metadata=metadata)
    batch = loud_windows()
    optimizer = torch.optim.AdamW(pretraining.parameters(), lr=2e-3)
    losses, accuracies = [], []
    for _ in range(55):
        loss, logs = pretraining(batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        pretraining.after_update()
        losses.append(float(loss.detach()))
        accuracies.append(float(logs["waveform_accuracy"]))
    trivial = float(objective_of(pretraining).trivial_loss(pretraining.model, batch))
    assert losses[-1] < 0.75 * trivial and trivial < losses[0]
    assert accuracies[0] < 0.1 and accuracies[-1] > 0.3


def test_all_facts_are_told_unless_chosen():
    assert ClipConfig().facts == FACTS
