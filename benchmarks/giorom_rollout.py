"""Roll-outs of steppers beside free fall: errors of the samples, of the decoder, and of both together.

    python benchmarks/giorom_rollout.py jelly --data data/jelly2d --stepper ours=runs/jelly/model.safetensors \
        gns=runs/jelly-gns/model.safetensors --decoder runs/jelly-decoder/model.safetensors
    python benchmarks/giorom_rollout.py jelly --data data/jelly2d --stepper ours=particles/jelly2d --motions 1 --frames 20 --seeds 1

A stepper is simulated on the share of the particles that it was trained for; NAME=FILE@SHARE takes another. Where that is all of
them there is nothing to decode. Results: benchmarks/results/giorom/rollout-MATERIAL.json.
"""

import argparse
import math
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from _giorom import (
    SEEDS,
    SPLITS,
    Errors,
    Trained,
    arguments,
    choices,
    chosen,
    decoder_of,
    facts_of,
    gathered,
    metrics_of,
    motions,
    named,
    number_of,
    one_step,
    placed,
    record,
    rolled,
    written,
)
from rich.console import Console
from rich.table import Table

from geoops import models, physics
from geoops.learning import as_motion, free_fall
from geoops.physics import Motion

Curves = dict[str, list[torch.Tensor]]
EMD = 512  # points that the earth mover's distance is taken of
NEAR = 100  # predicted frames of the shorter of the two errors
console = Console()


def options() -> argparse.Namespace:
    """Reads the command line."""
    parser = arguments(__doc__, "rollout-MATERIAL")
    parser.add_argument("material", help="names the result")
    parser.add_argument("--data", type=Path, required=True, help="folder of geoops data make particles")
    parser.add_argument("--stepper", nargs="+", required=True, metavar="NAME=FILE", help="steppers, the first is ours")
    parser.add_argument("--decoder", default="MovingLeastSquares", help="class or file of what places the other particles")
    parser.add_argument("--splits", nargs="+", default=SPLITS)
    parser.add_argument("--ways", nargs="+", default=("fps", "random"), help="how samples are chosen")
    parser.add_argument("--seeds", type=int, default=3, help="choices of each way")
    parser.add_argument("--motions", type=int, help="only so many of each split")
    parser.add_argument("--frames", type=int, help="only so many predicted frames")
    return parser.parse_args()


def motion_errors(guess: Motion, truth: Motion) -> Errors:
    """Returns errors of positions, means over the frames."""
    near = slice(SEEDS + NEAR)
    short, shorter = replace(guess, x=guess.x[near]), replace(truth, x=truth.x[near])
    one, other = (replace(m, x=m.x[-1:]) for m in (short, shorter))  # the shape, whichever particle is where
    return {
        "mse_100": float(physics.motion_mse(short, shorter).mean()),
        "mse": float(physics.motion_mse(guess, truth).mean()),
        "sum_mse_100": float(physics.motion_mse(short, shorter, axes="sum").mean()),
        "sum_mse": float(physics.motion_mse(guess, truth, axes="sum").mean()),
        "displacement_100": float(physics.relative_displacement_error(short, shorter).nanmean()),
        "displacement": float(physics.relative_displacement_error(guess, truth).nanmean()),
        "centre_of_mass": float(physics.centre_of_mass_error(guess, truth).mean()),
        "kinetic_energy": float(physics.kinetic_energy_error(guess, truth).nanmean()),
        "outside": float(physics.outside_fraction(guess)[SEEDS:].mean()),
        "frames_until": float(physics.frames_until(guess, truth)),
        "chamfer_at_100": float(physics.chamfer_distance(one, other, seeds=0)),
        "earth_movers_at_100": float(physics.earth_movers_distance(one, other, points=EMD, seeds=0)),
    }


def exploded(frame: int) -> Errors:
    """Returns what is left to say of a motion that exploded."""
    lost = dict.fromkeys(("mse_100", "mse", "sum_mse_100", "sum_mse", "displacement_100", "displacement"), math.inf)
    lost |= dict.fromkeys(("chamfer_at_100", "earth_movers_at_100"), math.inf)
    return lost | {"frames_until": float(frame), "exploded": 1.0}


def root_at(guess: Motion, truth: Motion) -> float:
    """Returns the root of the mean square error in the hundredth predicted frame."""
    errors = physics.motion_mse(guess, truth)
    return float(errors[min(NEAR, len(errors)) - 1].sqrt())


def mirrored(motion: Motion) -> Motion:
    """Returns a motion with the first axis mirrored at the middle of the walls; gravity acts along the second one."""
    low, high = motion.bounds[0]
    return replace(motion, x=torch.cat([low + high - motion.x[..., :1], motion.x[..., 1:]], 2))


def mirror_error(trained: Trained, motion: Motion, some: torch.Tensor, made: Motion) -> float:
    """Returns how far the roll-out of the mirrored motion is from the mirrored roll-out, relative to the displacements."""
    other, broken, _ = rolled(trained, mirrored(motion), some)
    return math.inf if broken else float(physics.relative_displacement_error(mirrored(other), made).nanmean())


