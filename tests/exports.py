"""Made-up files that have every field of what services export and publish (docs/data.md)."""

import io
import json
import lzma
import tarfile
import zipfile
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pyarrow as pa

START = datetime(2021, 3, 1, 20)


def zip_of(members: Mapping[str, bytes | str]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def zipped(path: Path, members: Mapping[str, bytes | str]) -> Path:
    path.write_bytes(zip_of(members))
    return path


PRIVATE = {
    "platform": "Android OS 4.2.2 API 17 (samsung, GT-I9195)",
    "conn_country": "ZZ",
    "ip_addr": "203.0.113.77",
    "ip_addr_decrypted": "203.0.113.78",
    "user_agent_decrypted": "Mozilla%2F5.0%20secret",
}
PODCAST = {
    "spotify_track_uri": None,
    "episode_name": "An episode",
    "episode_show_name": "A show",
    "spotify_episode_uri": "spotify:episode:1",
}
BOOK = {
    "spotify_track_uri": None,
    "audiobook_title": "A book",
    "audiobook_uri": "spotify:show:1",
    "audiobook_chapter_uri": "spotify:episode:2",
}
# How a play ended and what it is: skipped, reason_end, label.
ENDS = [
    (True, "fwdbtn", True),
    (False, "trackdone", False),
    (None, "fwdbtn", True),
    (None, "trackdone", False),
    (None, "clickrow", True),
    (None, "logout", None),
    (False, "endplay", False),
]


def stream(at: int, *, is_old: bool = False, **changed) -> dict:
    """One stream with all fields, as Spotify writes them now or wrote them before 2023."""
    skipped, reason, _ = ENDS[at % len(ENDS)]
    ended = START + timedelta(seconds=200 * at)
    addresses = ("ip_addr_decrypted", "user_agent_decrypted") if is_old else ("ip_addr",)
    row = {"ts": f"{ended:%Y-%m-%dT%H:%M:%SZ}", **({"username": "ann"} if is_old else {})}
    row |= {"platform": PRIVATE["platform"], "ms_played": 30_000 + at}
    row |= {name: PRIVATE[name] for name in ("conn_country", *addresses)}
    row |= {
        "master_metadata_track_name": f"Track {at % 5}",
        "master_metadata_album_artist_name": "An artist",
        "master_metadata_album_album_name": "An album",
        "spotify_track_uri": f"spotify:track:{at % 5}",
        "episode_name": None,
        "episode_show_name": None,
        "spotify_episode_uri": None,
    }
    if not is_old:
        book = ("title", "uri", "chapter_uri", "chapter_title")
        row |= {f"audiobook_{name}": None for name in book}
    row |= {
        "reason_start": "trackdone",
        "reason_end": reason,
        "shuffle": at % 2 == 0,
        "skipped": skipped,
        "offline": False,
        "offline_timestamp": 1614628800 if at % 2 else None,
        "incognito_mode": False,
    }
    return row | changed


def array(rows: list[dict]) -> str:
    return json.dumps(rows, ensure_ascii=False)


def layouts(folder: Path) -> dict[str, Path]:
    """The three layouts of the export with seven plays, a podcast and a book."""
    now = [*map(stream, range(7)), stream(7, **PODCAST), stream(8, **BOOK)]
    old = [*(stream(at, is_old=True) for at in range(7)), stream(7, is_old=True, **PODCAST)]
    inside = "Spotify Extended Streaming History/"
    delivered = {
        f"{inside}ReadMeFirst_ExtendedStreamingHistory.pdf": b"%PDF-1.7 \xff",
        f"{inside}Streaming_History_Audio_2021_0.json": array(now[:4]),
        f"{inside}Streaming_History_Audio_2021_1.json": array(now[4:]),
        f"{inside}Streaming_History_Video_2021.json": array([stream(9)]),
    }
    found = {"zip": zipped(folder / "my_spotify_data.zip", delivered)}
    for name, rows in (("Streaming_History_Audio_2021_0", now), ("endsong_0", old)):
        found[name] = folder / f"{name}.json"
        found[name].write_text(array(rows), encoding="utf-8")
    return found


def listen(at: int, *, is_dump: bool = False, **info) -> dict:
    """One listen with the fields of an export or of a dump."""
    metadata = {
        "artist_name": "Éa",
        "track_name": f"Track {at % 3}",
        "release_name": "A release",
        "additional_info": {"submission_client": "a player", "tags": ["x"], **info},
    }
    if is_dump:
        person = {"user_id": 7, "user_name": "ann"}
        return person | {
            "timestamp": 1614628800 + 100 * at,
            "track_metadata": metadata,
            "recording_msid": "e60b9417-acfe-4796-a048-76208fb4a9ad",
        }
    metadata |= {
        "recording_msid": "e60b9417-acfe-4796-a048-76208fb4a9ad",
        "mbid_mapping": {"recording_mbid": "98255a8c-017a-4bc7-8dd6-1fa36124572b", "caa_id": 1},
    }
    return {
        "listened_at": 1614628800.0 + 100 * at,
        "inserted_at": 1614628900.5 + 100 * at,
        "track_metadata": metadata,
    }


def lines(rows: list[dict]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def tarred(path: Path, members: dict[str, str]) -> Path:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for name, text in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    packed = content.getvalue()
    if path.suffix == ".zst":
        packed = pa.Codec("zstd").compress(packed, asbytes=True)
    elif path.suffix == ".xz":
        packed = lzma.compress(packed)
    path.write_bytes(packed)
    return path


KUAIRAND = (
    "user_id,video_id,date,hourmin,time_ms,is_click,is_like,is_follow,is_comment,is_forward,"
    "is_hate,long_view,play_time_ms,duration_ms,profile_stay_time,comment_stay_time,"
    "is_profile_enter,is_rand,tab\n"
    "17387,1123453,20220421,400,1650485801301,1,0,0,0,0,0,1,151024,104400,0,0,0,0,1\n"
    "17387,88,20220421,401,1650485905301,0,0,0,0,0,1,0,2500,58000,0,0,0,1,1\n"
)


def zvuk(folder: Path) -> Path:
    """The interactions of Zvuk: four plays of two users."""
    times = [START + timedelta(seconds=60 * at) for at in range(4)]
    columns = {
        "user_id": pl.Series([5, 5, 5, 6], dtype=pl.Int32),
        "session_id": pl.Series([1, 1, 2, 1], dtype=pl.Int32),
        "datetime": pl.Series(times, dtype=pl.Datetime("us")),
        "track_id": pl.Series([900, 901, 900, 902], dtype=pl.Int32),
        "play_duration": pl.Series([29.9, 30.0, 200.0, 0.0], dtype=pl.Float32),
    }
    path = folder / "zvuk-interactions.parquet"
    pl.DataFrame(columns).write_parquet(path)
    return path


def vk_lsvd(folder: Path) -> Path:
    """A week of VK-LSVD: three videos that two users saw."""
    columns = {
        "user_id": pl.Series([5470747, 4, 5470747], dtype=pl.UInt32),
        "item_id": pl.Series([414687932, 7, 8], dtype=pl.UInt32),
        **{name: pl.Series([0, 1, 2], dtype=pl.UInt8) for name in ("place", "platform")},
        "agent": pl.Series([1, 1, 0], dtype=pl.UInt8),
        "timespent": pl.Series([38, 4, 5], dtype=pl.UInt8),
    }
    for name in ("like", "dislike", "share", "bookmark", "click_on_author", "open_comments"):
        columns[name] = pl.Series([False, name == "dislike", False])
    pl.DataFrame(columns).write_parquet(folder / "week_00.parquet")
    return folder / "week_00.parquet"
