"""Errors of a network on whole shapes."""

from dataclasses import fields
from typing import Any, final

import torch
from torch import Tensor

from geoops.data import FieldBatch, Normalizer
from geoops.geometry import Shapes
from geoops.models import Network

from ._losses import FieldScale, relative_errors
from ._metrics import MetricRegion, flatten, summarise


@final
class Evaluation:
    """Collects relative L2 errors of shapes, everywhere and in regions, and summarises them.

    The error of a shape with several target fields is the mean over the fields.
    """

    def __init__(self, normalizer: Normalizer, scale: FieldScale, regions: list[MetricRegion], chunk: int = 65536):
        self.normalizer, self.scale, self.regions, self.chunk = normalizer, scale, regions, chunk
        self.errors: dict[str, list[Tensor]] = {}

    def add(self, network: Network, batch: FieldBatch) -> None:
        """Evaluates a batch."""
        prediction = predict(network, batch, self.chunk).double()
        target, scale = batch.target.double(), self.scale
        center = torch.tensor(self.normalizer.center, dtype=torch.double, device=target.device)
        points = batch.pos.double() * self.normalizer.scale + center
        masks = {"rel_l2": batch.mask}
        for region in self.regions:
            inside = batch.mask & region.contains(points)
            if not inside.any(1).all():
                raise ValueError(f"metric region {region.name!r} has no points in a shape: make its radius smaller")
            masks[f"rel_l2/{region.name}"] = inside
        names = [t.name for t in self.normalizer.targets]
        for name, mask in masks.items():
            errors = relative_errors(prediction, target, scale, mask)
            self.errors.setdefault(name, []).append(errors.mean(1))
            if len(names) > 1:
                for j, field in enumerate(names):
                    self.errors.setdefault(f"{field}/{name}", []).append(errors[:, j])

    def result(self, prefix: str, strategy: Any = None) -> dict[str, float]:
        """Returns mean, median and 95th percentile of each error over all shapes of all processes."""
        joined = {name: torch.cat(parts).cpu() for name, parts in self.errors.items()}
        if strategy is not None and strategy.world_size > 1:
            gathered: list[Any] = [None] * strategy.world_size
            torch.distributed.all_gather_object(gathered, joined)
            names = next(iter(g for g in gathered if g), {})
            joined = {name: torch.cat([g[name] for g in gathered if g]) for name in names}
        return flatten({name: summarise(e) for name, e in joined.items()}, prefix)


def predict(network: Network, batch: FieldBatch, chunk: int) -> Tensor:
    """Returns the field at the queries of a batch, decoded in chunks."""
    if torch.is_autocast_enabled(batch.pos.device.type):
        # Errors are those of the exported network, which computes in full precision.
        with torch.autocast(batch.pos.device.type, enabled=False):
            return predict(network, batch, chunk)
    shapes = batch.shapes
    if network.encodes_with_grad and torch.is_inference_mode_enabled():
        with torch.inference_mode(False):
            shapes = Shapes(**{f.name: getattr(shapes, f.name).clone() for f in fields(shapes)})
            return predict(network, batch._replace(shapes=shapes), chunk)
    if batch.pos.shape[1] <= chunk and not network.encodes_with_grad:
        with torch.no_grad():
            return network(shapes, batch.pos, batch.sdf)
    with torch.set_grad_enabled(network.encodes_with_grad):
        code = network.encode(shapes)
    with torch.no_grad():
        pairs = zip(batch.pos.split(chunk, 1), batch.sdf.split(chunk, 1), strict=True)
        return torch.cat([network.decode(code, pos, sdf) for pos, sdf in pairs], 1)
