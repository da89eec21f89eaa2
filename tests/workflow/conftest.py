"""Copies of the project in empty folders, and Snakemake as a user calls it."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from examples import ROOT
from filelock import FileLock

TINY = "tests/workflow/tiny.yaml"


class Project:
    """A copy of the project in which Snakemake can run."""

    def __init__(self, folder: Path):
        self.folder = folder
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        for name in filter(None, listed.stdout.split("\0")):
            if (ROOT / name).is_file():
                target = folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, target)

    @classmethod
    def at(cls, folder: Path) -> "Project":
        """The copy that is already in ``folder``."""
        project = object.__new__(cls)
        project.folder = folder
        return project

    def __truediv__(self, path: str) -> Path:
        return self.folder / path

    def snakemake(
        self, *arguments: str, cores: int = 1, configs: tuple[str, ...] = (TINY,)
    ) -> subprocess.CompletedProcess:
        """Run Snakemake with the default configuration and overlays; output and errors come back
        together in ``stdout``.
        """
        overlay = ["--configfile", *configs] if configs else []
        return subprocess.run(
            [sys.executable, "-m", "snakemake", *arguments, "--cores", str(cores), *overlay],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            env=os.environ | {"NO_COLOR": "1"},
        )

    def made(self, *arguments: str, **options) -> str:
        """Run Snakemake, which must succeed; gives what it printed."""
        done = self.snakemake(*arguments, **options)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def planned(self, *configs: str, target: str = "all") -> list[str]:
        """The messages of the jobs that a dry run would start."""
        printed = self.made("--dry-run", target, configs=(TINY, *configs))
        return re.findall(r"^Job \d+: (.*)$", printed, re.MULTILINE)

    def overlay(self, name: str, text: str) -> str:
        """Write a configuration overlay and give its path."""
        (self.folder / name).write_text(text, encoding="utf-8")
        return name

    def results(self) -> dict[str, bytes]:
        """Bytes of every table and figure."""
        folders = (self.folder / "results" / name for name in ("tables", "figures"))
        return {
            path.name: path.read_bytes() for folder in folders for path in sorted(folder.iterdir())
        }


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Project:
    """The tiny run, made on two cores from empty ``resources`` and ``results``.  Tests must not
    change its results.

    Of several processes that run the tests, the first makes it and the others wait.
    """
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    done = shared / "finished.done"
    with FileLock(shared / "finished.lock"):
        if not done.exists():
            shutil.rmtree(shared / "finished", ignore_errors=True)
            project = Project(shared / "finished")
            assert not (project / "results").exists()
            assert not (project / "resources/raw").exists()
            project.made(cores=2)
            done.touch()
    return Project.at(shared / "finished")


@pytest.fixture
def project(tmp_path) -> Project:
    """A fresh copy of the project without results."""
    return Project(tmp_path)


@pytest.fixture
def copy(finished, tmp_path) -> Project:
    """A copy of the finished run, in which everything may be changed."""
    no_locks = shutil.ignore_patterns("locks")
    shutil.copytree(finished.folder, tmp_path / "copy", symlinks=True, ignore=no_locks)
    return Project.at(tmp_path / "copy")


@pytest.fixture(scope="session")
def installed(tmp_path_factory) -> Path:
    """A folder with nothing but what the wheel installs."""
    project = Project(tmp_path_factory.mktemp("source"))
    target = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    build = [*pip, "wheel", ".", "--no-deps", "--no-build-isolation", "--wheel-dir", "wheels"]
    subprocess.run(build, cwd=project.folder, check=True)
    [wheel] = (project / "wheels").glob("*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--target", target, wheel], check=True)
    return target


def run_installed(installed, folder, *command: str) -> subprocess.CompletedProcess:
    """Run in ``folder`` with the wheel on the path, and the project's own files not."""
    return subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(installed)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
