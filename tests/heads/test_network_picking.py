"""Stations that listen to each other: what that may change in an answer, and what it never may."""

import dataclasses

import pytest
import torch
from seisfm.data.synthesis.network_windows import NetworkWindowsConfig
from seisfm.foundation.features import FeatureSpec, SeismicFeatures
from seisfm.foundation.places import WindowPlaces
from seisfm.heads.network_attention import NetworkConfig, StationExchange
from seisfm.heads.network_start import with_network
from seisfm.heads.origin import OriginConfig
from seisfm.heads.targets import gaussian
from seisfm.heads.task_model import load_model
from torch import nn
from torch.nn import functional as F

NAN = float("nan")
SPEC = FeatureSpec(
    dim=32,
    token_samples=16,
    skip_channels=(4, 8, 8),
    skip_strides=(1, 2, 4),
    rate_hz=100.0,
    components=("Z", "N", "E"),
)
PLACES = torch.tensor([[46.0, 8.0, 500.0], [46.1, 8.2, 900.0], [46.2, 7.9, 100.0], [45.9, 8.1, 0.0]])


@pytest.fixture(scope="module")
def single(new_model):
    return new_model(picking={"channels": [4, 6, 8]}, origin={"hidden": 16})


@pytest.fixture(scope="module")
def listening(single):
    """A model whose heads listen, and whose untrained ears are open."""
    model = with_network(single, NetworkConfig(num_layers=2, dim=16, num_attention_heads=2, pool=4), seed=1)
    return opened(model)


def opened(model):
    for head in model.heads.values():
        nn.init.normal_(head.exchange.out.weight, std=0.5, generator=torch.Generator().manual_seed(3))
    return model


@pytest.fixture
def network(batch_of):
    """A batch of four stations of one network, all from one time on."""
    return batch_of(4).replace(
        event_index=torch.zeros(4, dtype=torch.int64),
        start_time=torch.full((4,), 1.6e9, dtype=torch.float64),
        station_geometry=PLACES,
    )


def answers(model, batch):
    with torch.no_grad():
        answer = model(batch)
    return torch.cat([answer["picking"]["probability"], answer["origin"]["center_probability"][:, None]], 1)


def apart(first, second):
    return float((first - second).abs().max())


def test_stations_of_a_network_change_each_others_answers(listening, single, network):
    assert apart(answers(listening, network), answers(single, network)) > 1e-3


def test_a_network_that_has_learned_nothing_yet_answers_as_its_stations_alone(single, network):
    fresh = with_network(single, NetworkConfig(), seed=0)
    assert torch.equal(answers(fresh, network), answers(single, network))


@pytest.mark.parametrize("field", ["event_index", "start_time", "station_geometry"])
def test_a_station_of_which_place_time_or_company_is_unknown_is_picked_alone(
    listening, single, network, field
):
    assert torch.equal(answers(listening, network.replace(**{field: None})), answers(single, network))


def test_one_station_alone_is_picked_as_by_the_model_of_one_station(listening, single, network):
    apart_from_all = network.replace(event_index=torch.arange(4))
    assert torch.equal(answers(listening, apart_from_all), answers(single, network))
    one = network.select(torch.tensor([2]))
    assert torch.equal(answers(listening, one), answers(single, one))


def test_a_place_that_nobody_knows_leaves_the_others_their_network(listening, single, network):
    places = PLACES.clone()
    places[1, 0] = NAN
    found = answers(listening, network.replace(station_geometry=places))
    three = torch.tensor([0, 2, 3])
    assert apart(found[three], answers(listening, network.select(three))) < 1e-5
    assert apart(found[1], answers(single, network)[1]) < 1e-6


def test_the_order_of_stations_does_not_matter(listening, network):
    order = torch.tensor([2, 0, 3, 1])
    assert apart(answers(listening, network)[order], answers(listening, network.select(order))) < 1e-5


def test_networks_in_a_batch_do_not_meet(listening, network, batch_of):
    other = batch_of(2, seed=9)
    both = network.replace(
        waveform=torch.cat([network.waveform[:2], other.waveform]),
        event_index=torch.tensor([7, 7, 3, 3]),
    )
    pair = network.select(torch.tensor([0, 1]))
    assert apart(answers(listening, both)[:2], answers(listening, pair)) < 1e-5


