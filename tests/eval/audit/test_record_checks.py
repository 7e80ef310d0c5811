"""Each fault, put into a record that has none, is found by its own check and by no other error."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from seisfm.data.records import Arrival, Record
from seisfm.eval.audit.config import AuditConfig
from seisfm.eval.audit.look import Look, power_rise_db
from seisfm.eval.audit.physics import expected_log_amplitude, p_time_band_s, s_minus_p_band_s
from seisfm.eval.audit.registry import CHECKS, checks_of
from seisfm.eval.audit.run import audit

RATE_HZ = 100.0


def checks_found(record: Record, severity: str | None = None, **config: object) -> set[str]:
    findings = audit([record], AuditConfig(**config)).findings
    return {finding.check for finding in findings if severity in (None, finding.severity)}


def samples(value: object, row: object = slice(None), first_s: float = 0.0, last_s: float = 60.0) -> Callable:
    def spoil(record: Record) -> Record:
        waveform = record.waveform.copy()
        waveform[row, round(first_s * RATE_HZ) : round(last_s * RATE_HZ)] = value
        return replace(record, waveform=waveform)

    return spoil


def scaled(factor: object) -> Callable:
    return lambda record: replace(record, waveform=(record.waveform * factor).astype(np.float32))


def clipped(record: Record) -> Record:
    level = 0.3 * np.abs(record.waveform).max()
    return replace(record, waveform=np.clip(record.waveform, -level, level))


def spiked(record: Record) -> Record:
    return samples(1e-3, 0, 45.0, 45.01)(record)


def times(p_s: float, s_s: float) -> Callable:
    arrivals = (Arrival(phase="P", time_s=p_s), Arrival(phase="S", time_s=s_s))
    return lambda record: replace(record, arrivals=arrivals)


def said(**metadata: object) -> Callable:
    return lambda record: replace(record, metadata=record.metadata | metadata)


def without(*keys: str) -> Callable:
    return lambda record: replace(
        record, metadata={k: v for k, v in record.metadata.items() if k not in keys}
    )


def fields(**changes: object) -> Callable:
    return lambda record: replace(record, **changes)


def flipped(record: Record) -> Record:
    return replace(record, arrivals=(replace(record.arrivals[0], polarity="negative"), record.arrivals[1]))


def repeated(record: Record) -> Record:
    return replace(record, arrivals=(*record.arrivals, replace(record.arrivals[1], time_s=27.0)))


def unlisted(record: Record) -> Record:
    """A second earthquake that nobody labelled."""
    waveform = record.waveform.copy()
    waveform[:, 4500:] += 5 * record.waveform[:, 2000:3500]
    return replace(record, waveform=waveform)


FAULTS = {
    "infinite": samples(np.inf, 0, 45.0, 45.01),
    "empty": samples(np.nan),
    "dead_component": samples(3.0, 1),
    "filled_gap": samples(0.0, slice(None), 40.0, 42.0),
    "clipped": clipped,
    "weak_component": scaled(np.array([[1.0], [1.0], [1e-5]])),
    "gap": samples(np.nan, slice(None), 40.0, 42.0),
    "spike": spiked,
    "phase_order": times(26.0, 20.0),
    "repeated_label": repeated,
    "label_outside": times(130.0, 136.0),
    "phase_outside": times(20.0, 61.0),
    "label_in_gap": samples(np.nan, slice(None), 19.5, 20.5),
    "label_without_onset": times(13.0, 26.0),
    "unlabelled_onset": unlisted,
    "polarity": flipped,
    "s_minus_p": said(source_depth_km=150.0),
    "travel_time": said(source_origin_time="2020-09-13T12:26:10Z"),
    "distance": said(path_ep_distance_km=95.0),
    "unit": scaled(1e8),
    "position": said(station_latitude_deg=137.0),
    "start_time": said(station_epoch_start="2021-01-01T00:00:00Z"),
    "sampling_rate": fields(sampling_rate_hz=0.01),
    "back_azimuth": said(path_back_azimuth_deg=0.0),
    "no_station": fields(station_id=".."),
    "no_position": without("station_latitude_deg"),
    "no_start_time": fields(start_time=float("nan")),
    "amplitude": scaled(1e3),
}

ALONG = {
    "empty": {"label_in_gap"},
    "phase_order": {"s_minus_p", "label_without_onset"},
    "label_outside": {"travel_time"},
    "label_without_onset": {"travel_time"},
    "phase_outside": {"s_minus_p"},
    "s_minus_p": {"travel_time"},
    "unit": {"amplitude"},
    "position": {"distance"},
    "sampling_rate": {"travel_time"},
}
"""What else is rightly said of the same fault."""


def test_a_good_record_has_nothing(new_record: Callable) -> None:
    assert checks_found(new_record()) == set()


@pytest.mark.parametrize("check", FAULTS)
def test_each_fault_is_found_and_nothing_else(check: str, new_record: Callable) -> None:
    record = FAULTS[check](new_record())
    found = checks_found(record)
    assert check in found
    errors = checks_found(record, "error") - {check} - ALONG.get(check, set())
    assert not errors


def test_every_check_of_single_records_is_tested() -> None:
    of_records = {name for name, check in CHECKS.items() if check.scope == "record"}
    assert of_records - {"unreadable"} == set(FAULTS)


@pytest.mark.parametrize("check", FAULTS)
def test_a_check_can_be_left_out_or_softened(check: str, new_record: Callable) -> None:
    record = FAULTS[check](new_record())
    assert check not in checks_found(record, ignore=(check,))
    assert check not in checks_found(record, "error", only_warn=(check,))


def test_an_unknown_check_is_told() -> None:
    with pytest.raises(ValueError, match="no check \\['typo'\\]: known are"):
        checks_of("record", AuditConfig(ignore=("typo",)))
    with pytest.raises(ValueError, match="band_hz must rise"):
        AuditConfig(band_hz=(20.0, 1.0))
    with pytest.raises(ValueError, match="clear_rise_db must be more"):
        AuditConfig(clear_rise_db=1.0)


def test_gain_and_component_order_change_nothing_but_amplitude(new_record: Callable) -> None:
    record = FAULTS["label_without_onset"](new_record())
    turned = replace(record, waveform=record.waveform[::-1].copy(), component_names=("E", "N", "Z"))
    counts = replace(record, waveform=record.waveform * np.float32(1e9), unit="counts")
    assert checks_found(record) == checks_found(turned) == checks_found(counts)


def test_a_vertical_that_counts_downwards_is_turned_over(new_record: Callable) -> None:
    record = FAULTS["polarity"](new_record())
    assert "polarity" not in checks_found(said(trace_component_dip_deg=[90.0, 0.0, 0.0])(record))
    assert "polarity" in checks_found(said(trace_component_dip_deg=[-90.0, 0.0, 0.0])(record))


def test_counts_are_judged_where_the_sensitivity_is_known(new_record: Callable) -> None:
    record = new_record(unit="counts")
    known = said(trace_sensitivity=[1.0, 1.0, 1.0], trace_sensitivity_unit="m/s")
    assert checks_found(record) == checks_found(known(record)) == set()
    off = said(trace_sensitivity=[1e3] * 3, trace_sensitivity_unit="m/s")
    assert checks_found(off(record)) == {"amplitude"}


def test_few_counts_are_neither_filled_gaps_nor_clipped(new_record: Callable) -> None:
    quiet = np.rint(new_record().waveform / np.float32(3e-7) * 0.3)
    record = new_record(unit="counts", waveform=quiet.astype(np.float32))
    assert not checks_found(record) & {"filled_gap", "clipped", "dead_component"}


def test_a_direct_wave_after_another_branch_of_s_is_in_order(new_record: Callable) -> None:
    more = (
        Arrival(phase="Pn", time_s=20.0),
        Arrival(phase="Sn", time_s=26.0),
        Arrival(phase="Pg", time_s=27.0),
    )
    record = replace(new_record(), arrivals=more)
    assert "phase_order" not in checks_found(record)
    late = replace(record, arrivals=(*more, Arrival(phase="Sg", time_s=26.5)))
    assert "phase_order" in checks_found(late)


def test_where_the_fault_is(new_record: Callable) -> None:
    found = next(f for f in audit([FAULTS["spike"](new_record())]).findings if f.check == "spike")
    assert found.at_s == pytest.approx(45.0) and found.value > 6


def test_power_rise_of_a_step_is_its_height() -> None:
    power = np.concatenate([np.ones(500), np.full(500, 100.0)])
    rise = power_rise_db(power, np.ones(1000, bool), 100.0, 2.0, 1.0)
    assert rise[500] == pytest.approx(20.0, abs=0.1) and np.nanargmax(rise) == 500
    assert np.isnan(rise[50]) and np.isnan(rise[-20])


def test_motion_begins_from_rest_and_leaps_no_gap(new_record: Callable) -> None:
    record = new_record()
    shifted = record.waveform + np.float32(5.0)
    shifted[:, 3000:3100] = np.nan
    motion = Look(replace(record, waveform=shifted), AuditConfig()).motion
    assert np.abs(motion[:, :100]).max() < 1e-4 and (motion[:, 3000:3100] == 0).all()


def test_bands_hold_ordinary_crust_and_widen_with_ignorance() -> None:
    for distance_km in (0.0, 5.0, 30.0, 150.0, 600.0):
        for depth_km in (0.0, 10.0, 50.0):
            way_km = np.hypot(distance_km, depth_km)
            low, high = s_minus_p_band_s(distance_km, depth_km)
            assert low <= way_km * (1.74 - 1.0) / 6.2 <= high
            first, last = p_time_band_s(distance_km, depth_km)
            assert first <= way_km / 6.2 <= last
            unknown = s_minus_p_band_s(distance_km, np.nan)
            assert unknown[0] <= low and high <= unknown[1]


def test_attenuation_falls_with_distance_and_grows_with_magnitude() -> None:
    # Atkinson (2015), table 1 with M 4 at 20 km, by hand: h = 1 km, log10 PGV = −0.797 in cm/s.
    assert 10 ** expected_log_amplitude(4.0, 20.0, "m/s") == pytest.approx(1.597e-3, rel=0.001)
    values = [expected_log_amplitude(m, r, "m/s") for m in (-1.0, 1.0, 3.0, 5.0) for r in (5.0, 50.0)]
    assert all(near > far for near, far in zip(values[::2], values[1::2], strict=True))
    assert values[::2] == sorted(values[::2])


def test_the_filled_head_of_a_coarse_record_is_found(new_record: Callable) -> None:
    coarse = np.rint(new_record().waveform / np.float32(3e-7) * 0.5).astype(np.float32)
    coarse[:, :500] = 7.0
    assert "filled_gap" in checks_found(new_record(unit="counts", waveform=coarse))
