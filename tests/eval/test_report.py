import json
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from seisfm.eval.figures import map_figure, new_figure, window_figure
from seisfm.eval.report import Report, format_cell, plain

VOID = {"meta", "img", "br", "hr", "link", "input"}


class Balance(HTMLParser):
    """Checks that each tag that opens also closes, in order, and keeps the text."""

    def __init__(self):
        super().__init__()
        self.open, self.text, self.seen = [], [], []

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def example() -> Report:
    report = Report("Picks & <scores>")
    for name in ("Scores", "Waveforms", "Skipped"):
        report.section(name)
        report.text(f"About {name}: 3 < 5 & done.\n\nA second paragraph.")
    table = pd.DataFrame(
        {
            "picker": ["model", "<script>alert(1)</script>"],
            "f1": [0.912345, np.nan],
            "count": [12, 3],
            "time": [pd.Timestamp("2018-12-30T03:00:01.234567Z"), pd.NaT],
        }
    )
    report.table(table, "F1 by picker")
    rng = np.random.default_rng(0)
    report.figure(
        window_figure(rng.normal(size=(3, 500)), "ZNE", 100.0, picks_s={"P": [1.0], "S": [2.5]}),
        "One window", "Three components with a P and an S pick",
    )  # fmt: skip
    report.numbers(f1=np.float32(0.5), missing=float("nan"))
    return report


def test_the_page_is_whole_self_contained_and_escaped(tmp_path):
    page = example().write(tmp_path / "sub" / "report.html").read_text()
    parser = Balance()
    parser.feed(page)
    assert page.startswith("<!DOCTYPE html>")
    assert parser.open == []
    assert ("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}) in parser.seen
    assert not re.search(r"""(src|href)=["'](?!data:|#)""", page)
    assert "url(" not in page and "@import" not in page
    assert "script" not in {tag for tag, _ in parser.seen}
    assert "<script>alert(1)</script>" in "".join(parser.text)
    assert all(attrs.get("alt") for tag, attrs in parser.seen if tag == "img")
    ids = [attrs["id"] for _, attrs in parser.seen if "id" in attrs]
    links = [attrs["href"][1:] for tag, attrs in parser.seen if tag == "a"]
    assert len(set(ids)) == len(ids) == 3 and links == ids
    assert "prefers-color-scheme: dark" in page and "overflow-x: auto" in page


def test_numbers_lie_beside_it_as_strict_json(tmp_path):
    example().write(tmp_path / "report.html")
    numbers = json.loads((tmp_path / "report.json").read_text(), parse_constant=pytest.fail)
    assert numbers["numbers"] == {"f1": 0.5, "missing": None}
    rows = numbers["tables"][0]["rows"]
    assert rows[0]["f1"] == 0.912345 and rows[1]["f1"] is None and rows[1]["time"] is None
    assert rows[0]["time"].startswith("2018-12-30T03:00:01.234567")


def test_the_same_report_is_the_same_file_and_leaves_nothing_else_behind(tmp_path):
    first = example().write(tmp_path / "a.html").read_bytes()
    assert example().write(tmp_path / "a.html").read_bytes() == first
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.html", "a.json"]


def test_a_heavy_figure_becomes_a_png(tmp_path):
    figure, (axes,) = new_figure(4.0)
    rng = np.random.default_rng(0)
    axes.scatter(*rng.normal(size=(2, 20_000)))
    report = Report("heavy")
    report.figure(figure, "Many points", "A cloud of points")
    page = report.write(tmp_path / "heavy.html").read_text()
    assert "data:image/png;base64," in page and len(page) < 1_000_000


def test_a_map_without_events_is_still_a_map(tmp_path):
    report = Report("empty")
    report.figure(map_figure(np.zeros((2, 2)), np.zeros((0, 2)), np.zeros(0)), "Map", "Two stations")
    report.table(pd.DataFrame({"event": []}), "No events")
    assert "No events" in report.write(tmp_path / "empty.html").read_text()


def test_an_answer_is_folded_away_and_escaped(tmp_path):
    report = Report("x")
    report.folded("The answer", "1 < 2")
    page = report.write(tmp_path / "x.html").read_text()
    assert "<details><summary>The answer</summary><p>1 &lt; 2</p></details>" in page


def test_what_a_report_refuses(tmp_path):
    report = Report("x")
    with pytest.raises(ValueError, match="alt text"):
        report.figure(new_figure(2.0)[0], "caption", " ")
    with pytest.raises(ValueError, match=r"\.html file"):
        report.write(tmp_path / "report.pdf")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.123456, "0.1235"),
        (12345.6, "12346"),
        (float("nan"), "–"),
        (None, "–"),
        (True, "yes"),
        (np.int64(7), "7"),
        (pd.Timestamp("2020-01-02T03:04:05.678Z"), "2020-01-02 03:04:05.67"),
    ],
)
def test_cells(value, text):
    assert format_cell(value) == text


def test_plain_takes_what_results_hold():
    assert plain({"a": np.array([1.0, np.inf]), "b": (frozenset({"P"}), np.bool_(True))}) == {
        "a": [1.0, None],
        "b": [["P"], True],
    }
