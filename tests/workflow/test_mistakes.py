"""A user's mistake ends in one clear line that names the file or key and the remedy, and nothing
computed is lost.
"""

import hashlib
import http.server
import tarfile
import threading

import pytest
from skipwise.simulation.writers import simulate_raw

HEADER = (
    "session_id,session_position,session_length,track_id_clean,skip_1,skip_2,skip_3,not_skipped,"
)
HEADER += "hist_user_behavior_is_shuffle,hour_of_day,premium,context_type\n"


def mssd_log(*changed: tuple[int, int, str]) -> str:
    """A log of 4 sessions of 10 plays; ``changed``: line (from 2), column (from 0) and cell."""
    rows = [
        [
            f"0_s{session}",
            str(position + 1),
            "10",
            f"t_{session * 3 + position % 7}",
            *skip,
            "false",
            "9",
            "true",
            "radio",
        ]
        for session in range(4)
        for position in range(10)
        for skip in [
            ["false", "true", "true", "false"]
            if position % 3 == 1
            else ["false", "false", "false", "true"]
        ]
    ]
    for line, column, cell in changed:
        rows[line - 2][column] = cell
    return HEADER + "".join(",".join(row) + "\n" for row in rows)


def truncated_archive(path):
    simulate_raw(path, form="mssd", simulation={"sessions": 300, "tracks": 50})
    path.write_bytes(path.read_bytes()[:-20_000])


# By data set: its file, how it is made, and what the error says.
BROKEN = {
    "cut-short": (
        "training_set_0.tar.gz",
        truncated_archive,
        ["damaged or cut short", "get it again"],
    ),
    "missing-column": (
        "log_missing.csv",
        lambda path: path.write_text(mssd_log().replace("track_id_clean", "track_id")),
        ["has no column 'track_id_clean'", "did you mean 'track_id'?"],
    ),
    "text-for-a-number": (
        "log_text.csv",
        lambda path: path.write_text(mssd_log((7, 1, "six"))),
        ["line 7", "column 'session_position' holds 'six'", "correct or remove this row"],
    ),
    "broken-nesting": (
        "log_nesting.csv",
        lambda path: path.write_text(mssd_log((5, 4, "true"), (5, 5, "false"))),
        ["line 5", "not nested"],
    ),
    "nothing-left": (
        "log_nothing.csv",
        lambda path: path.write_text(
            mssd_log().replace("false,true,true,false,", "false,false,false,true,")
        ),
        ["no session is left", "40 plays", "skip_rule"],
    ),
}


def test_broken_data(project):
    """Every data set has its own error, and the one that is right is made."""
    for name, write, _ in BROKEN.values():
        write(project / name)
    (project / "log_good.csv").write_text(mssd_log())
    files = {dataset: name for dataset, (name, *_) in BROKEN.items()} | {"good": "log_good.csv"}
    rule = "skip_rule: {name: given}, session_gap: null"
    registry = "".join(
        f"  {dataset}: {{form: mssd, paths: [{name}], {rule}}}\n" for dataset, name in files.items()
    )
    overlay = project.overlay("broken.yaml", f"datasets: {[*files]}\nregistry:\n{registry}")
    sessions = {name: f"results/sessions/dataset={name}/sessions.parquet" for name in files}
    configs = ("tests/workflow/tiny.yaml", overlay)
    done = project.snakemake("--keep-going", *sessions.values(), configs=configs, cores=2)
    assert done.returncode != 0
    for dataset, (name, _, expected) in BROKEN.items():
        said = [line for line in done.stdout.splitlines() if all(part in line for part in expected)]
        assert said, (dataset, done.stdout)
        assert dataset in said[0] or name in said[0]
    assert "Traceback" not in done.stdout
    assert [name for name, path in sessions.items() if (project / path).exists()] == ["good"]


@pytest.mark.parametrize(
    ("overlay", "expected"),
    [
        (
            "models: [sasrek]",
            ["models: 'sasrek' is not in model_registry", "did you mean 'sasrec'?"],
        ),
        (
            "model_registry: {nonesuch: {family: baseline, variants: {orig: {}}}}\nmodels: "
            "[nonesuch]",
            ["unknown model 'nonesuch'"],
        ),
        ("neural: {tauu: 3}", ["neural: unknown key 'tauu'"]),
        ("datasets: [mssd-simm]", ["'mssd-simm' is not in registry", "did you mean 'mssd-sim'?"]),
        ("contrastive: {tau: 0}", ["contrastive.tau", "0"]),
    ],
)
def test_broken_configuration(project, overlay, expected):
    done = project.snakemake(
        "--dry-run",
        configs=("tests/workflow/tiny.yaml", project.overlay("broken.yaml", overlay + "\n")),
    )
    assert done.returncode != 0
    assert [line for line in done.stdout.splitlines() if all(part in line for part in expected)], (
        done.stdout
    )
    assert "Traceback" not in done.stdout


@pytest.fixture
def server(tmp_path_factory):
    """A local web server with one small MovieLens-shaped file; gives address and bytes."""
    rows = [
        f"{user}\t{item % 40}\t{1 + (user + item) % 5}\t{880000000 + item * 60}\n"
        for user in range(1, 30)
        for item in range(12)
    ]
    content = "".join(rows).encode()
    folder = tmp_path_factory.mktemp("served")
    (folder / "u.data").write_bytes(content)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    def handler(*arguments):
        return Quiet(*arguments, directory=str(folder))

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}", content
        running.shutdown()


def downloaded(address: str, md5: str) -> str:
    return (
        "datasets: [served]\nregistry:\n  served:\n    form: movielens\n    skipped_when: rating "
        "< 4\n"
        "    skip_rule: {name: given}\n    session_gap: 1200\n"
        f"    files: [{{name: u.data, urls: ['{address}/absent/u.data', '{address}/u.data'], "
        f"md5: '{md5}'}}]\n"
    )


def test_a_download_with_a_wrong_checksum_is_refused(project, server):
    address, content = server
    found, wrong = hashlib.md5(content).hexdigest(), "0" * 32
    overlay = project.overlay("served.yaml", downloaded(address, wrong))
    target = "results/sessions/dataset=served/sessions.parquet"
    done = project.snakemake(target, configs=("tests/workflow/tiny.yaml", overlay))
    assert done.returncode != 0
    expected = [
        "u.data could not be downloaded",
        "404",
        f"md5 is {found} where {wrong} is expected",
        "`paths`",
    ]
    assert [line for line in done.stdout.splitlines() if all(part in line for part in expected)], (
        done.stdout
    )
    assert "Traceback" not in done.stdout
    assert not (project / "resources/raw/served/u.data").exists()
    # The right checksum, and the second address, since the first does not have it.
    overlay = project.overlay("served.yaml", downloaded(address, found))
    project.made(target, configs=("tests/workflow/tiny.yaml", overlay))
    assert (project / "resources/raw/served/u.data").read_bytes() == content


def test_a_link_in_an_archive_is_not_followed(project):
    with tarfile.open(project / "training_set_0.tar.gz", "w:gz") as archive:
        link = tarfile.TarInfo("training_set/log_0_20180715_000000000000.csv")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    overlay = project.overlay(
        "broken.yaml",
        "datasets: [broken]\nregistry:\n"
        "  broken: {form: mssd, paths: [training_set_0.tar.gz], skip_rule: {name: given}, "
        "session_gap: null}\n",
    )
    done = project.snakemake(
        "results/sessions/dataset=broken/sessions.parquet",
        configs=("tests/workflow/tiny.yaml", overlay),
    )
    assert done.returncode != 0
    assert "holds no training_set/log_*.csv" in done.stdout
