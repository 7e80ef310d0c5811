"""The input contract: what it enforces, and what its preparation may not do."""

import json

import pytest
import torch
from seisfm.data.batch import UNITS, WaveformBatch
from seisfm.foundation.contract import ContractError, InputContract, Normalization


def make_batch(
    num_windows: int = 3,
    duration_s: float = 12.0,
    rate_hz: float = 100.0,
    components: str = "ZNE",
    seed: int = 0,
) -> WaveformBatch:
    generator = torch.Generator().manual_seed(seed)
    shape = (num_windows, len(components), int(duration_s * rate_hz))
    return WaveformBatch(
        waveform=torch.randn(shape, generator=generator) * 100 + 5,
        sampling_rate_hz=torch.full((num_windows,), rate_hz),
        component_names=tuple(components),
        unit=("counts",) * num_windows,
    )


def test_contract_survives_json_and_refuses_to_be_absent_or_incomplete():
    contract = InputContract(highpass_hz=None, normalization=Normalization(scope="component"))
    settings = json.loads(json.dumps(contract.to_dict()))
    assert InputContract.from_dict(settings, "test") == contract
    with pytest.raises(ContractError, match="has no input_contract"):
        InputContract.from_dict(None, "model X")
    del settings["components"]
    with pytest.raises(ContractError, match=r"lacks \['components'\]"):
        InputContract.from_dict(settings, "model X")
    with pytest.raises(ContractError, match="scope must be station or component"):
        InputContract.from_dict(contract.to_dict() | {"normalization": {"scope": "network"}}, "model X")


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        (make_batch(rate_hz=10.0), "sampling rate must be 20 to 500 Hz, found 10"),
        (make_batch(duration_s=5.0), "windows must last 10 to 300 s, found 5"),
    ],
)
def test_inputs_outside_of_the_contract_are_refused(batch, message):
    with pytest.raises(ContractError, match=message):
        InputContract().prepare(batch)


def test_unit_and_component_outside_of_the_contract_are_refused():
    with pytest.raises(ContractError, match="unit must be one of"):
        InputContract(units=("m/s",)).prepare(make_batch())
    with pytest.raises(ContractError, match=r"found also \['H'\]"):
        InputContract(components=("Z", "N", "E")).prepare(make_batch(components="ZH"))


def test_station_scope_keeps_amplitude_ratios_and_the_log_gain():
    batch = make_batch()
    scaled = batch.waveform * torch.tensor([1.0, 3.0, 0.1])[None, :, None]
    prepared = InputContract(highpass_hz=None).prepare(batch.replace(waveform=scaled))
    std = prepared.waveform[:, :3].std(dim=-1)
    assert torch.allclose(std[:, 1] / std[:, 0], torch.tensor(3.0), rtol=0.1)
    assert torch.allclose(std.square().mean(dim=1), torch.ones(3), rtol=1e-2)
    louder = InputContract(highpass_hz=None).prepare(batch.replace(waveform=scaled * 100))
    assert torch.allclose(louder.log_gain - prepared.log_gain, torch.tensor(2.0), atol=1e-4)
    component = InputContract(highpass_hz=None, normalization=Normalization(scope="component"))
    std = component.prepare(batch.replace(waveform=scaled)).waveform[:, :3].std(dim=-1)
    assert torch.allclose(std, torch.ones_like(std), rtol=1e-2)


@pytest.mark.parametrize("scope", ["station", "component"])
def test_without_the_gain_back_nothing_tells_how_loud_a_window_was(scope):
    batch = make_batch()
    contract = InputContract(normalization=Normalization(scope=scope, gain_back=False))
    quiet = contract.prepare(batch)
    loud = contract.prepare(batch.replace(waveform=batch.waveform * 64.0))
    assert torch.equal(loud.log_gain, torch.zeros(3)) and torch.equal(quiet.log_gain, loud.log_gain)
    assert torch.allclose(loud.waveform, quiet.waveform, atol=1e-5)
    told = InputContract(normalization=Normalization(scope=scope)).prepare(batch)
    assert torch.equal(told.waveform, quiet.waveform) and bool((told.log_gain != 0).all())


