import dataclasses
import json
import os
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text
from seisfm.cli import app
from seisfm.data.corpus.convert import write_corpus
from seisfm.data.corpus.corpus import Corpus
from seisfm.data.corpus.shards import CorpusConfig
from seisfm.data.records import Arrival, Record
from seisfm.data.synthesis import SynthesisConfig, synthesize_records
from seisfm.eval import data_figures as draw
from seisfm.eval.data_columns import describe_records, measured_snr_db
from seisfm.eval.data_page import DataPageConfig, write_data_page
from seisfm.eval.example_windows import example_positions, examples_figure

REAL = Path(os.environ.get("SEISFM_DATA", Path(__file__).parents[3] / "shared" / "data"))
FIGURES = {
    "map": draw.map_of_data,
    "magnitude_distance": draw.magnitude_distance_figure,
    "source": draw.source_figure,
    "snr": draw.snr_figure,
    "s_minus_p": draw.s_minus_p_figure,
    "rates": draw.rate_figure,
    "classes": draw.class_figure,
    "labels": draw.label_figure,
    "time": draw.time_figure,
}


def make_record(name="r", **fields) -> Record:
    waveform = np.random.default_rng(0).normal(size=(2, 4000)).astype(np.float32)
    return Record(
        **{
            "record_id": name, "waveform": waveform, "component_names": ("Z", "N"),
            "sampling_rate_hz": 100.0, **fields,
        }
    )  # fmt: skip


@pytest.fixture(scope="module")
def records():
    return synthesize_records(SynthesisConfig(), 0, 8)


@pytest.fixture(scope="module")
def table(records):
    table = describe_records(records)
    return table.assign(snr_db=[measured_snr_db(record) for record in records])


def test_a_corpus_is_described_as_its_records_are(records, tmp_path):
    write_corpus(records, tmp_path / "corpus", CorpusConfig())
    pd.testing.assert_frame_equal(
        describe_records(Corpus(tmp_path / "corpus")), describe_records(list(records)), check_exact=False
    )


def test_what_a_record_tells_is_described():
    arrivals = (
        Arrival(phase="Pn", time_s=4.0, evaluation="manual"),
        Arrival(phase="Pg", time_s=3.0),
        Arrival(phase="S", time_s=9.0, event=1),
        Arrival(phase="S", time_s=8.0),
    )
    place = {
        "source_latitude_deg": 0.0, "source_longitude_deg": 0.0, "station_latitude_deg": 0.0,
        "station_longitude_deg": 1.0, "trace_snr_db": {"P": 12.5}, "source_magnitude": 2.0,
    }  # fmt: skip
    told = describe_records([make_record(arrivals=arrivals, metadata=place), make_record("q")])
    assert (told.p_s[0], told.s_s[0], told.snr_db[0]) == (3.0, 8.0, 12.5)
    assert told.distance_km[0] == pytest.approx(111.2, abs=0.1)
    assert told.phases[0] == [("Pn", "manual"), ("Pg", "unknown"), ("S", "unknown"), ("S", "unknown")]
    numbers = ["p_s", "s_s", "snr_db", "distance_km", "source_magnitude", "source_depth_km"]
    assert told.loc[1, numbers].isna().all() and told.event_key[1] == "q"


def test_signal_to_noise_is_the_ratio_that_was_put_in():
    generator = np.random.default_rng(0)
    waveform = generator.normal(size=(2, 4000)).astype(np.float32)
    waveform[0, 2000:] *= 10.0
    waveform[1, 2000:] *= 1000.0
    record = make_record(waveform=waveform, arrivals=(Arrival(phase="P", time_s=20.0),))
    assert measured_snr_db(record) == pytest.approx(20.0, abs=1.0)
    horizontal = dataclasses.replace(record, component_names=("E", "N"))
    assert measured_snr_db(horizontal) == pytest.approx(60.0, abs=1.0)
    scaled = dataclasses.replace(record, waveform=waveform * 7 + 1e3)
    assert measured_snr_db(scaled) == pytest.approx(measured_snr_db(record), abs=0.1)
    for odd in ({"arrivals": ()}, {"arrivals": (Arrival(phase="P", time_s=2.0),)}, {"sampling_rate_hz": 2.0}):
        assert np.isnan(measured_snr_db(dataclasses.replace(record, **odd)))
    dead = dataclasses.replace(record, waveform=np.zeros_like(waveform))
    assert np.isnan(measured_snr_db(dead))


