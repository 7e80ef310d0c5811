"""Fine-tuning on whole networks, for heads that listen to other stations."""

import pytest
import torch
from seisfm.configs.loader import build_config
from seisfm.data.loading.network_windows import NetworkLoader
from seisfm.data.loading.windows import WindowConfig
from seisfm.data.network_sources import NetworkSourceConfig, load_networks
from seisfm.finetune.run import FinetuneConfig, finetune
from seisfm.finetune.start import model_on_base
from seisfm.foundation.interruption import Stopped
from seisfm.heads.task_model import load_model

SYNTHETIC = {"stations": [2, 3], "first_p_s": [2.0, 6.0]}
EARS = {"num_layers": 1, "dim": 8, "num_attention_heads": 2}


@pytest.fixture
def network_settings(settings):
    """A run on synthetic networks and on recorded ones, whose picking head listens."""
    records = settings.pop("train")
    records[0]["synthesis"]["stations_per_event"] = [2, 2]
    records[0]["synthesis"]["min_snr_db"] = -100.0
    settings["training"] |= {"batch_size": 2}
    return settings | {
        "networks": [{"synthetic": SYNTHETIC, "seed": 3}, {"records": records, "weight": 2.0}],
        "heads": {"picking": {"network": EARS}, "origin": {}},
        "augmentation": None,
    }


def run(settings, **changes):
    return finetune(build_config(FinetuneConfig, settings | changes))


def test_a_run_on_networks_goes_through_and_its_model_listens(network_settings):
    result = run(network_settings)
    assert result.metrics["steps"] == 4 and result.metrics["networks_seen"] == 8
    assert result.metrics["validation"]["picking_labelled_share"] > 0
    exchange = load_model(result.output_dir).heads["picking"].exchange
    assert exchange is not None and exchange.out.weight.abs().max() > 0


@pytest.mark.slow
def test_a_run_that_was_stopped_ends_as_one_that_was_not(network_settings, tmp_path):
    whole = run(network_settings, output_dir=str(tmp_path / "whole"))
    half = network_settings | {"output_dir": str(tmp_path / "half")}
    loader = NetworkLoader.batch

    def stopping(self, index):
        if index == 3 and self.networks == 2:
            raise Stopped(15, tmp_path)
        return loader(self, index)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(NetworkLoader, "batch", stopping)
        run(half)
    resumed = run(half)
    for name, tensor in whole.tunable.model.state_dict().items():
        assert torch.equal(resumed.tunable.model.state_dict()[name], tensor), name


def mixed():
    records = {
        "kind": "synthetic",
        "num_events": 5,
        "synthesis": {"stations_per_event": [2, 2], "min_snr_db": -100.0},
    }
    sources = [
        build_config(NetworkSourceConfig, {"synthetic": SYNTHETIC, "seed": 3}),
        build_config(NetworkSourceConfig, {"records": [records], "weight": 3.0}),
    ]
    return load_networks(sources, WindowConfig(window_s=12.0), 0.4, seed=1)[0]


def test_sources_are_met_as_often_as_they_weigh_and_numbers_stay_what_they_are():
    sides = mixed()
    batch = sides.train.network_windows(torch.arange(40))
    assert sorted(set(batch.event_index.tolist())) == list(range(40))
    recorded = {record.event_id for record in sides.train_records}
    names = dict(zip(batch.event_index.tolist(), batch.event_id, strict=True))
    assert 22 <= sum(name in recorded for name in names.values()) <= 38
    alone = sides.train.network_windows(torch.tensor([7, 21]))
    for place, number in enumerate((7, 21)):
        own, same = alone.select(alone.event_index == place), batch.select(batch.event_index == number)
        assert own.station_id == same.station_id and own.event_id == same.event_id


def test_ranks_share_the_networks_of_one(tmp_path):
    train = mixed().train
    whole = NetworkLoader(train, 4).batch(1)
    parts = [NetworkLoader(train, 2, rank, 2).batch(1) for rank in (0, 1)]
    assert sorted(whole.station_id) == sorted(parts[0].station_id + parts[1].station_id)


def test_no_event_is_learned_from_and_held_out():
    sides = mixed()
    learned, held_out = (
        set(part.network_windows(torch.arange(30)).event_id) for part in (sides.train, sides.validation)
    )
    assert not learned & held_out


def test_ears_are_put_on_a_head_that_goes_on_as_it_was(base, batch_of):
    started = model_on_base(str(base), {"picking": {"network": EARS}, "detection": {}}, {}, seed=0)
    assert started.inherited_heads == ("picking", "detection")
    batch = batch_of(2).replace(
        event_index=torch.zeros(2, dtype=torch.int64),
        start_time=torch.zeros(2, dtype=torch.float64),
        station_geometry=torch.tensor([[46.0, 8.0, 0.0], [46.1, 8.0, 0.0]]),
    )
    with torch.no_grad():
        found, known = started.model(batch), load_model(base)(batch)
    assert torch.equal(found["picking"]["probability"], known["picking"]["probability"])
    assert started.model.heads["picking"].exchange is not None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"networks": []}, "give one of the two, found 0 and 0 sources"),
        ({"train": [{"kind": "synthetic", "num_events": 2}]}, "give one of the two, found 1 and 2 sources"),
        ({"augmentation": {}}, "set augmentation to null"),
        ({"networks": [{}]}, "either synthetic or made of records: .* found neither"),
        ({"networks": [{"synthetic": {}, "weight": 0.0}]}, "the weight of a source must be positive"),
    ],
)
def test_what_cannot_be_is_refused(network_settings, changes, message):
    with pytest.raises(ValueError, match=message):
        build_config(FinetuneConfig, network_settings | changes)
