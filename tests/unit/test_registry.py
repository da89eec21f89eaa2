"""A thing is found by the name of its file; paths have one grammar."""

import ast
from pathlib import Path

import pytest
from examples import ROOT
from skipwise.core import imports, paths, registry
from skipwise.core.errors import UserError


class TestRegistry:
    @pytest.mark.parametrize("kind", registry.KINDS)
    def test_each_file_of_a_folder_is_a_thing(self, kind):
        folder, suffix, _ = registry.KINDS[kind]
        files = {*(registry.LIBRARY / folder).glob(f"*{suffix}")}
        files -= {registry.LIBRARY / folder / "__init__.py"}
        assert {registry.file(kind, name) for name in registry.names(kind)} == files != set()

    def test_an_unknown_name_is_one_line_with_the_known_ones(self):
        with pytest.raises(
            UserError, match="unknown model 'sarsec'; the models are bert4rec, .*sasrec"
        ):
            registry.find_model("sarsec")

    def test_models_and_ways_are_spelled_with_hyphens(self):
        assert "session-knn" in registry.names("model")
        assert registry.file("model", "session-knn").name == "session_knn.py"
        with pytest.raises(UserError):
            registry.file("model", "session_knn")

    def test_literals_are_read_without_importing(self, tmp_path, monkeypatch):
        source = (
            '"""A caption."""\n\nimport absent\n\nNEEDS = ("ranks",)\nCOLUMNS = absent.columns()\n'
        )
        (tmp_path / "mine.py").write_text(source, encoding="utf-8")
        monkeypatch.setitem(registry.KINDS, "table", registry.Kind(str(tmp_path)))
        assert registry.declared("table", "mine") == {"caption": "A caption.", "NEEDS": ("ranks",)}

    def test_the_parameters_of_sql_are_its_placeholders_outside_comments(
        self, tmp_path, monkeypatch
    ):
        (tmp_path / "mine.sql").write_text(
            "-- less than $half\nselect $share + $share as x", "utf-8"
        )
        monkeypatch.setitem(registry.KINDS, "split", registry.Kind(str(tmp_path), ".sql"))
        assert registry.parameters("split", "mine") == {"share"}

    def test_a_metric_may_have_a_digit_in_its_name(self, tmp_path, monkeypatch):
        (tmp_path / "ranking").mkdir()
        (tmp_path / "ranking/metrics.py").write_text(
            '@metric("f1")\ndef f1(rank, k): ...\n', "utf-8"
        )
        monkeypatch.setattr(registry, "LIBRARY", tmp_path)
        assert registry.metrics.__wrapped__() == ["f1"]


KEYS = {"dataset": "a", "split": "paper", "model": "m", "variant": "v", "seed": 1}


class TestPaths:
    def test_keys_come_back_from_every_path(self):
        path = paths.result("ranks", "results", **KEYS)
        run = "dataset=a/split=paper/model=m/variant=v/seed=1"
        assert path == Path("results/ranks", run, "ranks.parquet")
        assert paths.hive_keys(path) == {name: str(value) for name, value in KEYS.items()}

    def test_another_artifact_is_found_from_a_path_with_keys(self, tmp_path):
        ranks = paths.result("ranks", tmp_path, **KEYS)
        assert paths.beside(ranks, "metrics") == paths.result("metrics", tmp_path, **KEYS)
        assert paths.beside(tmp_path / "x.parquet", "metrics") is None

    def test_found_lists_what_is_there(self, tmp_path):
        for dataset in ("b", "a"):
            path = paths.result("stats", tmp_path, dataset=dataset)
            path.parent.mkdir(parents=True)
            path.touch()
        listed = [paths.hive_keys(path)["dataset"] for path in paths.found("stats", tmp_path)]
        assert listed == ["a", "b"]
        assert len(paths.found("stats", tmp_path, dataset="b")) == 1

    def test_the_grammar_is_written_nowhere_else(self):
        """Keys in braces or with stars are written in core/paths.py only."""
        grammar = {f"{key}={mark}" for key in KEYS for mark in ("{", "*")}
        sources = [*registry.LIBRARY.rglob("*.py"), *(ROOT / "workflow/rules").glob("*.smk")]
        texts = {path.name: path.read_text(encoding="utf-8") for path in sources}
        written = [name for name, text in texts.items() if any(part in text for part in grammar)]
        assert written == ["paths.py"]


class TestImports:
    @pytest.fixture
    def library(self, tmp_path, monkeypatch):
        """A library of a few modules: a imports b in a function and c for type checkers only."""
        monkeypatch.setattr(imports, "LIBRARY", tmp_path)
        a = (
            "from typing import TYPE_CHECKING\n\n"
            "if TYPE_CHECKING:\n    import skipwise.room.c\n\n\n"
            "def f(steps):\n    from skipwise.room import b\n\n"
            "    steps.table('t', 'cut')\n    b.read('page.html')\n"
        )
        files = {
            "room/a.py": a,
            "room/b.py": "from skipwise.core.d import x\n",
            "room/c.py": "",
            "room/page.html": "",
            "room/__init__.py": "",
            "core/d.py": "import skipwise.room.c\n",
            "sessions/sql/cut.sql": "",
        }
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text, encoding="utf-8")
        return tmp_path

    def test_the_closure_has_imports_statements_and_templates_but_not_core(self, library):
        found = {str(path.relative_to(library)) for path in imports.closure(library / "room/a.py")}
        # c is reached through core, which itself is left out.
        assert found == {
            *("room/__init__.py", "room/a.py", "room/b.py", "room/c.py", "room/page.html"),
            "sessions/sql/cut.sql",
        }

    def test_every_statement_that_a_step_names_exists(self):
        """A name that no file has would silently be left out of the inputs of its rule."""
        named = {
            node.args[-1].value
            for path in registry.LIBRARY.rglob("*.py")
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and ast.unparse(node.func) in ("steps.table", "steps.query", "steps.row")
            and isinstance(node.args[-1], ast.Constant)
        }
        sql = registry.LIBRARY / "sessions/sql"
        assert named
        assert {name for name in named if not (sql / f"{name}.sql").is_file()} == set()