def test_padding_says_nothing(listening, network):
    """Beside a network of three, one of two is padded."""
    uneven = network.select(torch.tensor([0, 1, 2, 3, 0])).replace(event_index=torch.tensor([0, 0, 1, 1, 1]))
    pair = network.select(torch.tensor([0, 1]))
    assert apart(answers(listening, uneven)[:2], answers(listening, pair)) < 1e-5


@pytest.mark.parametrize(
    "moved",
    [
        {"start_time": torch.full((4,), 1.7e9 + 0.37, dtype=torch.float64)},
        {"station_geometry": PLACES + torch.tensor([0.0, 90.0, 0.0])},
        {"station_geometry": PLACES + torch.tensor([0.0, 0.0, 2000.0])},
        {"station_geometry": PLACES * torch.tensor([-1.0, 1.0, 1.0])},
    ],
    ids=["later", "further east", "higher", "mirrored"],
)
def test_only_relative_places_and_times_count(listening, network, moved):
    """Longitudes: turning the globe. Distances alone: a mirrored network is the same network."""
    assert apart(answers(listening, network), answers(listening, network.replace(**moved))) < 1e-4


def test_who_stands_further_away_is_heard_otherwise(listening, network):
    places = PLACES.clone()
    places[1] += torch.tensor([0.5, 0.0, 0.0])
    moved = network.replace(station_geometry=places)
    assert apart(answers(listening, network)[0], answers(listening, moved)[0]) > 1e-5


def pair_of_places(start_s=0.0):
    """Two stations 10 km apart, the windows of the second later by `start_s`."""
    zeros = torch.zeros(2, dtype=torch.float64)
    return WindowPlaces(
        network=torch.zeros(2, dtype=torch.int64),
        latitude_deg=zeros,
        longitude_deg=torch.tensor([0.0, 0.0899], dtype=torch.float64),
        elevation_km=zeros,
        start_s=torch.tensor([0.0, start_s], dtype=torch.float64),
    )


def biases(places, **settings):
    """What moments of the first station think of those of the second `(moment here, moment there)`."""
    torch.manual_seed(0)
    exchange = StationExchange(SPEC, NetworkConfig(num_layers=1, dim=16, num_attention_heads=2, **settings))
    found = exchange._biases(places, places.grid(), torch.ones(1, 2, 20, dtype=torch.bool))
    return found[0, 0].detach().reshape(2, 20, 2, 20)


def test_windows_that_begin_at_other_times_are_put_in_order():
    """A window that begins one moment later has its moments one place earlier."""
    together, later = biases(pair_of_places())[0, :, 1], biases(pair_of_places(0.64))[0, :, 1]
    assert torch.allclose(later[:, :-1], together[:, 1:], atol=1e-5)
    assert not torch.equal(later, together)


def test_what_is_too_far_for_the_time_between_is_not_heard():
    places = pair_of_places()
    assert float(places.distance_km(places.grid())[0, 0, 1]) == pytest.approx(10.0, abs=0.01)
    heard = biases(places, slowest_km_s=2.0, slack_s=1.0).isfinite()
    lag_s = (torch.arange(20) - torch.arange(20)[:, None]) * 0.64
    assert torch.equal(heard[0, :, 1], lag_s.abs() <= 10.0 / 2.0 + 1.0)
    assert not heard[0, :, 0].any() and not heard[1, :, 1].any()


def test_what_nobody_observed_is_not_told_and_not_picked(listening, network):
    waveform = network.waveform.clone()
    waveform[3] = NAN
    silent = network.replace(waveform=waveform)
    found = answers(listening, silent)
    three = torch.tensor([0, 1, 2])
    assert apart(found[three], answers(listening, network.select(three))) < 1e-5
    assert not found[3, :2].any() and not found[3, 3].any()


def test_a_station_in_a_gap_is_still_told_what_others_see(listening, network):
    waveform = network.waveform.clone()
    waveform[3] = NAN
    features = listening.encoder(network.replace(waveform=waveform))
    told = listening.heads["picking"].exchange(features) - features.tokens
    assert told[3].abs().max() > 1e-3


