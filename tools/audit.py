"""Known vulnerabilities of the locked versions: `make audit`.

Status 1 if there are some, or if the service did not answer.
"""

import json
import subprocess
import sys
from pathlib import Path

ENVIRONMENTS = Path(__file__).parents[1] / "envs"


def main() -> None:
    """Ask pip-audit about every locked version and print the vulnerabilities that it knows."""
    locked = [
        word
        for name in ("requirements.txt", "requirements-test.txt")
        for word in ("--requirement", ENVIRONMENTS / name)
    ]
    # The files lock everything, so nothing has to be resolved or installed.
    command = [
        sys.executable,
        "-m",
        "pip_audit",
        "--no-deps",
        "--disable-pip",
        "--progress-spinner=off",
        "--format=json",
        *locked,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        packages = json.loads(done.stdout)["dependencies"]
        # The answer of a mirror without the service, or of a proxy.
        reason = "it knows none of the packages"
    except (ValueError, KeyError):
        packages, reason = (
            [],
            (done.stderr.strip().splitlines() or ["pip-audit printed nothing"])[-1],
        )
    skipped = [package["name"] for package in packages if "skip_reason" in package]
    if len(skipped) == len(packages):
        sys.exit(
            f"audit: no answer from the vulnerability service, so nothing is known ({reason}); "
            "try again with a network"
        )
    if skipped:
        print(f"not known to the service, so not audited: {', '.join(skipped)}")
    known = [(package, found) for package in packages for found in package.get("vulns", [])]
    for package, found in known:
        fixed = ", ".join(found["fix_versions"]) or "nothing yet"
        print(f"{package['name']} {package['version']}: {found['id']}, fixed by {fixed}")
    sys.exit(f"audit: {len(known)} known vulnerabilities" if known else 0)


if __name__ == "__main__":
    main()
