"""Draws the pictures of the README and the documentation with the packaged model.

python docs/make_images.py
"""

import argparse
import warnings
from pathlib import Path

import geoops
from geoops import viz
from geoops.inference import superres

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "datasets" / "unit_cell" / "small"
LIMIT = 400_000


def typical(model: geoops.inference.Predictor) -> str:
    """Returns the test case whose error at the training resolution is the median."""
    report = superres(model, DATA, exclude="0,0,0.1 1,0,0.1", modes=("fine",), progress=False)
    ranked = sorted(report.cases, key=lambda name: report.cases[name]["von_mises/1/fine/outside"])
    return ranked[len(ranked) // 2]


def main() -> None:
    """Writes docs/images/superres.png."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", default="unit-cell/enf2enf")
    parser.add_argument("--case", default=None, help="test case; the one of median error if not given")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "images" / "superres.png")
    args = parser.parse_args()
    warnings.filterwarnings("ignore", message=".*finer than trained")

    model = geoops.load(args.checkpoint)
    case = args.case or typical(model)
    coarse, fine = (geoops.read(DATA / folder / f"{case}.vtu") for folder in ("test", "test_16x"))
    prediction = model.predict(coarse, at=fine)
    titles = (f"truth, {len(fine):,} points", f"prediction from {len(coarse):,} points", "error")
    scene = viz.compare(fine, prediction, "von_mises", clip=0.001, titles=titles, size=(1440, 600))
    path = scene.png(args.output)
    if (size := path.stat().st_size) > LIMIT:
        path.unlink()
        raise SystemExit(f"{path.name} has {size} bytes, more than {LIMIT}: draw it smaller")
    print(f"{args.output.name}: case {case}, {size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
