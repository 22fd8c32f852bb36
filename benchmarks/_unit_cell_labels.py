"""How good the labels are: stress from a mesh twice as fine as the one that made them, and what a model's error is against it."""

from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch
from _unit_cell_errors import FIELD, OUTSIDE
from joblib import Parallel, delayed
from scipy.spatial import KDTree

import geoops
from geoops.data.unit_cell._case import C1, C2, CaseOptions
from geoops.data.unit_cell._elements import QuadraticElements
from geoops.data.unit_cell._mesh import mesh_cell
from geoops.data.unit_cell._solve import equilibrium, nodal_stress
from geoops.data.unit_cell._void import Void
from geoops.inference import Predictor
from geoops.physics import MooneyRivlin, von_mises_plane_stress

#: Folders of the test cells at 1x, 4x and 16x.
FOLDERS = {1: "test", 4: "test_4x", 16: "test_16x"}


def finer(index: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns nodes and von Mises stress of a case solved on level 2; labels come from level 1."""
    options = CaseOptions()
    law = MooneyRivlin(C1, C2)
    void = Void.draw(np.random.default_rng([options.seed, index]), modes=options.modes)
    mesh = mesh_cell(void, void_size=options.void_size, corner_size=options.corner_size).refined().refined()
    elements = QuadraticElements(mesh)
    load = elements.top_load(np.array([0.0, options.load]))
    state = equilibrium(elements, law, load, elements.vector.get_dofs("bottom").flatten())
    return elements.nodes, von_mises_plane_stress(nodal_stress(elements, law, state.displacement))


def relative(wrong: torch.Tensor, truth: torch.Tensor) -> float:
    """Returns the relative L2 norm."""
    return float(wrong.norm() / truth.norm())


def labels(predictor: Predictor, data: Path, count: int, processes: int) -> list[dict[str, Any]]:
    """Compares labels, model and finer solutions at the nodes of all resolutions, outside of the corners."""
    names = sorted(path.stem for path in (data / FOLDERS[1]).glob("*.vtu"))[:count]
    solved = Parallel(n_jobs=processes)(delayed(finer)(int(name)) for name in names)
    rows = []
    for factor, folder in FOLDERS.items():
        found: dict[str, list[float]] = {"labels": [], "model_against_labels": [], "model_against_finer": []}
        for name, (nodes, stress) in zip(names, solved, strict=True):
            mesh = geoops.read(data / folder / f"{name}.vtu")
            keep = OUTSIDE.contains(mesh.points)
            distance, index = KDTree(nodes).query(mesh.points.double().numpy())
            if distance.max() > 1e-6:
                raise ValueError(f"{folder}/{name}: a vertex is not a node of the finer solution, distance {distance.max():.1e}")
            label = mesh.point_fields[FIELD].double()[keep]
            truth = torch.from_numpy(stress[index])[keep]
            model = predictor.decode(predictor.encode(mesh))[:, 0].double()[keep]
            found["labels"].append(relative(label - truth, truth))
            found["model_against_labels"].append(relative(model - label, label))
            found["model_against_finer"].append(relative(model - truth, truth))
        rows.append({"factor": factor, "cells": len(names), **{key: round(fmean(values), 7) for key, values in found.items()}})
    return rows