def test_open_ears_have_a_gradient_everywhere_and_no_label_none(listening, network, labels_of):
    labels = labels_of([3.0] * 4, [5.0] * 4) | {"origin_s": torch.full((4, 1), 1.0)}
    for given, wanted in ((labels, True), ({}, False)):
        listening.zero_grad()
        listening.compute_loss(network.replace(labels=given))[0].backward()
        for head in listening.heads.values():
            gradients = [bool(p.grad.any()) for p in head.exchange.parameters()]
            assert all(gradients) if wanted else not any(gradients)


def test_a_batch_without_a_network_keeps_all_parameters_in_the_graph(listening, network, labels_of):
    labels = labels_of([3.0] * 4, [5.0] * 4) | {"origin_s": torch.full((4, 1), 1.0)}
    listening.zero_grad()
    listening.compute_loss(network.replace(labels=labels, event_index=None))[0].backward()
    exchanges = [head.exchange for head in listening.heads.values()]
    assert all(p.grad is not None and not p.grad.any() for e in exchanges for p in e.parameters())


def test_a_model_with_ears_survives_the_disk(listening, network, tmp_path):
    listening.save_pretrained(tmp_path)
    assert torch.equal(answers(load_model(tmp_path), network), answers(listening, network))


def test_only_heads_that_can_listen_are_taught_to(new_model, listening):
    with pytest.raises(ValueError, match=r"must have heads that can listen .* found \['detection'\]"):
        with_network(new_model(detection={}), NetworkConfig(), seed=0)
    with pytest.raises(ValueError, match="and do not yet"):
        with_network(listening, NetworkConfig(), seed=0)


@pytest.mark.parametrize(
    ("make", "settings", "message"),
    [
        (NetworkConfig, {"dim": 30}, "dim a multiple of num_attention_heads"),
        (NetworkConfig, {"pool": 0}, "pool must be at least 1"),
        (NetworkConfig, {"slowest_km_s": 0.0}, "slowest_km_s must be positive"),
        (OriginConfig, {"sigma_s": 0.0}, "sigma_s positive seconds"),
        (NetworkWindowsConfig, {"first_p_s": (1.0, 40.0)}, "first_p_s lie in the window"),
        (NetworkWindowsConfig, {"lost_share": 2.0}, "lost_share"),
    ],
)
def test_impossible_settings_are_refused(make, settings, message):
    with pytest.raises(ValueError, match=message):
        make(**settings)


class TestOrigins:
    """The origin head: the middle between P and S, and the seconds since the origin."""

    def batch(self, batch_of, labels_of, **changes):
        labels = labels_of([4.0, 5.0], [8.0, 6.0]) | {"origin_s": torch.tensor([[-1.0], [4.0]])}
        return batch_of(labels=labels | changes)

    def loss(self, single, batch, output=None):
        features = single.encoder(batch)
        head = single.heads["origin"]
        return head.loss(output or head(features), batch, features)

    def perfect(self, single, batch):
        """What a head that knows everything would say."""
        time_s = single.heads["origin"].grid.time_s(batch, 75)
        center = gaussian(torch.tensor([[6.0], [5.5]]), time_s, 0.5).clamp(1e-4, 1 - 1e-4).logit()
        since_s = (time_s - batch.labels["origin_s"]).clamp(min=0.1)
        return {"center": center, "log_since": since_s.log(), "raw_std": torch.full_like(time_s, -20.0)}

    def test_the_truth_has_the_lowest_loss(self, single, batch_of, labels_of):
        batch = self.batch(batch_of, labels_of)
        perfect = self.perfect(single, batch)
        best, logs = self.loss(single, batch, perfect)
        assert float(logs["since"]) == pytest.approx(0.0, abs=1e-4)
        late = perfect | {"log_since": perfect["log_since"] + 0.05}
        assert float(self.loss(single, batch, late)[1]["since"]) > 1.0
        for wrong in (perfect["center"] + 0.5, perfect["center"] - 0.5, perfect["center"].roll(3, dims=1)):
            assert self.loss(single, batch, perfect | {"center": wrong})[0] > best

    def test_answers_are_seconds(self, single, batch_of, labels_of):
        batch = self.batch(batch_of, labels_of)
        head = single.heads["origin"]
        dense = {key: head.grid.to_samples(v, batch) for key, v in self.perfect(single, batch).items()}
        answer = head.predict(dense, None)
        sample = answer["center_probability"].argmax(dim=1)
        named_s = sample / 100.0 - answer["since_origin_s"][torch.arange(2), sample]
        assert torch.allclose(named_s, torch.tensor([-1.0, 4.0]), atol=0.02)
        assert (answer["since_origin_log_std"] > 0).all()

    @pytest.mark.parametrize("unknown", ["p_arrival_s", "s_arrival_s"])
    def test_without_one_of_the_phases_nobody_knows_the_middle(self, single, batch_of, labels_of, unknown):
        batch = self.batch(batch_of, labels_of, **{unknown: torch.full((2, 1), NAN)})
        loss, logs = self.loss(single, batch)
        assert loss.item() == 0.0 and float(logs["labelled_share"]) == 0.0

    def test_an_unknown_origin_leaves_the_middle(self, single, batch_of, labels_of):
        batch = self.batch(batch_of, labels_of, origin_s=torch.full((2, 1), NAN))
        _, logs = self.loss(single, batch)
        assert float(logs["since"]) == 0.0 and float(logs["center"]) > 0.0

    def test_noise_teaches_that_there_is_no_middle(self, single, batch_of, labels_of):
        batch = batch_of(labels=labels_of([NAN, NAN], [NAN, NAN]))
        _, logs = self.loss(single, batch)
        assert float(logs["center"]) > 0.0 and float(logs["since"]) == 0.0


