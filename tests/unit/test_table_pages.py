"""The page of a table: what is bold, what is marked simulated, what is told, and that names cannot
break it.
"""

from html.parser import HTMLParser

import polars as pl
import pytest
from examples import default_config, given_for
from skipwise.core.registry import find, names
from skipwise.ranking.metrics import METRICS
from skipwise.report import columns, variants
from skipwise.report.columns import describe
from skipwise.report.page.page import write_page
from skipwise.report.write import SIMULATED


class Page(HTMLParser):
    """The parsed page: every tag with its attributes, and the cells of the table of rows."""

    def __init__(self, text: str):
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.cells: list[list[str]] = []  # of the body
        self.bold: list[tuple[int, int]] = []  # (row, column)
        self.text = text
        self._open: list[str] = []
        self._in_rows = False
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self._open.append(tag)
        if tag == "table":
            self._in_rows = dict(attributes).get("id") == "rows"
        if self._in_rows and "tbody" in self._open:
            if tag == "tr":
                self.cells.append([])
            elif tag in ("th", "td"):
                self.cells[-1].append("")
            elif tag == "b":
                self.bold.append((len(self.cells) - 1, len(self.cells[-1]) - 1))

    def handle_endtag(self, tag):
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data):
        if self._in_rows and "tbody" in self._open and {"th", "td"} & set(self._open):
            self.cells[-1][-1] += data

    def all(self, tag: str) -> list[dict]:
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def head(self) -> list[str]:
        return [th["data-column"] for th in self.all("th") if "data-column" in th]

    def marked(self, column: str) -> list[int]:
        """The rows in which the column is bold."""
        return [row for row, at in self.bold if at == self.head.index(column)]


def page(tmp_path, rows: list[dict], **settings) -> Page:
    path = tmp_path / "page.html"
    warning = SIMULATED if any(row["data"] == "simulated" for row in rows) else ""
    settings = {"title": "A table", "note": "How to read it.", "warning": warning} | settings
    write_page(pl.DataFrame(rows, infer_schema_length=None), path, **settings)
    return Page(path.read_text(encoding="utf-8"))


def row(model="sasrec", hr=0.5, **changed) -> dict:
    keys = {
        "dataset": "mssd",
        "data": "real",
        "split": "paper",
        "model": model,
        "variant": "orig",
        "candidates": "full",
    }
    numbers = {
        "sessions": 1986,
        "seeds": "1 2",
        "hr_10": hr,
        "hr_10_low": hr and hr - 0.01,
        "hr_10_high": hr and hr + 0.01,
    }
    return keys | numbers | changed


def compared(model="sasrec", metric="hr_10", value=0.5, orig=0.4, **changed) -> dict:
    numbers = {
        "reference": "orig",
        "reference_value": orig,
        "value": value,
        "difference": value - orig,
        "relative_change": value / orig - 1,
        "p": 0.00001,
    }
    keys = {
        "dataset": "mssd",
        "data": "real",
        "split": "paper",
        "candidates": "full",
        "model": model,
        "variant": "bl",
    }
    return keys | {"metric": metric} | numbers | changed


def columns_of_tables() -> dict[str, set[str]]:
    """The columns of every table; metrics are those of the default configuration."""
    given = given_for({}, {}, default_config())
    found = {}
    for name in names("table"):
        table = find("table", name)
        artifact = table.columns(given) if hasattr(table, "columns") else table.COLUMNS
        found[name] = set(artifact.schema.names)
    return found