def measure(trained: Trained, decoder: str, motion: Motion, way: str, seed: int, keep: float, curves: Curves) -> Errors:
    """Returns all errors of one motion with one choice of its samples; what they are in each frame goes to `curves`."""
    some = chosen(motion, number_of(motion, keep), way, seed)
    truth, first, last = motion.of(some), SEEDS - 1, len(motion) - 1
    found = one_step(trained, motion, some)
    for name, walls in {"fall": True, "ballistic": False}.items():
        fall = as_motion(motion, some, first, free_fall(motion, first, last - first, walls)[:, some])
        found |= {f"{name}_{key}": value for key, value in motion_errors(fall, truth).items()}
        curves[name].append(physics.motion_mse(fall, truth))
    made, broken, seconds = rolled(trained, motion, some)
    found |= exploded(broken) if broken else motion_errors(made, truth)
    found |= {"exploded": float(broken > 0), "step_ms": 1e3 * seconds}
    curves["samples"].append(physics.motion_mse(made, truth))
    if way == "all":
        return found
    if (way, seed) == ("fps", 0) and not broken and motion.gravity[0] == 0:
        found["mirror"] = mirror_error(trained, motion, some, made)
    for name, samples in {"decoder": truth, "full": made}.items():
        if broken and name == "full":
            found |= {f"full_{key}": value for key, value in exploded(broken).items() if key != "exploded"}
            found["full_over_samples_at_100"] = math.inf
            curves["all"].append(curves["samples"][-1])  # infinite from the explosion on; means of the others would be too good
            continue
        dense = placed(decoder_of(decoder, motion.x.shape[2]), motion, some, samples.x)
        found |= {f"{name}_{key}": value for key, value in motion_errors(dense, motion).items()}
        if name == "full":
            curves["all"].append(physics.motion_mse(dense, motion))
            found["full_over_samples_at_100"] = root_at(dense, motion) / max(root_at(made, truth), 1e-30)
    return found


def history(path: str) -> list[dict[str, float]]:
    """Returns validation errors during the training, if they are known."""
    keys = ("step", "elapsed", "val/one_step", "val/rollout_mse", "val/free_fall_mse")
    return [{key: row[key] for key in keys if key in row} for row in metrics_of(Path(path)).get("history", [])]


def main() -> None:
    """Measures, prints and records."""
    args = options()
    with record(f"rollout-{args.material}", args) as out:
        steppers: dict[str, Any] = {}
        truths = {split: motions(args.data, split, args.motions, args.frames) for split in args.splits}
        first = truths[args.splits[0]][0]
        for name, word in named(args.stepper, "--stepper").items():
            path, _, share = word.partition("@")
            trained = Trained.of(path)
            keep = float(share) if share else trained.keep
            entry = {**trained.facts, "keep": keep, "splits": {}}
            for split, split_motions in truths.items():
                found, drawn = {}, {}
                for way, seed in choices(args.ways, args.seeds, keep >= 1):
                    curves: Curves = defaultdict(list)
                    rows = [measure(trained, args.decoder, motion, way, seed, keep, curves) for motion in split_motions]
                    if way != "random":
                        for key, errors in curves.items():
                            drawn.setdefault(key, []).append([float(f"{e:.3g}") for e in torch.stack(errors).mean(0)])
                    found[way, seed] = rows
                    console.print(f"{name}, {split}, {way} {seed}: MSE {sum(r['mse_100'] for r in rows) / len(rows):.2e}")
                entry["splits"][split] = gathered(found)
                if split == args.splits[0]:
                    entry["curves"] = drawn
            entry["history"] = history(path)
            steppers[name] = entry | {"samples": number_of(first, keep), "particles": len(first.material)}
        out["material"], out["dim"], out["seed_frames"], out["near"] = args.material, first.x.shape[2], SEEDS, NEAR
        out["frames"], out["spacing"] = len(first) - SEEDS, first.spacing
        known = hasattr(models, args.decoder)
        out["decoder"] = {"class": args.decoder, "options": {}} if known else facts_of(args.decoder)
        out["motions"] = {split: len(found) for split, found in truths.items()}
        out["steppers"] = steppers
    show(steppers)
    console.print(written(out))


def show(steppers: dict[str, Any]) -> None:
    """Prints the main errors."""
    table = Table("stepper", "split", "samples", "one step", "MSE 100", "MSE", "free fall 100", "full 100", "ms")
    for name, entry in steppers.items():
        for split, errors in entry["splits"].items():
            for way in errors["mse"]:
                keys = ("one_step", "mse_100", "mse", "fall_mse_100", "full_mse_100", "step_ms")
                cells = [f"{errors[k][way]['mean']:.3g}" if way in errors.get(k, {}) else "" for k in keys]
                table.add_row(name, split, f"{entry['samples']} {way}", *cells)
    console.print(table)


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    main()
