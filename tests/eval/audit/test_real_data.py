"""What the audit says of real records: unlabelled earthquakes, zeros posed as data, real ground motion."""

import os
from pathlib import Path

import numpy as np
import obspy
import pandas as pd
import pytest
from seisfm.data.records import Record
from seisfm.data.sources import open_records
from seisfm.eval.audit.config import AuditConfig
from seisfm.eval.audit.look import Look
from seisfm.eval.audit.rows import amplitude_fault, expected_of, row_of
from seisfm.eval.audit.run import audit

DATA = Path(os.environ.get("SEISFM_DATA", Path(__file__).parents[4] / "shared" / "data"))


def folder(name: str) -> Path:
    path = DATA / name
    if not path.exists():
        pytest.skip(f"needs {name} in SEISFM_DATA ({DATA})")
    return path


def records_by_check(name: str) -> dict[str, set[str]]:
    records, _ = open_records(folder(name))
    found: dict[str, set[str]] = {}
    for finding in audit(records, AuditConfig(ignore=("no_position",))).findings:
        found.setdefault(finding.check, set()).add(finding.record_id)
    return found


def test_northern_california_has_zeros_and_earthquakes_that_nobody_labelled() -> None:
    found = records_by_check("ncedc_phasenet")
    # Both were looked at: the first begins with 9 s of zeros, the second has an earthquake 10 s after P.
    assert "BG_PFR_2007080600370485" in found.pop("filled_gap")
    assert "NC_GDXB_2008071720041377" in found.pop("unlabelled_onset")
    assert set(found) <= {"spike", "clipped"}


def test_s_of_unknown_time_is_no_unlabelled_onset() -> None:
    # The spike of WR.SLD was looked at; where S is unknown a second onset is S.
    assert records_by_check("ncedc_denoiser") == {"spike": {"WR_SLD_2005083018382016"}}


def test_a_clean_set_is_clean() -> None:
    assert records_by_check("chile_seisbench/chunkeddummydataset") == {}


def test_real_ground_motion_lies_within_the_band_of_amplitudes() -> None:
    index = pd.read_csv(folder("events_groundmotion") / "index.csv")
    orders = []
    for row in index.itertuples():
        record = ground_motion(row, folder("events_groundmotion"))
        if record is not None:
            look = Look(record, AuditConfig())
            found = row_of(look)
            assert amplitude_fault(look, found) is None, record.record_id
            orders.append(np.log10(found["peak"]) - expected_of(found))
    known = np.asarray(orders)[np.isfinite(orders)]
    assert len(known) >= 20 and np.abs(np.median(known)) < 0.5 and np.abs(known).max() < 1.8


def ground_motion(row: object, root: Path) -> Record | None:
    """One trace with the sensitivity of its own StationXML, None where that knows nothing of it."""
    trace = obspy.read(str(root / row.file))[0]
    near = (root / row.file).parent
    files = [*near.glob("*.xml"), *near.parent.glob("*.xml")]
    inventory = obspy.Inventory()
    for file in files:
        inventory += obspy.read_inventory(str(file))
    try:
        sensitivity = inventory.get_response(trace.id, trace.stats.starttime).instrument_sensitivity
    except Exception:
        return None
    return Record(
        record_id=row.trace,
        waveform=trace.data[None].astype(np.float32),
        component_names=(trace.stats.channel[-1],),
        sampling_rate_hz=trace.stats.sampling_rate,
        unit="counts",
        metadata={
            "source_magnitude": row.mag,
            "source_depth_km": row.depth,
            "path_ep_distance_km": row.dist_km,
            "trace_sensitivity": [sensitivity.value],
            "trace_sensitivity_unit": sensitivity.input_units.lower(),
        },
    )