class TestBest:
    def test_the_highest_is_bold_within_data_set_split_and_candidates(self, tmp_path):
        rows = [
            *(row("a", 0.5), row("b", 0.6)),
            *(row("a", 0.9, candidates="sampled"), row("b", 0.8, candidates="sampled")),
            *(row("a", 0.1, dataset="yambda"), row("b", 0.2, dataset="yambda")),
            *(row("a", 0.4, split="temporal"), row("b", 0.3, split="temporal")),
        ]
        assert page(tmp_path, rows).marked("hr_10") == [1, 2, 5, 6]

    def test_values_that_print_alike_are_both_bold(self, tmp_path):
        rows = [row("a", 0.50001), row("b", 0.50002), row("c", 0.4999)]
        assert page(tmp_path, rows).marked("hr_10") == [0, 1]

    def test_a_row_without_another_to_compare_is_not_bold(self, tmp_path):
        found = page(tmp_path, [row("a", 0.5), row("a", 0.6, candidates="sampled")])
        assert found.bold == []
        assert "Bold:" not in found.text
        assert "Bold:" in page(tmp_path, [row("a", 0.5), row("b", 0.6)]).text

    def test_missing_values_are_neither_bold_nor_in_the_way(self, tmp_path):
        found = page(tmp_path, [row("a", None), row("b", 0.1), row("c", 0.3)])
        assert found.marked("hr_10") == [2]
        assert found.cells[0][found.head.index("hr_10")] == "–"

    def test_a_new_metric_is_marked_like_the_others(self, tmp_path, monkeypatch):
        monkeypatch.setitem(METRICS, "f1", METRICS["hr"])
        rows = [
            row(name, 0.5) | {"f1_5": f1, "f1_5_low": 0.0, "f1_5_high": 3.0}
            for name, f1 in (("a", 1), ("b", 2))
        ]
        assert page(tmp_path, rows).marked("f1_5") == [1]

    def test_of_metrics_of_skips_the_lowest_is_best(self, tmp_path):
        rows = [
            *(compared("a", "mrr_skipped_10", 0.3, 0.4), compared("b", "mrr_skipped_10", 0.5, 0.4)),
            *(compared("a", "hr_10", 0.3, 0.4), compared("b", "hr_10", 0.5, 0.4)),
            *(compared("a", "delta_hr_10", 0.3, 0.4), compared("b", "delta_hr_10", 0.5, 0.4)),
        ]
        found = page(tmp_path, rows)
        for column in ("value", "difference"):
            assert found.marked(column) == [0, 3, 5], column
        assert found.marked("relative_change") == [0, 3]  # a delta of orig may be negative
        assert found.marked("reference_value") == [0, 1, 2, 3, 4, 5]
        metric = found.head.index("metric")
        assert [cells[metric] for cells in found.cells[::2]] == [
            "MRR@10 of skips ↓",
            "HR@10 ↑",
            "Δ HR@10 ↑",
        ]
        assert not [at for at in found.bold if at[1] == found.head.index("p")]

    def test_the_paper_is_compared_with_itself_whatever_data_stand_beside(self, tmp_path):
        keys = {
            "table": "recsys24",
            "form": "mssd",
            "metric": "hr_10",
            "variant": "ours",
            "data": "real",
            "split": "paper",
        }
        rows = [
            keys | {"model": "a", "paper": 0.7, "dataset": "mssd", "ours_full": 0.1},
            keys | {"model": "b", "paper": 0.6, "dataset": None, "ours_full": None},
            keys | {"model": "c", "paper": 0.5, "dataset": "mssd", "ours_full": 0.2},
        ]
        found = page(tmp_path, rows)
        assert found.marked("paper") == [0]
        assert found.marked("ours_full") == [2]