def test_scaling_by_a_power_of_two_changes_no_bit_of_the_waveform():
    batch = make_batch()
    prepared = InputContract().prepare(batch)
    scaled = InputContract().prepare(batch.replace(waveform=batch.waveform * 1024))
    assert torch.equal(prepared.waveform, scaled.waveform)


def test_missing_dead_and_absent_components_are_the_same_thing():
    batch = make_batch()
    absent = batch.replace(waveform=batch.waveform[:, :1], component_names=("Z",))
    waveform = batch.waveform.clone()
    waveform[:, 1:] = torch.nan
    dead = batch.waveform.clone()
    dead[:, 1:] = 17.0
    expected = InputContract().prepare(absent)
    for other in (batch.replace(waveform=waveform), batch.replace(waveform=dead)):
        prepared = InputContract().prepare(other)
        assert torch.equal(prepared.observed, expected.observed)
        assert torch.equal(prepared.waveform, expected.waveform)


@pytest.mark.parametrize("offset", [0.33152639865874244, 112.34724426269531, 526295.75])
@pytest.mark.parametrize("scope", ["station", "component"])
def test_a_channel_that_never_moves_is_missing_whatever_its_offset(offset, scope):
    batch = make_batch(components="Z", duration_s=29.97)
    contract = InputContract(normalization=Normalization(scope=scope))
    prepared = contract.prepare(batch.replace(waveform=torch.full_like(batch.waveform, offset)))
    assert not prepared.observed.any() and not prepared.waveform.any()


def test_nothing_observed_gives_zeros_and_no_nan():
    batch = make_batch()
    prepared = InputContract().prepare(batch.replace(waveform=torch.full_like(batch.waveform, torch.nan)))
    assert not prepared.observed.any()
    assert torch.equal(prepared.waveform, torch.zeros_like(prepared.waveform))
    assert torch.equal(prepared.log_gain, torch.zeros(3))


def test_what_lies_in_a_gap_changes_no_bit():
    batch = make_batch()
    observed = batch.observed.clone()
    observed[:, :, 300:500] = False
    garbage = batch.waveform.clone()
    garbage[:, :, 300:500] = 1e6
    first = InputContract().prepare(batch.replace(waveform=batch.waveform, observed=observed))
    second = InputContract().prepare(batch.replace(waveform=garbage, observed=observed))
    assert torch.equal(first.waveform, second.waveform)


def test_highpass_has_half_power_at_its_corner():
    time_s = torch.arange(6000) / 100
    for frequency_hz, low, high in ((0.2, 0.0, 0.06), (1.0, 0.68, 0.74), (8.0, 0.99, 1.01)):
        wave = torch.sin(2 * torch.pi * frequency_hz * time_s).expand(1, 1, -1)
        batch = WaveformBatch(
            waveform=wave.contiguous(),
            sampling_rate_hz=torch.tensor([100.0]),
            component_names=("Z",),
            unit=("counts",),
        )
        prepared = InputContract().prepare(batch)
        amplitude = (prepared.waveform[0, 0] * prepared.scale[0, 0])[1000:5000].abs().max()
        assert low <= float(amplitude) <= high


def test_mixed_rates_meet_at_the_model_rate():
    batch = make_batch(duration_s=40.0)
    mixed = batch.replace(sampling_rate_hz=torch.tensor([100.0, 200.0, 50.0]))
    prepared = InputContract().prepare(mixed)
    assert prepared.num_samples == 8000
    assert prepared.observed[:, 0].sum(dim=-1).tolist() == [4000, 2000, 8000]


def test_units_reach_the_network_by_name():
    batch = make_batch().replace(unit=("m/s", "unknown", "counts"))
    assert InputContract().prepare(batch).unit_index.tolist() == [
        UNITS.index(u) for u in ("m/s", "unknown", "counts")
    ]
