"""Makes the pictures of learned materials from the packaged laws.

python docs/make_material_images.py

Every curve is simulated here; the laws are those of geoops/checkpoints/nclaw (seed 0).
"""

import argparse
from dataclasses import replace
from pathlib import Path

from geoops import configs, viz
from geoops.data import read_scene, simulated
from geoops.learning import read_material
from geoops.physics import material, position_mse

ROOT = Path(__file__).resolve().parents[1]
LAWS = {"structured": "structured law", "faithful": "networks of NCLaw"}
STEPS = 2000  # twice as long as the motion that was seen


def main() -> None:
    """Writes docs/images/nclaw_*.png."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "images")
    folder = parser.parse_args().output
    found = {key: read_material(f"nclaw/jelly-{key}") for key in LAWS}
    scene = replace(read_scene(configs.scene("jelly")), steps=STEPS, every=5)
    truth = simulated(scene)
    curves = {}
    for key, law in found.items():
        motion = simulated(scene, lambda _, law=law: law)
        curves[LAWS[key]] = (truth.times, position_mse(motion, truth))
    viz.error_over_time(curves, folder / "nclaw_error.png")

    laws = {"truth": material("jelly").elastic} | {LAWS[key]: law.elastic for key, law in found.items()}
    viz.stress_stretch(laws, folder / "nclaw_stress.png", trajectory=truth)

    maps = {}
    for name in ("sand", "plasticine"):
        maps[f"{name}, truth"] = material(name).plastic
        maps[f"{name}, learned"] = read_material(f"nclaw/{name}-structured").plastic
    viz.yield_surface(maps, folder / "nclaw_yield.png")


if __name__ == "__main__":
    main()
