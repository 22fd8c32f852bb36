"""A trained network with its normalisation: from any mesh to fields in physical units."""

import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import nullcontext
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from geoops import io
from geoops.data import Normalizer, Task
from geoops.geometry import Facets, Mesh, PointCloud, Shapes, as_mesh, like
from geoops.inference._gap import bridge
from geoops.inference._memory import chunk_size, parse_memory
from geoops.inference._range import range_notes
from geoops.models import Network

#: Larger shapes are encoded from a random subset of so many nodes, drawn with a fixed seed; all of the boundary counts.
ENCODED_NODES = 32768
_QUERY_BLOCK = 65536


@final
class Encoded:
    """A shape and its code, so that one encoding serves many decodes.

    Args:
        shape: the geometry.
        code: what the network made of it.
        nodes: normalised positions and signed distances of its points.
        name: of the shape, for messages.
    """

    def __init__(self, shape: Mesh | PointCloud, code: Any, nodes: tuple[Tensor, Tensor], name: str):
        self.shape, self.code, self.nodes, self.name = shape, code, nodes, name

    @cached_property
    def outline(self) -> Facets | PointCloud:
        """The boundary that distances of other points are taken from."""
        return Normalizer.outline(self.shape)


@final
class Predictor:
    """Predicts fields on meshes; made by `geoops.load`.

    Args:
        network: a trained network; it is switched to evaluation.
        normalizer: the one it was trained with.
        name: what the model is called in reports.
        metadata: further facts about it (versions, training, scores).
    """

    def __init__(
        self,
        network: Network,
        normalizer: Normalizer,
        *,
        name: str = "model",
        metadata: Mapping[str, Any] | None = None,
    ):
        if network.sizes != normalizer.sizes:
            raise ValueError(
                f"the network was built for {network.sizes}, but the data it is used with have {normalizer.sizes}; "
                "it belongs to another data set"
            )
        self.network = network.eval()
        self.normalizer = normalizer
        self.name = name
        self.metadata = dict(metadata or {})
        self._bytes_per_query: dict[Any, float] = {}

    @property
    def task(self) -> Task:
        """Which fields the model reads and predicts."""
        return self.normalizer.task

    @property
    def device(self) -> torch.device:
        """Where the network computes."""
        return next(self.network.parameters(), torch.empty(0)).device

    def to(self, device: str | torch.device) -> "Predictor":
        """Moves the network to a device and returns the predictor; meshes and results stay on the CPU."""
        self.network.to(device)
        return self

    def __repr__(self) -> str:
        count = sum(p.numel() for p in self.network.parameters())
        asks = ", ".join((*self.task.inputs, *self.task.globals)) or "geometry alone"
        gives = ", ".join(self.task.targets)
        return f"Predictor({self.name}: {type(self.network).__name__}, {count:,} parameters; {asks} -> {gives})"

    def predict(self, mesh: Any, at: Any = None, memory: str | int | float = "1GB") -> Any:
        r"""Predicts the fields of the task.

        Args:
            mesh: a path, a `Mesh`, a `PointCloud`, or an object of pyvista, meshio, trimesh or torch_geometric. It
                needs the inputs of the task as point fields.
            at: where to evaluate; the points of `mesh` if not given. Points as an array or tensor (n, dim), or
                another mesh, which needs no fields.
            memory: what may be used on top of the mesh itself, as `"1GB"`, `"500MB"` or bytes. The points are decoded
                in chunks that fit; the result is the same for any chunk.

        Returns:
            Without `at`, the same kind of object (a `Mesh` or `PointCloud` for a path) with all its arrays and one new
            point field for each target, under the target's name. Where the mesh has an array of this name already it
            stays, and the prediction is called `<target>_predicted`. With points, an array (n, channels) of the
            targets side by side, as numpy for numpy and as a tensor for a tensor. With a mesh for `at`, that mesh with
            the new fields.

        Raises:
            KeyError: the mesh lacks an input field; the message lists the fields there are.
            ValueError: categories that the training set did not have, NaN, another dimension, or too little memory.
            FileNotFoundError: no such file.

        Warns:
            UserWarning: the mesh or the points leave the range of the training set in spacing or position.
        """
        result, notes = self._predict(mesh, at, parse_memory(memory))
        _warn(notes)
        return result

    def predict_many(self, meshes: Iterable[Any], memory: str | int | float = "1GB") -> Iterator[Any]:
        """Predicts on one mesh after the other, each as `predict` does; warnings come once, at the end.

        Raises:
            TypeError: a single mesh or path was given.
        """
        if isinstance(meshes, str | PathLike | Mesh | PointCloud):
            raise TypeError(f"predict_many takes a list of meshes; use predict for one, got {type(meshes).__name__}")
        budget = parse_memory(memory)

        def results() -> Iterator[Any]:
            count, notes = 0, []
            for mesh in meshes:
                result, found = self._predict(mesh, None, budget)
                count += 1
                notes += found[:1]
                yield result
            if notes:
                _warn([f"{len(notes)} of {count} meshes leave the range of the training set; the first: {notes[0]}"])

        return results()

    def _predict(self, mesh: Any, at: Any, budget: int) -> tuple[Any, list[str]]:
        shape, name = read_shape(mesh)
        encoded = self.encode(shape, name)
        if at is None:
            result = self.add_fields(shape, self.decode(encoded, None, budget))
            notes = range_notes(shape, None, self.normalizer, name)
            return result if _is_path(mesh) else like(mesh, result), notes
        if isinstance(at, np.ndarray | Tensor | list | tuple):
            points = self._points(at)
            values = self.decode(encoded, points, budget)
            notes = range_notes(shape, points, self.normalizer, name)
            return values if isinstance(at, Tensor) else values.numpy(), notes
        other, _ = read_shape(at)
        values = self.decode(encoded, self._points(other.points), budget)
        result = self.add_fields(other, values)
        notes = range_notes(shape, other.points, self.normalizer, name)
        return result if _is_path(at) else like(at, result), notes

    def encode(self, mesh: Any, name: str = "the mesh") -> Encoded:
        """Encodes a shape once, to `decode` it many times."""
        shape, name = (mesh, name) if isinstance(mesh, Mesh | PointCloud) else read_shape(mesh)
        sample = self.normalizer.sample(shape, targets=False, name=name)
        pos, sdf = sample["pos"], sample["sdf"]
        nodes = slice(None)
        if len(pos) > ENCODED_NODES:
            draw = torch.Generator().manual_seed(0)
            nodes = torch.randperm(len(pos), generator=draw)[:ENCODED_NODES].sort().values
        one = {key: sample[key][None] for key in ("token_pos", "token_normal", "token_size", "token_x")}
        one |= {key: sample[key][nodes][None] for key in ("pos", "x", "sdf")}
        shapes = Shapes(
            **one,
            mask=torch.ones(one["pos"].shape[:2], dtype=torch.bool),
            token_mask=torch.ones(one["token_pos"].shape[:2], dtype=torch.bool),
            mu=sample["mu"],
            key=torch.full((1,), -1),
        ).to(self.device)
        with nullcontext() if self.network.encodes_with_grad else torch.no_grad():
            code = self.network.encode(shapes)
        return Encoded(shape, _detached(code), (pos, sdf), name)

    def decode(
        self, encoded: Encoded, points: Float[Tensor, "queries dim"] | None = None, memory: str | int | float = "1GB"
    ) -> Float[Tensor, "queries outputs"]:
        """Returns all targets side by side, in physical units, at points (the nodes of the shape if not given)."""
        budget = parse_memory(memory)
        count = len(encoded.nodes[0]) if points is None else len(points)
        outputs = self.normalizer.sizes.outputs
        result = torch.empty(count, outputs)
        fixed = 8 * count * (3 * self.normalizer.sizes.dim + 2 * outputs + 2)
        chunk = 0
        for start in range(0, count, _QUERY_BLOCK):
            stop = min(start + _QUERY_BLOCK, count)
            where = (encoded.shape.points if points is None else points)[start:stop]
            if points is None:
                pos, sdf = (v[start:stop] for v in encoded.nodes)
            else:
                pos, sdf = self.normalizer.query(encoded.outline, where)
            gap = bridge(self.normalizer, lambda: encoded.outline, where, sdf)
            if gap is not None:
                pos, sdf = torch.cat([pos[gap.asked], gap.pos]), torch.cat([sdf[gap.asked], gap.sdf])
            chunk = chunk or self._chunk(encoded.code, pos, sdf, len(pos), budget, fixed)
            values = torch.empty(len(pos), outputs)
            for p, s, out in zip(pos.split(chunk), sdf.split(chunk), values.split(chunk), strict=True):
                out.copy_(self._decode(encoded.code, p, s))
            result[start:stop] = self._restore(values if gap is None else gap.join(values, stop - start))
        return result

    def _decode(self, code: Any, pos: Tensor, sdf: Tensor) -> Tensor:
        with torch.no_grad():
            return self.network.decode(code, pos[None].to(self.device), sdf[None].to(self.device))[0].cpu()

    def _restore(self, values: Tensor) -> Tensor:
        return torch.cat([self.normalizer.restore(values, name) for name in self.task.targets], dim=1)

    def _chunk(self, code: Any, pos: Tensor, sdf: Tensor, count: int, budget: int, fixed: int) -> int:
        key = tuple(tuple(v.shape) for v in _tensors(code))
        cache = self._bytes_per_query
        return chunk_size(lambda n: self._decode(code, pos[:n], sdf[:n]), count, budget, fixed=fixed, cache=cache, key=key)

    def _points(self, points: Any) -> Tensor:
        """Query points as a CPU tensor (n, dim); planar shapes also take (n, 3) with z = 0."""
        tensor = torch.as_tensor(points).detach().cpu()
        if not tensor.is_floating_point():
            tensor = tensor.float()
        dim = self.normalizer.sizes.dim
        if tensor.ndim != 2 or tensor.shape[1] not in {dim, 3}:
            raise ValueError(f"at must hold points of shape (n, {dim}); got shape {tuple(tensor.shape)}")
        if not bool(torch.isfinite(tensor).all()):
            raise ValueError("at holds NaN or infinite coordinates")
        if tensor.shape[1] > dim:
            if bool(tensor[:, dim:].any()):
                raise ValueError("at holds points with z != 0, but the model works in the plane")
            tensor = tensor[:, :dim]
        return tensor

    def add_fields(self, shape: Mesh | PointCloud, values: Float[Tensor, "points outputs"]) -> Mesh | PointCloud:
        """Returns a copy of a shape with the targets as new point fields; no array that is there is replaced."""
        fields: dict[str, Tensor] = {}
        units: dict[str, str] = {}
        for target, channels in self.normalizer.slices.items():
            name = free_name(target, shape.point_fields)
            part = values[:, channels].contiguous()
            fields[name] = part[:, 0] if part.shape[1] == 1 else part
            unit = shape.units.get(target) or self.normalizer.units.get(target)
            if unit:
                units[name] = unit
        return shape.with_fields(points=fields, units=units)


