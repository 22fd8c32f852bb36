"""Draws roll-outs of the packaged steppers beside the truth.

python docs/make_particle_images.py --data data

The motions are the first test motions of `geoops data make particles`, in a folder each as benchmarks/giorom_all.py makes them.
"""

import argparse
import tempfile
from pathlib import Path

from geoops import viz
from geoops.data import read_motion
from geoops.inference import rollout

ROOT = Path(__file__).resolve().parents[1]
SCENES = tuple(sorted(p.stem for p in (ROOT / "geoops" / "checkpoints" / "particles").glob("*.safetensors")))
LIMIT = 1_500_000


def main() -> None:
    """Writes docs/images/giorom_SCENE.gif."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder of the folders of motions")
    parser.add_argument("--scenes", nargs="+", choices=SCENES, default=SCENES)
    parser.add_argument("--frames", type=int, default=50, help="of the picture")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "images")
    args = parser.parse_args()
    for scene in args.scenes:
        file = sorted((args.data / scene / "test").glob("*.vtkhdf"))[0]
        with tempfile.TemporaryDirectory() as folder:
            report = rollout(f"particles/{scene}", file, Path(folder) / "rolled.vtkhdf")
            motions = {"truth": read_motion(file), f"{report.samples:,} simulated, all placed": read_motion(report.path)}
            path = viz.animate(motions, args.output / f"giorom_{scene}.gif", field="error", frames=args.frames, fps=12)
        if (size := path.stat().st_size) > LIMIT:
            path.unlink()
            raise SystemExit(f"{path.name} has {size} bytes, more than {LIMIT}: draw fewer frames")
        print(f"{path.name}: {file.name}, {size / 1000:.0f} kB, position MSE {report.errors}")


if __name__ == "__main__":
    main()
