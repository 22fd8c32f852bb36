"""Scaling between physical and normalised units, fitted on training meshes only."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from geoops.geometry import Facets, Mesh, PointCloud, Sizes

from ._fields import Raw, bounded, distance_to, raw_sample, smooth
from ._task import Task
from ._tokens import boundary_tokens, facet_sizes

if TYPE_CHECKING:
    from torch_geometric.data import Data

MAX_CATEGORIES = 64


@final
@dataclass(frozen=True)
class Scaler:
    """Statistics of one field: mean and deviation per channel, or the categories of an integer field."""

    name: str
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    categories: tuple[int, ...] = ()

    @property
    def channels(self) -> int:
        """Channels after coding."""
        return len(self.categories) or len(self.mean)

    def encode(self, value: Tensor, where: str) -> Float[Tensor, "*nodes channels"]:
        """Returns z-scores, or one-hot rows for integer fields."""
        if not self.categories:
            if value.shape[-1] != len(self.mean):
                raise ValueError(
                    f"{where}: field {self.name!r} has {value.shape[-1]} channels, the training set had {len(self.mean)}"
                )
            return (value.double() - torch.tensor(self.mean).double()) / torch.tensor(self.std).double()
        known = torch.tensor(self.categories)
        hot = value.long() == known
        if value.shape[-1] != 1 or value.is_floating_point():
            raise ValueError(
                f"{where}: field {self.name!r} must be one integer per point, as in the training set, "
                f"got shape {tuple(value.shape)} of {value.dtype}"
            )
        if not (seen := hot.any(-1)).all():
            new = sorted(set(value[~seen].flatten().tolist()))
            raise ValueError(f"{where}: field {self.name!r} has categories {new}; the training set has {list(self.categories)}")
        return hot.double()


@final
@dataclass(frozen=True)
class Normalizer:
    r"""Maps meshes to what networks see and predictions back to physical units.

    Positions become $(x - c)/s$ with one scale $s$ for all axes, so that all training boxes fit $[-1, 1]$; distances
    and sizes are scaled alike. Float inputs and globals are z-scored, integer inputs one-hot coded. Targets become
    $(u - m)/d$ with mean and deviation over all training nodes; `mode="scale"` sets $m = 0$. Constant channels have
    $d = 1$.

    Args:
        task: names of inputs, targets and globals.
        center: of all training boxes.
        scale: half of their largest side.
        inputs, targets, globals: statistics of each field.
        spacing: smallest and largest spacing of training nodes.
        max_tokens: of a shape.
        mode: of the targets.
        units: of fields and points.
        token_size: length of the pieces of the boundary.
        gap: depth below the boundary of the first training nodes inside; between them lies nothing that models have been told.

    Use `fit` (on training meshes only), or `from_state_dict`.
    """

    task: Task
    center: tuple[float, ...]
    scale: float
    inputs: tuple[Scaler, ...]
    targets: tuple[Scaler, ...]
    globals: tuple[Scaler, ...]
    spacing: tuple[float, float]
    max_tokens: int = 512
    mode: Literal["standard", "scale"] = "standard"
    units: dict[str, str] = field(default_factory=dict)
    token_size: float = 0.0
    gap: float = 0.0

    @classmethod
    def fit(
        cls,
        meshes: Iterable[Mesh | PointCloud],
        task: Task,
        *,
        mode: Literal["standard", "scale"] = "standard",
        globals_mode: Literal["standard", "scale"] = "standard",
        max_tokens: int = 512,
    ) -> "Normalizer":
        """Fits the statistics of training meshes.

        Raises:
            KeyError, ValueError: a mesh lacks a field, has NaN, or differs in dimension or channels.
        """
        raws, units = [], {}
        for i, mesh in enumerate(meshes):
            raws.append(raw_sample(mesh, task, name=f"mesh {i}"))
            units = units or dict(mesh.units)
        return cls.fit_raw(raws, task, mode=mode, globals_mode=globals_mode, max_tokens=max_tokens, units=units)

    @classmethod
    def fit_raw(
        cls,
        raws: Sequence[Raw],
        task: Task,
        *,
        mode: Literal["standard", "scale"] = "standard",
        globals_mode: Literal["standard", "scale"] = "standard",
        max_tokens: int = 512,
        units: dict[str, str] | None = None,
    ) -> "Normalizer":
        """Fits the statistics of prepared training samples."""
        if not raws:
            raise ValueError("cannot fit a normaliser on an empty training set")
        for name, value in (("mode", mode), ("globals_mode", globals_mode)):
            if value not in ("standard", "scale"):
                raise ValueError(f"{name} must be 'standard' or 'scale', got {value!r}")
        low = torch.stack([r["pos"].double().amin(0) for r in raws]).amin(0)
        high = torch.stack([r["pos"].double().amax(0) for r in raws]).amax(0)
        spacing = torch.stack([r["spacing"] for r in raws])
        targets = tuple(_fit(raws, f"out:{n}", n, categories=False) for n in task.targets)
        if mode == "scale":
            targets = tuple(Scaler(t.name, (0.0,) * len(t.mean), t.std) for t in targets)
        parameters = tuple(_fit(raws, f"mu:{n}", n, categories=False) for n in task.globals)
        if globals_mode == "scale":
            parameters = tuple(_fit_size(raws, n) for n in task.globals)
        names = (*task.inputs, *task.targets, *task.globals, "points")
        return cls(
            task=task,
            center=tuple(((low + high) / 2).tolist()),
            scale=float((high - low).max() / 2) or 1.0,
            inputs=tuple(_fit(raws, f"in:{n}", n) for n in task.inputs),
            targets=targets,
            globals=parameters,
            spacing=(float(spacing[:, 0].min()), float(spacing[:, 2].max())),
            max_tokens=max_tokens,
            mode=mode,
            units={n: u for n, u in (units or {}).items() if n in names},
            token_size=float(np.quantile(torch.cat([facet_sizes(r) for r in raws]).double().numpy(), 0.05)),
            gap=_gap(raws),
        )

    @property
    def sizes(self) -> Sizes:
        """Channels of the data, which networks are built for."""

        def total(scalers: Iterable[Scaler]) -> int:
            return sum(s.channels for s in scalers)

        return Sizes(len(self.center), total(self.inputs), total(self.targets), total(self.globals))

    @property
    def slices(self) -> dict[str, slice]:
        """Channels of each target in a prediction."""
        ends, start = {}, 0
        for t in self.targets:
            ends[t.name] = slice(start, start + t.channels)
            start += t.channels
        return ends

    def target_scale(self) -> tuple[Float[Tensor, " outputs"], Float[Tensor, " outputs"]]:
        """Returns mean and deviation of all target channels."""
        mean = [m for t in self.targets for m in t.mean]
        std = [s for t in self.targets for s in t.std]
        return torch.tensor(mean, dtype=torch.double), torch.tensor(std, dtype=torch.double)

    def sample(self, mesh: Mesh | PointCloud, targets: bool = True, *, index: int = -1, name: str = "mesh") -> "Data":
        """Returns the sample that networks see, as torch_geometric `Data` in float32.

        Keys: pos, x, sdf, y (with `targets`), token_pos, token_normal, token_size, token_x, tokens (their number),
        mu (1, globals), index (1,). Batches of samples become padded `Shapes` by `to_shapes`.

        Args:
            mesh: a mesh or point cloud with the fields of the task.
            targets: whether the mesh has the target fields.
            index: number of the shape, part of `Shapes.key`.
            name: what error messages call the mesh, usually its path.

        Raises:
            KeyError, ValueError, TypeError: fields are missing, not numeric or not finite; unknown categories; another
                dimension.
        """
        return self.encode(raw_sample(mesh, self.task, name=name, targets=targets), index, name)

    def encode(self, raw: Raw, index: int = -1, name: str = "mesh", *, phases: int = 1) -> "Data":
        """Returns the normalised sample of a prepared mesh; its tokens once for each phase, see `boundary_tokens`."""
        from ._sample import Sample

        if raw["pos"].shape[1] != len(self.center):
            raise ValueError(f"{name}: is {raw['pos'].shape[1]}D, the training set is {len(self.center)}D")
        n = len(raw["pos"])
        x = torch.cat([torch.zeros(n, 0).double()] + [s.encode(raw[f"in:{s.name}"], name) for s in self.inputs], 1)
        mu = torch.cat([torch.zeros(0).double()] + [s.encode(raw[f"mu:{s.name}"], name) for s in self.globals])
        try:
            tokens = boundary_tokens(raw, size=self.token_size, most=self.max_tokens, phases=phases)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
        # Lengths in the plane, areas in space; the points of a cloud (no normals) keep their unit measure.
        measure = self.scale ** (len(self.center) - 1) if tokens.normal.any() else 1.0
        arrays = {
            "pos": self.positions(raw["pos"]),
            "x": x,
            "sdf": raw["sdf"].double() / self.scale,
            "token_pos": self.positions(tokens.pos.flatten(0, 1)),
            "token_normal": tokens.normal.flatten(0, 1),
            "token_size": tokens.size.flatten(0, 1).double() / measure,
            "token_x": (x[tokens.index] * tokens.weight[..., None].double()).sum(2).flatten(0, 1),
            "mu": mu[None],
        }
        if all(f"out:{t.name}" in raw for t in self.targets):
            arrays["y"] = torch.cat([t.encode(raw[f"out:{t.name}"], name) for t in self.targets], 1)
        arrays = {k: v.float() for k, v in arrays.items()}
        return Sample(**arrays, tokens=torch.tensor([tokens.pos.shape[1]]), index=torch.tensor([index]))

    def positions(self, points: Float[Tensor, "points dim"]) -> Float[Tensor, "points dim"]:
        """Returns normalised positions, float64."""
        return (points.double() - torch.tensor(self.center).double()) / self.scale

    def query(
        self, mesh: Mesh | PointCloud | Facets, points: Float[Tensor, "points dim"]
    ) -> tuple[Float[Tensor, "points dim"], Float[Tensor, "points 1"]]:
        """Returns normalised positions and signed distances of any points relative to a shape, in float32.

        For many calls with one mesh pass its `outline`.
        """
        shape = self.outline(mesh) if isinstance(mesh, Mesh) else mesh
        return self.positions(points).float(), (distance_to(shape, points).double() / self.scale).float()

    @staticmethod
    def outline(mesh: Mesh | PointCloud) -> Facets | PointCloud:
        """Returns the boundary that distances are taken from: in the plane with smooth curves between corners."""
        return smooth(bounded(mesh))

    def restore(self, prediction: Float[Tensor, "*batch outputs"], name: str) -> Float[Tensor, "*batch channels"]:
        """Returns a target of a prediction in physical units.

        Raises:
            KeyError: no such target.
        """
        if name not in self.slices:
            raise KeyError(f"no target {name!r}: the task predicts {list(self.slices)}")
        scaler = next(t for t in self.targets if t.name == name)
        mean, std = (torch.tensor(v, dtype=torch.double, device=prediction.device) for v in (scaler.mean, scaler.std))
        return (prediction[..., self.slices[name]].double() * std + mean).to(prediction.dtype)

    def state_dict(self) -> dict[str, Any]:
        """Returns plain numbers, lists and names, which JSON keeps exactly."""
        state = asdict(self)
        state["task"] = self.task.to_dict()
        return _plain(state)

    @classmethod
    def from_state_dict(cls, state: dict[str, Any]) -> "Normalizer":
        """Rebuilds a normaliser.

        Raises:
            ValueError: `state` is not what `state_dict` returns.
        """
        try:
            scalers = {
                role: tuple(Scaler(s["name"], tuple(s["mean"]), tuple(s["std"]), tuple(s["categories"])) for s in state[role])
                for role in ("inputs", "targets", "globals")
            }
            return cls(
                task=Task(**state["task"]),
                center=tuple(state["center"]),
                scale=float(state["scale"]),
                spacing=(float(state["spacing"][0]), float(state["spacing"][1])),
                max_tokens=int(state["max_tokens"]),
                mode=state["mode"],
                units=dict(state["units"]),
                token_size=float(state.get("token_size", 0.0)),
                gap=float(state.get("gap", 0.0)),
                **scalers,
            )
        except (KeyError, TypeError, IndexError) as error:
            raise ValueError(f"not the state of a Normalizer: {type(error).__name__} {error}") from error


def _gap(raws: Sequence[Raw]) -> float:
    """Returns how deep the first nodes inside lie: the half percentile of the depths of all that are not on the boundary."""
    depth = torch.cat([r["sdf"] for r in raws]).double().flatten().numpy()
    inside = -depth[depth < 0]
    inside = inside[inside > 1e-3 * np.median(inside)] if len(inside) else inside
    return float(np.quantile(inside, 0.005)) if len(inside) else 0.0


def _fit(raws: Sequence[Raw], key: str, name: str, categories: bool = True) -> Scaler:
    values = [r[key] if key[:2] != "mu" else r[key][None] for r in raws]
    widths = {v.shape[-1] for v in values}
    if len(widths) > 1:
        raise ValueError(f"field {name!r} has {sorted(widths)} channels in different files; it must have the same in all")
    if categories and not values[0].is_floating_point():
        if widths != {1}:
            raise ValueError(f"integer field {name!r} has {widths.pop()} channels; make one category field of each")
        found = sorted(set().union(*(v.unique().tolist() for v in values)))
        if len(found) > MAX_CATEGORIES:
            raise ValueError(f"integer field {name!r} has {len(found)} values, more than {MAX_CATEGORIES}: store it as float")
        return Scaler(name, categories=tuple(int(c) for c in found))
    # Chan's merge of per-mesh moments keeps the precision of two passes without a copy of the set.
    count, mean, square = 0, torch.zeros(1).double(), torch.zeros(1).double()
    for v in values:
        v = v.double()
        n, m = len(v), v.mean(0)
        delta = m - mean
        square = square + (v - m).square().sum(0) + delta.square() * (count * n / (count + n))
        mean = mean + delta * (n / (count + n))
        count += n
    std = (square / count).sqrt()
    # Rounding leaves a tiny deviation on a constant channel, which would blow it up.
    std = torch.where(std > 1e-12 * mean.abs(), std, torch.ones_like(std))
    std = torch.where(std > 0, std, torch.ones_like(std))
    return Scaler(name, tuple(mean.tolist()), tuple(std.tolist()))


def _fit_size(raws: Sequence[Raw], name: str) -> Scaler:
    """Returns a scaler that divides all channels by their common size, so that a vector keeps its direction."""
    values = torch.stack([r[f"mu:{name}"].double() for r in raws])
    size = float(values.square().mean().sqrt()) or 1.0
    return Scaler(name, (0.0,) * values.shape[1], (size,) * values.shape[1])


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, tuple | list) else value
