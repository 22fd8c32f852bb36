"""A check for NaN and infinity."""

from collections.abc import Iterable

import torch

from ._fields import missing_field
from ._mesh import Mesh
from ._pointcloud import PointCloud


def check_finite(shape: Mesh | PointCloud, names: Iterable[str] | None = None) -> None:
    """Requires finite values in fields.

    Args:
        shape: a mesh or cloud.
        names: point, cell or global fields; all of them by default.

    Raises:
        KeyError: there is no field of a name.
        ValueError: NaN or infinity in a field; the message names all such fields, with counts and the first place.
    """
    roles = {
        "point": shape.point_fields,
        "cell": shape.cell_fields if isinstance(shape, Mesh) else {},
        "global": shape.global_fields,
    }
    known = [name for fields in roles.values() for name in fields]
    bad = []
    for name in dict.fromkeys(known if names is None else names):
        if name not in known:
            raise missing_field(name, "point, cell or global", dict.fromkeys(known))
        for role, fields in roles.items():
            value = fields.get(name)
            if not isinstance(value, torch.Tensor) or bool(torch.isfinite(value).all()):
                continue
            rows = value.reshape(len(value), -1) if value.ndim else value.reshape(1, 1)
            wrong = (~torch.isfinite(rows)).any(1).nonzero().flatten()
            bad.append(f"{role} field {name!r} at {len(wrong)} of {len(rows)} rows, first {int(wrong[0])}")
    if bad:
        raise ValueError(f"NaN or infinite values: {'; '.join(bad)}")
