"""Tables in LaTeX, for the packages caption and booktabs."""

import re

import polars as pl

from skipwise.report.wide import Wide

_LATEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
_LATEX |= {"<": r"\textless{}", ">": r"\textgreater{}"}


def rows_in_latex(frame: pl.DataFrame, title: str, warning: str, note: str) -> str:
    """The rows of a csv: intervals behind their value, numbers to the right."""
    return _table(title, warning, note, _tabular(frame))


def wide_in_latex(table: Wide, title: str, warning: str) -> str:
    """A table in the layout of the papers, which also needs the package xcolor."""
    return _table(f"{title}: {table.heading}", warning, table.note, _wide_tabular(table))


def _table(title: str, warning: str, note: str, tabular: list[str]) -> str:
    head = rf"{{\large {_escaped(title)}}}"
    return "\n".join(
        [
            r"\begin{table}[!t]",
            r"\caption*{",
            rf"{head} \\" + f"\n{{\\small {_escaped(warning)}}}" if warning else head,
            "} ",
            "",
            *tabular,
            r"\begin{minipage}{\linewidth}",
            _escaped(note).replace("'", r"\textquotesingle{}") + r"\\",
            r"\end{minipage}",
            r"\end{table}",
            "",
        ]
    )


def _tabular(frame: pl.DataFrame) -> list[str]:
    shown = _with_intervals(frame)
    sides = "".join(
        "r" if kind.is_integer() else "c" if kind == pl.Boolean else "l"
        for kind in shown.schema.values()
    )
    rows = [["–" if cell is None else str(cell) for cell in row] for row in shown.iter_rows()]
    return [
        r"\fontsize{12.0pt}{14.4pt}\selectfont",
        "",
        rf"\begin{{tabular*}}{{\linewidth}}{{@{{\extracolsep{{\fill}}}}{sides}}}",
        r"\toprule",
        " & ".join(map(_escaped, shown.columns)) + r" \\ ",
        r"\midrule\addlinespace[2.5pt]",
        *(" & ".join(map(_escaped, row)) + r" \\" for row in rows),
        r"\bottomrule",
        r"\end{tabular*}",
    ]


def _wide_tabular(table: Wide) -> list[str]:
    """Per data set and metric one line with the values, one with the differences, and one in grey
    with what the paper prints.
    """
    names = [name for of_model in table.models.values() for name in of_model]
    above, under = ["", ""], []
    for start, (model, of_model) in zip(table.starts, table.models.items(), strict=True):
        above.append(rf"\multicolumn{{{len(of_model)}}}{{c}}{{{_escaped(model)}}}")
        under.append(rf"\cmidrule(lr){{{start + 3}-{start + len(of_model) + 2}}}")
    lines = []
    for dataset, metric, cells in table.rows:
        name, k = metric.rsplit("_", 1)
        values = ["–" if cell is None else f"{cell.value:.4f}" for cell in cells]
        lines.append([_escaped(dataset), f"{name.upper()}@{k}", *values])
        changes = [
            f"${cell.difference:+.4f}${cell.star}" if cell and cell.difference is not None else ""
            for cell in cells
        ]
        lines.append(["", "change", *changes])
        printed = [(cell and cell.printed) or "" for cell in cells]
        if any(printed):
            grey = [rf"\textcolor{{gray}}{{{text}}}" if text else "" for text in printed]
            lines.append(["", r"\textcolor{gray}{paper}", *grey])
    return [
        r"\small",
        rf"\begin{{tabular}}{{ll{'r' * len(names)}}}",
        r"\toprule",
        " & ".join(above) + r" \\",
        "".join(under),
        " & ".join(map(_escaped, ["data set", "metric", *names])) + r" \\",
        r"\midrule",
        *(" & ".join(line) + r" \\" for line in lines),
        r"\bottomrule",
        r"\end{tabular}",
    ]


def _escaped(text: str) -> str:
    return re.sub(r"[\\&%$#_{}~^<>]", lambda mark: _LATEX.get(mark[0], "\\" + mark[0]), text)


def _with_intervals(frame: pl.DataFrame) -> pl.DataFrame:
    """For reading: ``x [x_low, x_high]`` in one column, numbers with four decimals."""
    columns = []
    for name in frame.columns:
        if name.endswith(("_low", "_high")) and name.rsplit("_", 1)[0] in frame.columns:
            continue
        column = pl.col(name)
        if f"{name}_low" in frame.columns:
            parts = [_decimals(pl.col(f"{name}{end}")) for end in ("", "_low", "_high")]
            column = pl.format("{} [{}, {}]", *parts).alias(name)
        elif frame.schema[name].is_float():
            column = _decimals(column)
        columns.append(column)
    return frame.select(columns)


def _decimals(column: pl.Expr) -> pl.Expr:
    return column.round(4).map_elements(lambda value: f"{value:.4f}", return_dtype=pl.String)
