import math

import pytest
import torch
from seisfm.configs.loader import build_config
from seisfm.data.batch import WaveformBatch
from seisfm.data.instruments.harmonization import HarmonizationConfig, Harmonizer

PHYSICAL = HarmonizationConfig(unit="m/s", response="sensitivity")
VELOCITY = {
    "component_names": ("Z", "N", "E"),
    "trace_sensitivity": [1e9, 2e9, 4e9],
    "trace_sensitivity_unit": "m/s",
    "trace_component_azimuth_deg": [0.0, 0.0, 90.0],
    "trace_component_dip_deg": [-90.0, 0.0, 0.0],
    "trace_response": {"input_unit": "m/s", "zeros": [], "poles": [], "normalization_factor": 1.0},
}
ACCELERATION = VELOCITY | {
    "trace_sensitivity": [2e5] * 3,
    "trace_sensitivity_unit": "m/s**2",
    "trace_response": {"input_unit": "m/s**2", "zeros": [], "poles": [], "normalization_factor": 1.0},
}
REVERSED = {"trace_component_azimuth_deg": [0.0, 30.0, 120.0], "trace_component_dip_deg": [90.0, 0.0, 0.0]}


def batch_of(waveform, unit="counts", names=("Z", "N", "E")):
    waveform = waveform.float()
    return WaveformBatch(
        waveform=waveform,
        sampling_rate_hz=torch.full((len(waveform),), 100.0),
        component_names=names,
        unit=(unit,) * len(waveform) if isinstance(unit, str) else unit,
        station_id=tuple(f"XX.S{i}." for i in range(len(waveform))),
    )


def sines(num_windows, amplitude=1.0, frequency_hz=2.0, duration_s=60.0):
    time_s = torch.arange(round(duration_s * 100)) / 100
    return (amplitude * torch.sin(2 * math.pi * frequency_hz * time_s)).expand(num_windows, 3, -1)


def test_by_default_nothing_is_touched():
    batch = batch_of(sines(2))
    assert Harmonizer(HarmonizationConfig())(batch, [{}, {}]) is batch


def test_counts_become_metres_per_second_whatever_the_gain():
    motion = sines(1, 1e-6)
    counts = motion * torch.tensor([1e9, 2e9, 4e9])[:, None]
    result = Harmonizer(PHYSICAL)(batch_of(counts), [VELOCITY])
    assert result.unit == ("m/s",)
    torch.testing.assert_close(result.waveform, motion, rtol=1e-6, atol=0)


@pytest.mark.parametrize("response", ["sensitivity", "full"])
def test_a_seismometer_and_an_accelerometer_side_by_side_tell_the_same_motion(response):
    velocity = sines(1, 1e-3)
    omega = 2 * math.pi * 2.0
    acceleration = 1e-3 * omega * torch.cos(omega * torch.arange(6000) / 100).expand(1, 3, -1)
    counts = torch.cat([velocity * torch.tensor([1e9, 2e9, 4e9])[:, None], acceleration * 2e5])
    config = HarmonizationConfig(unit="m/s", response=response)
    result = Harmonizer(config)(batch_of(counts), [VELOCITY, ACCELERATION])
    assert result.unit == ("m/s", "m/s")
    # The high-pass that an integration needs delays the accelerometer by a little: 4 poles at 0.1 Hz.
    middle = result.waveform[..., 2000:4000]
    allowed = 0.15 if response == "sensitivity" else 0.01
    assert (middle[0] - middle[1]).abs().max() < allowed * 1e-3


def test_native_units_stay_those_of_each_instrument():
    config = HarmonizationConfig(response="sensitivity")
    result = Harmonizer(config)(batch_of(sines(2)), [VELOCITY, ACCELERATION])
    assert result.unit == ("m/s", "m/s**2")
    torch.testing.assert_close(result.waveform[1], sines(1)[0] / 2e5)


