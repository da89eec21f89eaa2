"""What a run is going to download, and what that takes: said before it begins."""

from pathlib import Path


def announced(config: dict, resources: str) -> list[str]:
    """One line for each data set of the run that has files to download which are not there yet."""
    lines = []
    for name in config["datasets"]:
        entry = config["registry"][name]
        if "paths" in entry:
            continue
        absent = [
            file
            for file in entry.get("files", ())
            if "urls" in file and not Path(resources, "raw", name, file["name"]).exists()
        ]
        if absent:
            lines.append(f"{name}: downloads {_what(entry, absent)}")
    return lines


def _what(entry: dict, files: list[dict]) -> str:
    """Size and licence of files, and what their data set takes on the way to its sessions."""
    sizes = [file.get("bytes") for file in files]
    size = "a file of unknown size" if None in sizes else _bytes(sum(filter(None, sizes)))
    title = entry.get("title", "no title")
    said = f"{size} ({title}; licence: {entry.get('licence', 'not stated')})"
    if takes := entry.get("takes"):
        said += (
            f"; about {takes['minutes']:g} min on two cores and {takes['gigabytes']:g} GB of "
            "disk until its sessions are made"
        )
    return said


def _bytes(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:,.0f} MB"
