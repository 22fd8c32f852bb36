"""A learned material in a shape that it never saw: truth, learned law and controls on the scene of a knot.

    python benchmarks/nclaw_unseen.py                                        # the packaged jelly, some minutes
    python benchmarks/nclaw_unseen.py --law runs/mine/model.safetensors --particles 1000 --steps 200
    python benchmarks/nclaw_unseen.py --record                               # writes benchmarks/results/nclaw_unseen.json

Trajectories and pictures go to --out. Controls: the same law before training, and particles that stay where they start.
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path

import torch
from _record import Record
from rich.console import Console
from rich.table import Table

from geoops import configs, models, viz
from geoops.data import Scene, read_scene, simulated, write_trajectory
from geoops.learning import find_checkpoint, read_material, read_meta
from geoops.physics import Material, Trajectory, mean_position_mse, position_mse

EVERY = 5  # steps between frames, which the metric of NCLaw needs


def options() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--law", default="nclaw/jelly-structured", help="a learned material: a file, or the name of a packaged one")
    parser.add_argument("--scene", default="jelly-knot", help="a scene of one material by name or file")
    parser.add_argument("--particles", type=int, help="in place of those of the scene, to make it small")
    parser.add_argument("--steps", type=int, help="in place of those of the scene")
    parser.add_argument("--out", type=Path, default=Path("runs/unseen"), help="folder of trajectories and pictures")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--record", action="store_true", help="write the errors to benchmarks/results")
    return parser.parse_args()


def scene_of(args: argparse.Namespace) -> Scene:
    """Returns the scene, made small if asked for."""
    scene = read_scene(configs.scene(args.scene))
    if len(scene.bodies) != 1:
        raise ValueError(f"--scene {args.scene}: expected one body, got {len(scene.bodies)}")
    body = replace(scene.bodies[0], particles=args.particles or scene.bodies[0].particles)
    return replace(scene, bodies=(body,), steps=args.steps or scene.steps, every=EVERY)


def untrained(path: Path) -> Material:
    """Returns the laws of a file as they are before training."""
    torch.manual_seed(0)
    facts = read_meta(path)["material"]
    if "formula" in facts:
        raise ValueError(f"--law {path}: expected learned laws, got the formula {facts['formula']!r}")
    parts = [law and getattr(models, law["class"])(**law["options"]) for law in (facts["elastic"], facts["plastic"])]
    return Material(*parts)


def motion(scene: Scene, material: Material | None = None) -> Trajectory | None:
    """Returns the motion with the true material, or with another; none if it breaks down."""
    try:
        return simulated(scene) if material is None else simulated(scene, lambda _: material)
    except FloatingPointError:
        return None


def measure(args: argparse.Namespace) -> dict:
    """Simulates, writes and draws; returns errors and times."""
    scene = scene_of(args)
    args.out.mkdir(parents=True, exist_ok=True)
    learned, seconds, motions = read_material(args.law), {}, {}
    for name, material in (("truth", None), ("learned", learned), ("untrained", untrained(args.law))):
        begin = time.perf_counter()
        found = motion(scene, material)
        seconds[name] = round(time.perf_counter() - begin, 2)
        if found is not None:
            motions[name] = found
            write_trajectory(args.out / f"{name}.vtkhdf", found)
    truth = motions["truth"]
    still = replace(truth, frames=replace(truth.frames, x=truth.frames.x[:1].expand_as(truth.frames.x)))
    compared = {name: found for name, found in {**motions, "standing still": still}.items() if name != "truth"}
    errors = {name: float(mean_position_mse(found, truth, EVERY)) for name, found in compared.items()}
    curves = {name: (truth.times, position_mse(found, truth)) for name, found in compared.items()}
    viz.error_over_time(curves, args.out / "error_over_time.png")
    pair = {name: motions[name] for name in ("truth", "learned") if name in motions}
    viz.animate(pair, args.out / "unseen_mesh.gif", field="error", frames=60)
    return {
        "scene": args.scene,
        "particles": len(truth.material),
        "steps": scene.steps,
        "dt": scene.dt,
        "law": read_meta(args.law)["material"],
        "position_mse": errors,
        "broke_down": [name for name in ("learned", "untrained") if name not in motions],
        "size_of_motion": float((truth.frames.x - truth.frames.x[:1]).square().mean().sqrt()),
        "seconds": seconds,
    }


def main() -> None:
    """Measures and reports."""
    args = options()
    args.law = find_checkpoint(args.law)
    torch.set_num_threads(args.threads)
    if args.record:
        with Record("nclaw_unseen", seed=0) as record:
            found = measure(args)
            record.results.update(found)
    else:
        found = measure(args)
    table = Table("motion", "position MSE")
    for name, error in found["position_mse"].items():
        table.add_row(name, f"{error:.3e}")
    console = Console()
    console.print(f"{found['scene']}, {found['particles']:,} particles, {found['steps']:,} steps", highlight=False)
    console.print(table)
    if found["broke_down"]:
        console.print(f"broke down: {', '.join(found['broke_down'])}", style="yellow")
    console.print(f"trajectories and pictures are in {args.out}", highlight=False)


if __name__ == "__main__":
    main()