@pytest.mark.parametrize("name", FIGURES)
def test_figures_draw_with_text_that_a_phone_can_show(name, table, tmp_path):
    figure = FIGURES[name](table)
    figure.savefig(tmp_path / "figure.png", dpi=60)
    shown = [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]
    assert shown and min(text.get_fontsize() for text in shown) >= 9


@pytest.mark.parametrize("name", FIGURES)
def test_figures_of_nothing_are_none_and_of_one_record_are_drawn(name, table, tmp_path):
    bare = FIGURES[name](describe_records([make_record()]))
    assert (bare is None) == (name not in ("rates", "classes"))
    FIGURES[name](table[table.p_s.notna()].head(1).reset_index(drop=True)).savefig(
        tmp_path / "one.png", dpi=40
    )


def test_a_map_across_the_date_line_is_small():
    places = {"source_latitude_deg": -20.0, "source_longitude_deg": 179.2}
    other = {"source_latitude_deg": -21.0, "source_longitude_deg": -179.2}
    figure = draw.map_of_data(
        describe_records([make_record("a", metadata=places), make_record("b", metadata=other)])
    )
    axes = figure.axes[0]
    left, right = axes.get_xlim()
    assert right - left < 3.0
    figure.canvas.draw()
    assert {"179.5°", "-179.5°"} <= {text.get_text() for text in axes.get_xticklabels()}
    (bar,) = axes.lines
    length_deg = np.ptp(bar.get_xdata())
    (text,) = [text.get_text() for text in axes.texts]
    assert float(text.split()[0]) == pytest.approx(length_deg * 111.195 * np.cos(np.radians(20.5)), rel=1e-3)


def test_examples_keep_every_peak_and_say_what_is_missing():
    waveform = np.zeros((2, 100_000), np.float32)
    waveform[0, 54_321] = 1.0
    waveform[1] = np.nan
    figure = examples_figure([make_record(waveform=waveform, arrivals=(Arrival(phase="P", time_s=543.0),))])
    texts = {text.get_text() for text in figure.findobj(Text)}
    assert {"not recorded", "P", "Z", "N"} <= texts
    (drawn,) = figure.axes[0].collections
    assert max(path.vertices[:, 1].max() for path in drawn.get_paths()) == pytest.approx(1.0)


def test_examples_are_chosen_by_the_seed():
    assert example_positions(5, 12, 0) == [0, 1, 2, 3, 4]
    chosen = example_positions(1000, 12, 0)
    assert len(set(chosen)) == 12 and chosen == example_positions(1000, 12, 0)
    assert chosen != example_positions(1000, 12, 1)


def test_a_page_has_all_figures_and_counts_what_is_unknown(records, tmp_path):
    mixed = [*records, make_record("bare")]
    page = write_data_page(mixed, tmp_path / "page", "A set", DataPageConfig(num_examples=3, num_measured=5))
    names = {file.name for file in page.parent.iterdir()}
    assert names == {"data.html", "data.json", "examples_1.png"} | {f"{name}.png" for name in FIGURES}
    text = page.read_text()
    unknown = sum("source_magnitude" not in record.metadata for record in mixed)
    assert text.count("<img ") == 10 and f"magnitude for {unknown} of {len(mixed)}" in text
    assert "Measured on 5 records, chosen at random (seed 0)." in text
    (glance,) = json.loads(page.with_suffix(".json").read_text())["tables"]
    numbers = {row["what"]: row["number"] for row in glance["rows"]}
    assert numbers["records"] == len(mixed)
    assert numbers["records with P"] == sum(bool(record.arrivals) for record in mixed)


def test_a_page_about_records_that_tell_nothing(tmp_path):
    page = write_data_page([make_record()], tmp_path, "Bare", DataPageConfig(num_examples=0))
    assert page.read_text().count("Not shown. Unknown: ") == 7
    with pytest.raises(ValueError, match="at least one record to draw, found none"):
        write_data_page([], tmp_path, "Empty")
    with pytest.raises(ValueError, match="must not be negative"):
        DataPageConfig(num_examples=-1)


@pytest.mark.skipif(not REAL.is_dir(), reason=f"real data not found at {REAL}; set SEISFM_DATA")
def test_the_command_draws_a_real_set(tmp_path, capsys):
    data = REAL / "chile_seisbench" / "chunkeddummydataset"
    with pytest.raises(SystemExit) as end:
        app(shlex.split(f"data plot {data} --out {tmp_path / 'out'} --examples 2 --json"), prog_name="seisfm")
    found = json.loads(capsys.readouterr().out)
    assert not end.value.code and found["num_records"] == 200
    assert "map.png" in " ".join(found["figures"]) and "labels.png" not in " ".join(found["figures"])
