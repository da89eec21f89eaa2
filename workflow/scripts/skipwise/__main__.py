"""``python -m skipwise``: the command line."""

import sys

try:
    from skipwise.commands.cli import main
except ModuleNotFoundError as error:
    sys.exit(
        f"skipwise: the package '{error.name}' is missing; run `make tables` first, or install "
        "envs/requirements.txt"
    )

if __name__ == "__main__":
    main()