def free_name(target: str, taken: Iterable[str]) -> str:
    """Returns `target`, or the first of `<target>_predicted`, `<target>_predicted_2`, ... that is not taken."""
    name, count = target, 1
    while name in taken:
        name = f"{target}_predicted" + (f"_{count}" if count > 1 else "")
        count += 1
    return name


def read_shape(mesh: Any) -> tuple[Mesh | PointCloud, str]:
    """Returns a geoops shape and what to call it in messages."""
    if _is_path(mesh):
        return io.read(Path(mesh)), str(mesh)
    return as_mesh(mesh), "the mesh"


def _is_path(mesh: Any) -> bool:
    return isinstance(mesh, str | PathLike)


def _warn(notes: Iterable[str]) -> None:
    for note in notes:
        warnings.warn(note + "; expect larger errors", UserWarning, stacklevel=3)


def _tensors(code: Any) -> list[Tensor]:
    if isinstance(code, Tensor):
        return [code]
    parts = code.values() if isinstance(code, Mapping) else code if isinstance(code, list | tuple) else ()
    return [t for part in parts for t in _tensors(part)]


def _detached(code: Any) -> Any:
    if isinstance(code, Tensor):
        return code.detach()
    if isinstance(code, Mapping):
        return {k: _detached(v) for k, v in code.items()}
    if isinstance(code, tuple) and hasattr(code, "_fields"):
        return type(code)(*(_detached(v) for v in code))
    if isinstance(code, list | tuple):
        return type(code)(_detached(v) for v in code)
    return code
