"""Decoders with true samples: errors of all particles, time of a frame and parameters.

    python benchmarks/giorom_decoders.py jelly --data data/jelly2d --bundle "LocalAffine=runs/jelly-affine/model.safetensors"
    python benchmarks/giorom_decoders.py water --data data/water2d --motions 1 --frames 20 --seeds 1 --ways fps

Those with --bundle are trained; of those with --untrained the class alone is known, and POD takes its modes from the training
motions here. Results: benchmarks/results/giorom/decoders-MATERIAL.json.
"""

import argparse
import math
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from _giorom import (
    CHUNK,
    SPLITS,
    Errors,
    arguments,
    choices,
    chosen,
    decoder_of,
    facts_of,
    gathered,
    motions,
    named,
    number_of,
    record,
    written,
)
from rich.console import Console
from rich.table import Table

from geoops import physics
from geoops.models import POD, Decoder
from geoops.physics import Motion

UNTRAINED = (
    *("Nearest", "InverseDistance", "MovingLeastSquares", "LocalSpline", "ThinPlate"),
    *("FlowMap", "LocalAffine"),
)
NEAR = 100  # frames of the shorter of the two errors
console = Console()


def options() -> argparse.Namespace:
    """Reads the command line."""
    parser = arguments(__doc__, "decoders-MATERIAL")
    parser.add_argument("material", help="names the result")
    parser.add_argument("--data", type=Path, required=True, help="folder of geoops data make particles")
    parser.add_argument("--bundle", nargs="+", default=[], metavar="NAME=FILE", help="trained decoders")
    parser.add_argument("--untrained", nargs="*", default=UNTRAINED, help="classes")
    parser.add_argument("--pod", type=int, default=100, help="training motions of which POD takes its modes; 0 for no POD")
    parser.add_argument("--keep", type=float, default=1 / 16, help="share of the particles that are samples")
    parser.add_argument("--split", default="test", choices=SPLITS)
    parser.add_argument("--ways", nargs="+", default=("fps", "random"), help="how samples are chosen")
    parser.add_argument("--seeds", type=int, default=3, help="choices of each way")
    parser.add_argument("--every", type=int, default=5, help="frames between those whose errors are taken")
    parser.add_argument("--motions", type=int, help="only so many")
    parser.add_argument("--frames", type=int, help="only so many frames after the first six")
    return parser.parse_args()


def measure(decoder: Decoder, motion: Motion, some: torch.Tensor, every: int) -> Errors:
    """Returns the errors of a decoder with true samples in every n-th frame; the first frame is the start."""
    body, at = motion.material, torch.arange(every, len(motion), every)
    known = at if not decoder.sequential else torch.arange(1, len(motion))
    parts, starting, placing = [], 0.0, 0.0
    for queries in torch.arange(len(body)).split(CHUNK):
        begin = time.perf_counter()
        state = decoder.begin(motion.x[0, some], motion.x[0, queries], body[some], body[queries], motion.bounds)
        starting += time.perf_counter() - begin
        begin, frames = time.perf_counter(), []
        for few in known.split(4):
            x, state = decoder.place(state, motion.x[few][:, some])
            frames.append(x)
        placing += time.perf_counter() - begin
        parts.append(torch.cat(frames)[at - 1 if decoder.sequential else slice(None)])
    truth = replace(motion, x=motion.x[torch.cat([at.new_zeros(1), at])])
    found = replace(truth, x=torch.cat([motion.x[:1], torch.cat(parts, 1)]))
    rest = torch.ones(len(body), dtype=torch.bool)
    rest[some] = False  # samples are known, the others are what a decoder is for
    hidden = math.nan
    if len(others := rest.nonzero()[:, 0]):
        hidden = float(physics.relative_displacement_error(found.of(others), truth.of(others), seeds=1).nanmean())
    errors = physics.relative_displacement_error(found, truth, seeds=1)
    return {
        "displacement": float(errors.nanmean()),
        "displacement_100": float(errors[at <= NEAR].nanmean()),
        "outside": float(physics.outside_fraction(found).mean()),
        "displacement_of_others": hidden,
        "mse": float(physics.motion_mse(found, truth, seeds=1).mean()),
        "chamfer": float(physics.chamfer_distance(found, truth, seeds=1).mean()),
        "ms_per_frame": 1e3 * placing / max(len(known), 1),
        "begin_ms": 1e3 * starting,
    }


def main() -> None:
    """Measures, prints and records."""
    args = options()
    with record(f"decoders-{args.material}", args) as out:
        truths = motions(args.data, args.split, args.motions, args.frames)
        dim = truths[0].x.shape[2]
        todo: list[tuple[str, Decoder, dict[str, Any]]] = []
        for name in args.untrained:
            decoder = decoder_of(name, dim)
            label = f"{name}, untrained" if list(decoder.parameters()) else name
            todo.append((label, decoder, {"class": name, "options": {}, "trained": False}))
        if args.pod:
            pod = POD(dim).eval()
            bodies = motions(args.data, "train", args.pod)
            pod.fit([motion.x[:, motion.material == k] for motion in bodies for k in motion.material.unique()])
            todo.append(("POD", pod, {"class": "POD", "options": {}, "trained": True, "motions": args.pod}))
        for name, path in named(args.bundle, "--bundle").items():
            todo.append((name, decoder_of(path, dim), {**facts_of(path), "trained": True}))
        rows = []
        for name, decoder, facts in todo:
            found = {}
            for way, seed in choices(args.ways, args.seeds):
                some = [chosen(motion, number_of(motion, args.keep), way, seed) for motion in truths]
                found[way, seed] = [measure(decoder, m, s, args.every) for m, s in zip(truths, some, strict=True)]
            rows.append({"name": name, "parameters": sum(p.numel() for p in decoder.parameters()), **facts, **gathered(found)})
            console.print(f"{name}: {100 * rows[-1]['displacement'][args.ways[0]]['mean']:.3g} %")
        out["material"], out["dim"], out["split"], out["keep"] = args.material, dim, args.split, args.keep
        out["particles"], out["samples"] = len(truths[0].material), number_of(truths[0], args.keep)
        out["motions"], out["frames"], out["every"] = len(truths), len(truths[0]), args.every
        out["rows"] = rows
    table = Table("decoder", "parameters", *args.ways, "Chamfer", "ms per frame")
    for row in rows:
        errors = [f"{100 * row['displacement'][way]['mean']:.3g} %" for way in args.ways]
        last = [f"{row[key][args.ways[0]]['mean']:.3g}" for key in ("chamfer", "ms_per_frame")]
        table.add_row(row["name"], f"{row['parameters']:,}", *errors, *last)
    console.print(table)
    console.print(written(out))


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    main()
