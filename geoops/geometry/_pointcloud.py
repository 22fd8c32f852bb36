"""Points with fields, without cells."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from jaxtyping import Float
from torch import Tensor

from ._fields import check_fields, check_points, check_units, describe


@dataclass(frozen=True, eq=False)
class PointCloud:
    """Points in the plane or in space, with named fields. Immutable: `dataclasses.replace` or `with_fields` make
    changed copies.

    Args:
        points: coordinates, float32 or float64, finite.
        point_fields: tensors by name, first axis over the points.
        global_fields: tensors of any shape, or text, by name.
        units: unit of each field by name; the key ``"points"`` holds the unit of the coordinates.

    Raises:
        TypeError: something is not a CPU tensor, or has the wrong dtype.
        ValueError: no points, NaN or infinite coordinates, a field of the wrong length, a unit without its field.
    """

    points: Float[Tensor, "nodes dim"]
    point_fields: dict[str, Tensor] = field(default_factory=dict)
    global_fields: dict[str, Tensor | str] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_points(self.points, "point cloud")
        check_fields(self.point_fields, len(self.points), "point", "point cloud")
        check_fields(self.global_fields, None, "global", "point cloud")
        check_units(self.units, [*self.point_fields, *self.global_fields], "point cloud")
        # The caller's dicts stay the caller's: a later change there must not reach a validated object.
        for name in ("point_fields", "global_fields", "units"):
            object.__setattr__(self, name, dict(getattr(self, name)))

    @property
    def dim(self) -> int:
        """Dimension of the space, 2 or 3."""
        return self.points.shape[1]

    def __len__(self) -> int:
        return len(self.points)

    def __repr__(self) -> str:
        return describe("PointCloud", self)

    def with_fields(
        self,
        points: Mapping[str, Tensor] | None = None,
        globals: Mapping[str, Tensor | str] | None = None,
        units: Mapping[str, str] | None = None,
    ) -> "PointCloud":
        """Returns a copy with fields added at the end, or replaced where the name is there already."""
        return replace(
            self,
            point_fields={**self.point_fields, **(points or {})},
            global_fields={**self.global_fields, **(globals or {})},
            units={**self.units, **(units or {})},
        )

    @classmethod
    def from_pyvista(cls, obj: Any) -> "PointCloud":
        """Takes the points and their arrays from a pyvista or vtk data set; see `as_mesh`."""
        from ._vtk_read import from_vtk

        return _cloud(from_vtk(obj), "pyvista")

    def to_pyvista(self) -> Any:
        """Returns a `pyvista.PolyData` with one vertex cell for each point."""
        import pyvista

        from ._vtk_write import to_vtk_polydata

        return pyvista.wrap(to_vtk_polydata(self))

    @classmethod
    def from_meshio(cls, obj: Any) -> "PointCloud":
        """Takes a `meshio.Mesh` without cells (or with only vertex cells)."""
        from ._meshio import from_meshio

        return _cloud(from_meshio(obj), "meshio")

    def to_meshio(self) -> Any:
        """Returns a `meshio.Mesh` without cells."""
        from ._meshio import to_meshio

        return to_meshio(self)

    @classmethod
    def from_trimesh(cls, obj: Any) -> "PointCloud":
        """Takes a `trimesh.PointCloud`."""
        from ._trimesh import from_trimesh

        return _cloud(from_trimesh(obj), "trimesh")

    def to_trimesh(self) -> Any:
        """Returns a `trimesh.PointCloud`; fields travel in its metadata, since it has no place for them."""
        from ._trimesh import to_trimesh

        return to_trimesh(self)

    @classmethod
    def from_data(cls, obj: Any) -> "PointCloud":
        """Takes a torch_geometric `Data` with `pos` and without cells."""
        from ._data import from_data

        return _cloud(from_data(obj), "torch_geometric")

    def to_data(self) -> Any:
        """Returns a torch_geometric `Data` with `pos` and the fields under their names."""
        from ._data import to_data

        return to_data(self)


def _cloud(shape: Any, source: str) -> PointCloud:
    if not isinstance(shape, PointCloud):
        raise ValueError(f"the {source} object has {len(shape.cells)} cells; use Mesh.from_{source} or as_mesh to keep them")
    return shape
