"""What one gets on the unit cell without learning; choices are made on validation cells, never on test cells."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _unit_cell_errors import FIELD, errors, read_split, summary
from scipy.spatial import cKDTree
from torch import Tensor

from geoops.geometry import Mesh, boundary_facets, interpolate, signed_distance

Predict = Callable[[Mesh], Tensor]


def constant(train: list[Mesh]) -> dict[str, Predict]:
    """One number everywhere: the mean over all training points."""
    mean = float(torch.cat([mesh.point_fields[FIELD] for mesh in train]).double().mean())
    return {"": lambda mesh: torch.full((len(mesh.points),), mean)}


def mean_field(train: list[Mesh]) -> dict[str, Predict]:
    """The mean of the training fields at the same place: over the k nearest training nodes, of all cells."""
    values = torch.cat([mesh.point_fields[FIELD] for mesh in train]).double().numpy()
    tree = cKDTree(torch.cat([mesh.points for mesh in train]).numpy())

    def at(k: int) -> Predict:
        return lambda mesh: torch.from_numpy(values[tree.query(mesh.points.numpy(), k=k)[1]].mean(1))

    return {f"k={k}": at(k) for k in (64, 256, 1024) if k <= len(values)}


def nearest_shape(train: list[Mesh]) -> dict[str, Predict]:
    """The field of the training cell whose shape is nearest, interpolated linearly to the points.

    The distance between shapes is the L2 distance of their signed distance functions on a 32 x 32 lattice. Cells may
    be mirrored from left to right, as in the training of the models.
    """
    axis = (torch.arange(32) + 0.5) / 32
    lattice = torch.cartesian_prod(axis, axis)

    def feature(mesh: Mesh) -> np.ndarray:
        return signed_distance(boundary_facets(mesh), lattice).double().numpy()

    plain = np.stack([feature(mesh) for mesh in train])
    mirrored = plain.reshape(-1, 32, 32)[:, ::-1].reshape(len(train), -1)

    def among(features: np.ndarray) -> Predict:
        tree = cKDTree(features)

        def predict(mesh: Mesh) -> Tensor:
            best = int(tree.query(feature(mesh))[1])
            points = mesh.points.clone()
            if best >= len(train):
                points[:, 0] = 1 - points[:, 0]
            source = train[best % len(train)]
            return interpolate(
                source,
                source.point_fields[FIELD][:, None],
                points.to(source.points.dtype),
            )[:, 0]

        return predict

    return {
        "as they are": among(plain),
        "with mirror images": among(np.concatenate([plain, mirrored])),
    }


def baselines(root: Path) -> dict[str, dict[str, Any]]:
    """Returns the errors of all baselines, each with the variant that is best on the validation cells."""
    cells = {split: read_split(root / split) for split in ("train", "val", "test")}
    train = [mesh for _, mesh in cells["train"]]
    results = {}
    for make in (constant, mean_field, nearest_shape):
        variants = make(train)
        scores = {name: summary(errors(predict, cells["val"]))["outside"]["mean"] for name, predict in variants.items()}
        best = min(scores, key=lambda name: scores[name])
        found = errors(variants[best], cells["test"])
        results[make.__name__] = {
            "variant": best,
            "validation": scores,
            "test": summary(found),
            "cases": found,
        }
    return results
