"""Speed and memory: decoding a million points, and the latency of one new shape."""

import gc
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
import yaml
from _record import ROOT, compare_ms
from torch import Tensor
from torch_geometric.data import Batch

import geoops
from geoops import configs, models
from geoops.data import Normalizer, Task, to_shapes
from geoops.inference import Predictor, parse_memory

SMALL = ROOT / "datasets" / "unit_cell" / "small"
BUDGETS = ("1GB", "300MB")


def resident(*, peak: bool = False) -> int:
    """Returns the memory of this process in bytes, now or at its peak since `reset_peak`."""
    key = "VmHWM" if peak else "VmRSS"
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(key))


def reset_peak() -> None:
    """Makes the peak the present use of memory (Linux)."""
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")


def decode(checkpoint: str, points: int) -> dict[str, Any]:
    """Decodes random points of one test cell under memory budgets, and compares chunks with the whole."""
    predictor = geoops.load(checkpoint)
    mesh = geoops.read(SMALL / "test" / "02000.vtu")
    encoded = predictor.encode(mesh)
    queries = torch.rand(points, 2)
    predictor.decode(encoded, queries[:50_000])
    rows = []
    for budget in BUDGETS:
        reset_peak()
        before, start = resident(), time.perf_counter()
        predictor.decode(encoded, queries, budget)
        seconds = time.perf_counter() - start
        used = resident(peak=True) - before
        row = {
            "budget": budget,
            "seconds": round(seconds, 2),
            "points_per_second": round(points / seconds),
        }
        rows.append(
            {
                **row,
                "peak_mb": round(used / 1e6, 1),
                "within_budget": used <= parse_memory(budget),
            }
        )
    return {
        "checkpoint": checkpoint,
        "points": points,
        "rows": rows,
        "chunks": chunk_difference(predictor, encoded, queries),
    }


def chunk_difference(predictor: Predictor, encoded: Any, queries: Tensor) -> dict[str, float]:
    """Returns the largest difference between decoding 16,384 points at once and in chunks, over the largest value."""
    queries = queries[:16384]
    whole = predictor.decode(encoded, queries, "64GB")
    scale = float(whole.abs().max())
    found = {}
    for chunk in (7, 256, 4096):
        parts = torch.cat([predictor.decode(encoded, part, "64GB") for part in queries.split(chunk)])
        found[str(chunk)] = float((parts - whole).abs().max()) / scale
    return found


def latency(repeats: int = 15) -> list[dict[str, Any]]:
    """Times one new shape, encoded and decoded at 972 points, for one-shot encoders and for the inner loop.

    The weights are random, which does not change the time. `network_ms` is encoding and decoding alone; `whole_ms`
    begins with a mesh in memory and so includes its boundary, distances and normalisation.
    """
    mesh = geoops.read(SMALL / "test" / "02000.vtu")
    normalizer = Normalizer.fit([mesh], Task(["boundary"], ["von_mises"]))
    shapes = to_shapes(Batch.from_data_list([normalizer.sample(mesh)]))
    points = torch.rand(972, 2)
    pos, sdf = (part[None] for part in normalizer.query(mesh, points))
    published = {"num_latents": 9, "box": [[-0.75, 0.75], [-0.75, 0.75]]}
    networks = {
        "default, one-shot": from_recipe("unit-cell/enf2enf"),
        "faithful-compact, inner loop": from_recipe("unit-cell/enf2enf-faithful-compact"),
        "faithful-compact, one-shot encoder": from_recipe("unit-cell/enf2enf-faithful-compact", encoder="oneshot"),
        "published size, inner loop": (models.ENF2ENF, published),
        "published size, one-shot encoder": (
            models.ENF2ENF,
            {**published, "encoder": "oneshot"},
        ),
    }
    rows = []
    for name, (kind, init) in networks.items():
        predictor = Predictor(kind(normalizer.sizes, **init).requires_grad_(False), normalizer)

        def forward(network: models.Network = predictor.network) -> Tensor:
            with nullcontext() if network.encodes_with_grad else torch.no_grad():
                code = network.encode(shapes)
            with torch.no_grad():
                return network.decode(code, pos, sdf)

        def whole(predictor: Predictor = predictor) -> Tensor:
            return predictor.decode(predictor.encode(mesh), points)

        network_ms, whole_ms = compare_ms(forward, whole, repeats=repeats)
        row = {
            "model": name,
            "network": kind.__name__,
            "parameters": sum(p.numel() for p in predictor.network.parameters()),
        }
        rows.append({**row, "network_ms": round(network_ms, 2), "whole_ms": round(whole_ms, 2)})
    return rows


def from_recipe(name: str, **changes: Any) -> tuple[type[models.Network], dict[str, Any]]:
    """Returns the class and the options of a recipe's network."""
    network = yaml.safe_load(configs.find(name).read_text())["model"]["network"]
    kind = getattr(models, network["class_path"].rpartition(".")[2])
    return kind, {**network.get("init_args", {}), **changes}