def pulses(num_networks, seed, num_stations=5, num_tokens=64):
    """Faint pulses that pass five stations at 6 km/s from anywhere, as tokens; and where they are."""
    random = torch.Generator().manual_seed(seed)
    place_km = 20.0 * torch.rand(num_networks, num_stations + 1, 2, generator=random, dtype=torch.float64)
    distance_km = (place_km[:, 1:] - place_km[:, :1]).norm(dim=-1)
    begin_s = 1.0 + 5.0 * torch.rand(num_networks, 1, generator=random, dtype=torch.float64)
    time_s = (torch.arange(num_tokens) + 0.5) * 0.16
    there = (time_s - (begin_s + distance_km / 6.0)[..., None]).abs() < 0.1
    tokens = torch.randn(num_networks, num_stations, num_tokens, 8, generator=random)
    tokens[..., 0] += 2.5 * there
    degrees = place_km[:, 1:].flatten(0, 1) / 111.195
    nothing = torch.zeros(len(degrees), dtype=torch.float64)
    network = torch.arange(num_networks).repeat_interleave(num_stations)
    features = SeismicFeatures(
        tokens=tokens.flatten(0, 1),
        token_observed=torch.ones(len(degrees), num_tokens, dtype=torch.bool),
        places=WindowPlaces(network, degrees[:, 0], degrees[:, 1], nothing, nothing),
    )
    return features, there.flatten(0, 1)


def loss_after_training(listens, steps=300):
    """Cross entropy, in other networks, of a small reader of tokens that listens or not."""
    torch.manual_seed(0)
    spec = dataclasses.replace(SPEC, dim=8)
    exchange = StationExchange(spec, NetworkConfig(num_layers=1, dim=16, num_attention_heads=2))
    exchange.init_prior()
    reader = nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 1))
    optimizer = torch.optim.AdamW([*reader.parameters(), *exchange.parameters()], lr=1e-2)
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, steps)

    def loss(features, there):
        logits = reader(exchange(features) if listens else features.tokens)[..., 0]
        return F.binary_cross_entropy_with_logits(logits, there.float())

    for step in range(steps):
        optimizer.zero_grad()
        loss(*pulses(16, step)).backward()
        optimizer.step()
        cycle.step()
    with torch.no_grad():
        return float(loss(*pulses(100, 10**6)))


@pytest.mark.slow
def test_faint_pulses_are_found_better_with_an_ear_to_the_neighbours():
    assert loss_after_training(listens=True) < 0.9 * loss_after_training(listens=False)