def test_a_full_response_may_leave_acceleration():
    result = Harmonizer(HarmonizationConfig(response="full"))(batch_of(sines(1)), [ACCELERATION])
    assert result.unit == ("m/s**2",)
    assert float(result.waveform[0, 0, 2000:4000].max()) == pytest.approx(1 / 2e5, rel=0.01)


def test_what_is_already_physical_is_taken_as_it_is():
    about = {"component_names": ("Z", "N", "E")}
    done = Harmonizer(PHYSICAL)(batch_of(sines(2), ("m/s", "m/s**2")), [about, about])
    assert done.unit == ("m/s", "m/s")
    assert torch.equal(done.waveform[0], sines(1)[0])
    assert not torch.equal(done.waveform[1], sines(1)[0])
    removed = about | {"trace_response_state": "response_removed"}
    full = HarmonizationConfig(unit="m/s", response="full")
    assert torch.equal(Harmonizer(full)(batch_of(sines(1), "m/s"), [removed]).waveform, sines(1))


@pytest.mark.parametrize(
    ("config", "unit", "about", "reason"),
    [
        (PHYSICAL, "counts", {}, "trace_sensitivity_unit is not told"),
        (PHYSICAL, "unknown", VELOCITY, "samples in unknown are not known to be raw counts"),
        (PHYSICAL, "counts", VELOCITY | {"trace_sensitivity_unit": "Pa"}, "trace_sensitivity_unit is Pa"),
        (
            PHYSICAL,
            "counts",
            VELOCITY | {"trace_sensitivity": [1e9, None, 1e9]},
            "not told for every component",
        ),
        (
            HarmonizationConfig(response="full"),
            "counts",
            VELOCITY | {"trace_response": None},
            "trace_response is",
        ),
        (HarmonizationConfig(response="full"), "m/s**2", VELOCITY, "one to m/s, the samples are in m/s"),
        (
            HarmonizationConfig(response="full"),
            "counts",
            VELOCITY | {"trace_response": {"input_unit": "m"}},
            "pairs of numbers",
        ),
        (HarmonizationConfig(orient=True), "counts", {}, "azimuth and dip are not told"),
        (HarmonizationConfig(orient=True), "counts", VELOCITY | REVERSED, "differ in sensitivity"),
        (
            HarmonizationConfig(orient=True),
            "counts",
            VELOCITY | {"trace_component_azimuth_deg": [0.0, 0.0, 0.0]},
            "do not span the space",
        ),
    ],
)
def test_a_window_without_metadata_keeps_its_unit_and_is_counted_or_refused(config, unit, about, reason):
    about = {"component_names": ("Z", "N", "E")} | about
    batch = batch_of(sines(2), unit)
    harmonizer = Harmonizer(config)
    for _ in range(2):
        result = harmonizer(batch, [about, about])
    assert result.unit == (unit, unit)
    assert torch.equal(result.waveform, batch.waveform)
    ((told, count),) = harmonizer.kept.items()
    assert reason in told and count == 4
    strict = HarmonizationConfig(**{**vars(config), "missing": "error"})
    with pytest.raises(ValueError, match=r"window 0 of station 'XX.S0.'.*set missing to keep"):
        Harmonizer(strict)(batch, [about, about])


def test_one_window_without_metadata_does_not_touch_its_neighbours():
    about = [VELOCITY, {"component_names": ("Z", "N", "E")}]
    result = Harmonizer(PHYSICAL)(batch_of(sines(2)), about)
    assert result.unit == ("m/s", "counts")
    assert torch.equal(result.waveform[1], sines(1)[0])
    torch.testing.assert_close(result.waveform[0, 0], sines(1)[0, 0] / 1e9)


def test_reversed_and_turned_components_show_up_north_and_east():
    turn = math.radians(30.0)
    up, north, east = torch.randn(3, 1000, generator=torch.Generator().manual_seed(0))
    one, two = north * math.cos(turn) + east * math.sin(turn), -north * math.sin(turn) + east * math.cos(turn)
    about = VELOCITY | REVERSED | {"component_names": ("Z", "1", "2"), "trace_sensitivity": [1e9] * 3}
    config = HarmonizationConfig(unit="m/s", response="sensitivity", orient=True)
    result = Harmonizer(config)(batch_of(1e9 * torch.stack([-up, one, two])[None]), [about])
    torch.testing.assert_close(result.waveform[0], torch.stack([up, north, east]), atol=1e-5, rtol=0)