class TestWhatItTells:
    def test_the_banner_stands_only_where_data_are_simulated(self, tmp_path):
        real, made_up = row("a"), row("b", dataset="mssd-sim", data="simulated")
        assert "imulated" not in page(tmp_path, [real]).text
        for rows in ([made_up], [real, made_up]):
            found = page(tmp_path, rows)
            assert found.text.count(SIMULATED) == 1
            assert "Data sets: mssd-sim." in found.text
            assert {"class": "warning", "role": "note"} in found.all("p")

    def test_source_seeds_candidates_and_intervals_stand_above(self, tmp_path):
        text = page(
            tmp_path, [row("a"), row("b", dataset="x", data="simulated", seeds="1")], level=0.9
        ).text
        for name, value in (
            ("Data", "mssd (real), x (simulated)"),
            ("Seeds", "1 2 or 1"),
            ("Candidates", "full"),
            ("Sessions", "1,986"),
            ("Intervals", "90 % over sessions and seeds, in [brackets]"),
        ):
            assert f"<dt>{name}</dt><dd>{value}</dd>" in text
        assert "Intervals" not in page(tmp_path, [row("a")]).text

    def test_columns_in_which_rows_differ_stay_and_the_others_stand_above(self, tmp_path):
        assert page(tmp_path, [row("a"), row("b")]).head == ["model", "hr_10"]
        head = page(tmp_path, [row("a"), row("b", seeds="1", dataset="x", data="simulated")]).head
        assert head == ["model", "dataset", "data", "hr_10", "seeds"]

    def test_values_stand_with_their_intervals_and_units(self, tmp_path):
        rows = [
            compared(
                difference=-0.0125,
                difference_low=-0.02,
                difference_high=0.001,
                relative_change=-0.05,
            )
        ]
        found = page(tmp_path, [*rows, compared("b", share_low=0.25, share_high=1.0)])
        cells = dict(zip(found.head, found.cells[0], strict=True))
        assert cells["model"] == "sasrec bl"
        assert cells["difference"] == "−0.0125 [−0.0200, +0.0010]"
        assert cells["relative_change"] == "−5.0 %"
        assert cells["p"] == "< 0.0001"
        assert cells["share"] == "–"
        assert dict(zip(found.head, found.cells[1], strict=True))["share"] == "25.0 % to 100.0 %"

    def test_every_column_of_every_table_is_explained(self):
        for table, its in columns_of_tables().items():
            own = getattr(find("table", table), "EXPLAINS", {})
            for column in its - {"papers_say", "note"}:
                named = column.removesuffix("_low").removesuffix("_high")
                assert named in own or describe(named).meaning, (table, column)
        with pytest.raises(KeyError, match="does not explain the column colour"):
            describe("colour")

    def test_no_column_is_explained_that_no_table_has(self):
        known = set().union(*columns_of_tables().values())
        known |= {column.removesuffix("_low") for column in known}
        assert columns.COLUMNS.keys() <= known

    def test_findings_come_claim_by_claim_first(self, tmp_path):
        keys = {
            "claim": "helps",
            "papers_say": "The term helps (P1).",
            "data": "real",
            "settings": "as printed",
            "reason": "",
            "note": "",
            "measured": "HR@10",
        }
        single = keys | {"dataset": "mssd", "model": "sasrec", "variant": "bl", "estimate": 0.1}
        rows = [
            keys | {"verdict": "does not hold"},
            *(
                single | {"verdict": verdict}
                for verdict in ("holds", "does not hold", "cannot be told", "does not hold")
            ),
            keys
            | {
                "claim": "order",
                "papers_say": "A is best.",
                "data": None,
                "settings": None,
                "verdict": "cannot be told",
                "reason": "No A here.",
            },
        ]
        found = page(tmp_path, rows)
        overview, listed = found.text.split("<!-- overview -->")[1].split(
            "<!-- end of overview -->"
        )
        assert "models as printed" in overview
        assert "holds in 1, does not in 2, cannot be told in 1" in overview
        assert "✗ does not hold" in overview
        assert "No A here." in overview
        assert "The term helps (P1)." not in listed
        assert [cells[0] for cells in found.cells] == ["helps"] * 4

    def test_an_empty_table_says_so(self, tmp_path):
        path = tmp_path / "page.html"
        write_page(
            pl.DataFrame(variants.comparison_columns().schema.empty_table()),
            path,
            title="Empty",
            note="",
            warning="",
        )
        text = path.read_text(encoding="utf-8")
        assert "This run has no row for this table." in text
        assert "<script" not in text


class TestTheFile:
    def test_names_are_escaped_everywhere(self, tmp_path):
        evil = '<script>alert("1")</script>"\'&'
        rows = [
            row(evil, dataset=evil, variant=evil, data="simulated"),
            row("b", dataset="other", seeds=evil),
        ]
        found = page(tmp_path, rows, title=evil, note=evil)
        assert len(found.all("script")) == 1  # its own
        assert found.cells[0][0] == f"{evil} {evil}"
        assert evil not in found.text
        assert found.all("tr")[1]["data-model"] == evil

    def test_headings_are_buttons_and_the_search_has_a_label(self, tmp_path):
        found = page(tmp_path, [row("a"), row("b")])
        heads = [th for th in found.all("th") if th.get("scope") == "col"]
        assert heads
        assert all(th["aria-sort"] == "none" for th in heads)
        assert len(found.all("button")) == len(heads) + 1
        assert [th["scope"] for th in found.all("th")][len(heads) :] == ["row", "row"]
        assert "<label>Search: rows with all these words<input" in found.text
        assert {
            "class": "scroll",
            "role": "region",
            "aria-label": "A table, table",
            "tabindex": "0",
        } in found.all("div")
        assert {"lang": "en"} in found.all("html")

    def test_numbers_sort_by_all_their_digits(self, tmp_path):
        found = page(tmp_path, [row("a", 0.123456), row("b", None)])
        cells = [td for td in found.all("td") if td.get("class") == "number"]
        assert cells[0]["data-key"] == "0.123456"
        assert "data-key" not in cells[1]

    def test_nothing_is_loaded_from_elsewhere(self, tmp_path):
        found = page(tmp_path, [row("a"), row("b")])
        assert not [
            attributes for _, attributes in found.tags if attributes.keys() & {"src", "href"}
        ]
        assert "url(" not in found.text
        assert "://" not in found.text

    def test_the_same_rows_give_the_same_bytes(self, tmp_path):
        rows = [row(name, hr) for name, hr in (("a", 0.1), ("b", 0.2))]
        assert page(tmp_path, rows).text == page(tmp_path, rows).text
