import dataclasses
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from seisfm.eval.baselines import StaLtaPicker
from seisfm.eval.realism.excerpts import ExcerptConfig, cut_excerpts
from seisfm.eval.realism.features import feature_table
from seisfm.eval.realism.figures import twelve_figure
from seisfm.eval.realism.network import NetworkConfig, separate_waveforms
from seisfm.eval.realism.page import RealismConfig, compare, summary_table, write_page
from seisfm.eval.realism.picker_recall import recall_table
from seisfm.eval.realism.two_sample import TwoSampleConfig

ROOT = Path(__file__).parents[3]
NCEDC = Path(os.environ.get("SEISFM_DATA", ROOT / ".." / "shared" / "data")) / "ncedc_phasenet"
SMALL = TwoSampleConfig(per_real=1, num_folds=3, num_resamples=100, num_permutations=1)
QUICK = NetworkConfig(channels=(8, 12, 12), num_epochs=6, batch_size=16, learning_rate=1e-2)


def excerpts_of(record_of, numbers, **shape):
    return cut_excerpts([record_of(i, **shape) for i in numbers], ExcerptConfig())[0]


def test_the_network_tells_ringing_from_noise_and_not_like_from_like(record_of):
    real = excerpts_of(record_of, range(30))
    ringing = separate_waveforms(real, excerpts_of(record_of, range(100, 130), ringing_hz=6.0), QUICK, SMALL)
    assert ringing.low > 0.9
    alike = separate_waveforms(real, excerpts_of(record_of, range(100, 130)), QUICK, SMALL)
    assert alike.low < 0.5 < alike.high or abs(alike.auc - 0.5) < 0.15


def test_the_network_says_what_an_excerpt_lacks(record_of):
    excerpts = excerpts_of(record_of, range(6))
    config = dataclasses.replace(QUICK, before_p_s=7.0)
    with pytest.raises(ValueError, match=r"needs 7.5 s before .* has 6.0 and 12.0 s"):
        separate_waveforms(excerpts, excerpts, config, SMALL)


def test_recall_rises_with_snr_and_counts_each_record_once(record_of):
    sides = {
        "real": excerpts_of(record_of, range(12), noise=0.01),
        "synthetic": excerpts_of(record_of, range(12), noise=1.5),
    }
    snr_db = {kind: feature_table(part)["p_snr_db"].to_numpy() for kind, part in sides.items()}
    table = recall_table(sides, [StaLtaPicker()], snr_db)
    whole = table.query("phase == 'P' and tolerance_s == 0.5 and snr_db == 'all'").set_index("kind")
    assert whole.recall["real"] == 1.0 and whole.recall["synthetic"] < 0.5
    parts = table.query("phase == 'S' and tolerance_s == 0.1 and snr_db != 'all'")
    assert parts.groupby("kind").records.sum().tolist() == [12, 12]
    assert parts.recall[parts.records == 0].isna().all()


def test_a_comparison_becomes_a_page_with_its_numbers(record_of, tmp_path):
    real = [record_of(i) for i in range(16)]
    made = [record_of(100 + i, s_to_p=12.0) for i in range(24)] + [record_of(200, separation_s=0.1)]
    result = compare(real, made, RealismConfig(two_sample=SMALL, network=None))
    assert result.separation.low > 0.8
    assert [item.item for item in result.skipped] == ["r200"]
    parts = result.groups.set_index("part").AUC
    # S alone was made larger: neither P nor the noise tells.
    assert parts["S and coda"] > 0.8 > parts["P"] and parts["noise"] < 0.8
    summary = summary_table(result)
    assert summary.classifier.tolist() == ["features, logistic"] and summary.synthetic.tolist() == [16]
    page = write_page(result, tmp_path / "realism.html")
    numbers = json.loads(page.with_suffix(".json").read_text())
    assert numbers["tables"][0]["rows"][0]["AUC"] == pytest.approx(result.separation.auc)
    assert len(numbers["numbers"]["score"]) == 32
    assert page.read_text().count("<img") == 3


def test_nothing_to_compare_is_an_error_with_the_reason(record_of):
    with pytest.raises(ValueError, match=r"no synthetic record can be compared: 1 skipped, .* has 0.10 s"):
        compare([record_of(0)], [record_of(1, separation_s=0.1)], RealismConfig())


def test_twelve_records_show_no_names(record_of):
    figure = twelve_figure(excerpts_of(record_of, range(11)))
    axes = figure.axes
    assert [axis.get_title(loc="left") for axis in axes[:11]] == [str(i) for i in range(1, 12)]
    assert not axes[11].get_visible()
    words = {text.get_text() for axis in axes[:11] for text in axis.get_yticklabels()}
    assert words == {"Z", "N", "E"}
    assert all(np.abs(line.get_ydata()).max() <= 1.4 * 2 + 1 for axis in axes for line in axis.lines)


@pytest.mark.slow
@pytest.mark.skipif(not NCEDC.is_dir(), reason=f"no {NCEDC}: set SEISFM_DATA to the real data")
def test_the_example_writes_a_page_with_six_synthetic_records_folded_away(tmp_path):
    page = tmp_path / "twelve.html"
    command = [sys.executable, str(ROOT / "examples" / "twelve_records.py"), "--real", str(NCEDC)]
    subprocess.run([*command, "--out", str(page), "--events", "30"], check=True, capture_output=True)
    answer = re.search(r"<details>.*?Synthetic: ([\d, ]+)\.</p></details>", page.read_text())
    assert answer is not None and len(answer.group(1).split(",")) == 6
