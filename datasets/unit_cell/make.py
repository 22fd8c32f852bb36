"""Makes the unit-cell data set: python datasets/unit_cell/make.py --help."""

import argparse
from pathlib import Path

from geoops.data.unit_cell import make

HERE = Path(__file__).resolve().parent


def main() -> None:
    """Reads the command line and makes the set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--root", type=Path, default=HERE / "full", help="folder of the set")
    parser.add_argument("--train", type=int, default=1000, help="training cases, at most 1000")
    parser.add_argument("--val", type=int, default=100, help="validation cases, at most 1000")
    parser.add_argument("--test", type=int, default=200, help="test cases, each at three resolutions")
    parser.add_argument("--load", type=float, default=100.0, help="traction on the top edge")
    parser.add_argument("--seed", type=int, default=0, help="seed of the set; use another for another load")
    parser.add_argument("--jobs", type=int, default=-1, help="worker processes, -1 for all cores")
    parser.add_argument("--overwrite", action="store_true", help="make all cases anew")
    parser.add_argument("--only-von-mises", nargs="*", default=(), help="folders without displacement and cauchy")
    options = vars(parser.parse_args())
    make(options.pop("root"), **{**options, "only_von_mises": tuple(options["only_von_mises"])})


if __name__ == "__main__":
    main()