def test_the_order_of_the_record_is_not_that_of_the_batch():
    about = {
        "component_names": ("1", "2", "3"),
        "trace_sensitivity": [2.0, 4.0, 8.0],
        "trace_sensitivity_unit": "m/s",
        "trace_component_azimuth_deg": [0.0, 90.0, 0.0],
        "trace_component_dip_deg": [0.0, 0.0, 90.0],
    }
    config = HarmonizationConfig(unit="m/s", response="sensitivity", orient=True)
    result = Harmonizer(config)(batch_of(torch.ones(1, 3, 4)), [about])
    assert result.waveform[0, :, 0].tolist() == [-1 / 8, 1 / 2, 1 / 4]


@pytest.mark.parametrize("names", [("Z",), ("E", "H", "Z")])
def test_batches_of_some_components_and_a_hydrophone(names):
    about = {
        "component_names": ("Z",),
        "trace_component_azimuth_deg": [0.0],
        "trace_component_dip_deg": [90.0],
    }
    waveform = torch.full((1, len(names), 5), torch.nan)
    waveform[:, names.index("Z")] = 3.0
    result = Harmonizer(HarmonizationConfig(orient=True))(batch_of(waveform, names=names), [about])
    assert result.waveform[0, names.index("Z")].tolist() == [-3.0] * 5
    assert int(result.observed.sum()) == 5


def test_gaps_stay_gaps_and_hidden_samples_stay_hidden():
    waveform = sines(1).clone()
    waveform[0, 1, 100:200] = torch.nan
    batch = batch_of(waveform)
    observed = batch.observed.clone()
    observed[0, 2, :50] = False
    batch = batch.replace(observed=observed)
    result = Harmonizer(HarmonizationConfig(unit="m/s", response="full"))(batch, [VELOCITY])
    assert torch.equal(result.observed, observed)


def test_filled_gaps_become_gaps_where_asked():
    waveform = sines(1).clone()
    waveform[0, 0, 1000:1300] = 0.0
    result = Harmonizer(HarmonizationConfig(constant_gap_s=2.0))(batch_of(waveform), [{}])
    assert torch.equal(result.observed[0, 0].logical_not().nonzero().flatten(), torch.arange(1000, 1300))
    assert bool(result.observed[0, 1:].all())


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"unit": "cm/s"}, "unit"),
        ({"response": "all"}, "response"),
        ({"missing": "skip"}, "missing"),
        ({"unit": "m/s"}, "unit m/s needs response"),
        ({"highpass_hz": 0.0}, "highpass_hz must be positive"),
        ({"constant_gap_s": -1.0}, "constant_gap_s must be positive"),
        ({"units": "m/s"}, "unknown key"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, reason):
    with pytest.raises(ValueError, match=reason):
        build_config(HarmonizationConfig, settings)


def test_python_callers_are_checked_too():
    with pytest.raises(ValueError, match=r"unit must be one of \('native', 'm/s'\), found 'cm/s'"):
        HarmonizationConfig(unit="cm/s")


def test_metadata_that_do_not_fit_are_refused():
    batch = batch_of(sines(1))
    with pytest.raises(ValueError, match="each of the batch's 1 windows, found 2"):
        Harmonizer(PHYSICAL)(batch, [VELOCITY, VELOCITY])
    with pytest.raises(ValueError, match="must hold the record's component_names"):
        Harmonizer(PHYSICAL)(batch, [{}])
    with pytest.raises(ValueError, match=r"trace_sensitivity must have one entry for each.*found \[1.0\]"):
        Harmonizer(PHYSICAL)(batch, [VELOCITY | {"trace_sensitivity": [1.0]}])
