"""From the files that people have to a table: a Spotify history in two commands, and open data,
served by this machine, in one.
"""

import hashlib
import http.server
import io
import os
import re
import subprocess
import sys
import tarfile
import threading
from datetime import timedelta

import numpy as np
import polars as pl
import pytest
import yaml
from conftest import TINY
from exports import START, array, stream, zipped

# Only what is fast to train: the way from the file to the table is what counts here.
FEW = "models: [popularity, markov]\n"
TABLE = "results/tables/hr_ndcg.csv"


def history(*, is_old: bool = False) -> list[dict]:
    """A person's streams: 60 sessions of twelve plays, an hour between two sessions."""
    rows = []
    for at in range(720):
        ended = START + timedelta(seconds=200 * at + 3600 * (at // 12))
        track = f"spotify:track:{(at * at) % 40}"
        changed = {"ts": f"{ended:%Y-%m-%dT%H:%M:%SZ}", "spotify_track_uri": track}
        rows.append(stream(at, is_old=is_old, **changed))
    return rows


def delivered(folder, layout: str) -> list[str]:
    """The names of the files of one layout of the export, made in a folder."""
    if layout == "zip":
        inside = "Spotify Extended Streaming History/"
        half = [array(history()[:360]), array(history()[360:])]
        members = {f"{inside}Streaming_History_Audio_{at}.json": half[at] for at in range(2)}
        zipped(folder / "my_spotify_data.zip", members | {f"{inside}ReadMe.pdf": b"%PDF"})
        return ["my_spotify_data.zip"]
    rows = history(is_old=layout == "endsong")
    names = [f"{layout}_{at}.json" for at in range(2)]
    for name, part in zip(names, (rows[:360], rows[360:]), strict=True):
        (folder / name).write_text(array(part), encoding="utf-8")
    return names


def made_from_history(project, layout: str, target: str) -> None:
    """Make a target in the two commands: what ``preview`` says of the files is the overlay."""
    files = delivered(project.folder, layout)
    preview = subprocess.run(
        [sys.executable, "-m", "skipwise", "preview", *files],
        cwd=project.folder,
        env=os.environ | {"PYTHONPATH": str(project / "workflow/scripts")},
        capture_output=True,
        text=True,
        check=True,
    )
    overlay = project.overlay("mine.yaml", preview.stdout)
    project.made(target, configs=(TINY, project.overlay("few.yaml", FEW), overlay))


def test_a_spotify_history_in_two_commands(project):
    made_from_history(project, "zip", TABLE)
    table = pl.read_csv(project / TABLE)
    assert set(table["dataset"]) == {"spotify"}
    assert set(table["model"]) == {"popularity", "markov"}
    assert table["hr_10"].is_between(0, 1).all()


@pytest.mark.parametrize("layout", ["Streaming_History_Audio_2021", "endsong"])
def test_every_layout_of_a_spotify_history_has_its_sessions(project, layout):
    sessions = "results/sessions/dataset=spotify/sessions.parquet"
    made_from_history(project, layout, sessions)
    found = pl.read_parquet(project / sessions, hive_partitioning=False)
    assert found["session_id"].n_unique() == 60
    assert found.height == 720


def made_up(folder) -> dict[str, dict]:
    """The files of config/open.yaml, small, by data set: the keys of ``files`` besides urls."""
    rng = np.random.default_rng(1)
    n, starts = 6000, np.arange(6000) * 100 + 4000 * (np.arange(6000) // 15)
    users, tracks = np.arange(n) // 300, (60 * rng.random(n) ** 2).astype(int)
    films = "".join(
        f"{user + 1}\t{track + 1}\t{rating}\t{880_000_000 + at}\n"
        for user, track, rating, at in zip(
            users, tracks, rng.integers(1, 6, n), starts, strict=True
        )
    )
    zipped(folder / "ml-100k.zip", {"ml-100k/README": "x", "ml-100k/u.data": films})
    seconds = pl.Series(1_200_000_000 + starts + rng.integers(0, 90, n))
    times = pl.from_epoch(seconds).dt.to_string("iso:strict")
    scrobbles = "\n".join(
        f"user_{user:06}\t{time[:19]}Z\t\tAn artist\t\tTrack {track}"
        for user, track, time in zip(users, tracks, times, strict=True)
    )
    text = "\n".join(reversed(scrobbles.split("\n"))).encode() + b"\n"
    name = "userid-timestamp-artid-artname-traid-traname.tsv"
    with tarfile.open(folder / "lastfm-dataset-1K.tar.gz", "w:gz") as archive:
        member = tarfile.TarInfo(f"lastfm-dataset-1K/{name}")
        member.size = len(text)
        archive.addfile(member, io.BytesIO(text))
    columns = {"uid": users * 100, "timestamp": starts // 5 * 5, "item_id": tracks}
    columns |= {"is_organic": rng.integers(0, 2, n), "played_ratio_pct": rng.integers(0, 101, n)}
    listens = pl.DataFrame(columns | {"track_length_seconds": 180})
    listens.cast(pl.UInt32).write_parquet(folder / "listens.parquet")
    files = {"ml100k": "ml-100k.zip", "lfm1k": "lastfm-dataset-1K.tar.gz"}
    files["yambda"] = "listens.parquet"
    made = {}
    for dataset, file in files.items():
        digest = hashlib.md5((folder / file).read_bytes()).hexdigest()
        made[dataset] = {"name": file, "md5": digest, "bytes": (folder / file).stat().st_size}
    member = {"name": name, "md5": hashlib.md5(text).hexdigest()}
    made["lfm1k"] = made["lfm1k"] | {"member": member}
    return made


@pytest.fixture
def served(tmp_path_factory):
    """The data sets' files as the registry names them, on a server of this machine."""
    folder = tmp_path_factory.mktemp("served")
    files = made_up(folder)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=str(folder))

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        yield {
            dataset: {"files": [file | {"urls": [f"{address}/{file['name']}"]}]}
            for dataset, file in files.items()
        }
        server.shutdown()


def test_open_data_in_one_command(project, served):
    small = {dataset: {**files, "parts": 1} for dataset, files in served.items()}
    here = yaml.safe_dump({"registry": small, "sessions": {"n_sessions": 200}})
    overlays = [project.overlay("few.yaml", FEW), project.overlay("here.yaml", here)]
    printed = project.made(TABLE, configs=("config/open.yaml", TINY, *overlays))
    said = [re.search(f"^{name}: downloads .*$", printed, re.MULTILINE) for name in served]
    assert all(said)
    assert max(found.end() for found in said) < printed.index("Downloading ")
    assert "Apache-2.0); about 10 min" in printed
    table = pl.read_csv(project / TABLE)
    assert set(table["dataset"]) == {"yambda", "lfm1k", "ml100k"}
    # A second run has nothing to download and says nothing.
    assert "downloads" not in project.made(TABLE, configs=("config/open.yaml", TINY, *overlays))
