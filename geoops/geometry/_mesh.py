"""Points, cells of mixed kinds, and fields on both."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from ._cells import Cells
from ._fields import check_fields, check_points, check_units, describe
from ._pointcloud import PointCloud


@dataclass(frozen=True, eq=False)
class Mesh:
    """A mesh in the plane or in space, with named fields. Immutable: `dataclasses.replace` or `with_fields` make
    changed copies.

    Args:
        points: coordinates, float32 or float64, finite.
        cells: cells of any kinds, in any order.
        point_fields: tensors by name, first axis over the points.
        cell_fields: tensors by name, first axis over the cells.
        global_fields: tensors of any shape, or text, by name.
        units: unit of each field by name; the key ``"points"`` holds the unit of the coordinates.

    Raises:
        TypeError: something is not a CPU tensor, or has the wrong dtype.
        ValueError: no points, NaN or infinite coordinates, cells that refer to absent points, solid cells in the
            plane, a field of the wrong length, a unit without its field.
    """

    points: Float[Tensor, "nodes dim"]
    cells: Cells
    point_fields: dict[str, Tensor] = field(default_factory=dict)
    cell_fields: dict[str, Tensor] = field(default_factory=dict)
    global_fields: dict[str, Tensor | str] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_points(self.points, "mesh")
        if not isinstance(self.cells, Cells):
            raise TypeError(f"mesh: cells must be Cells (see Cells.from_blocks), got {type(self.cells).__name__}")
        nodes = self.cells.connectivity
        if len(nodes) and int(nodes.max()) >= len(self.points):
            first = int((nodes >= len(self.points)).nonzero()[0])
            cell = int(torch.searchsorted(self.cells.offsets, first, right=True)) - 1
            raise ValueError(
                f"mesh: cell {cell} refers to the absent point {int(nodes[first])}; there are {len(self.points)} "
                f"points, numbered from 0 to {len(self.points) - 1}"
            )
        if self.dim == 2 and self.cells.dim == 3:
            raise ValueError(f"mesh: points in the plane cannot carry solid cells ({', '.join(self.cells.counts())})")
        check_fields(self.point_fields, len(self.points), "point", "mesh")
        check_fields(self.cell_fields, len(self.cells), "cell", "mesh")
        check_fields(self.global_fields, None, "global", "mesh")
        check_units(self.units, [*self.point_fields, *self.cell_fields, *self.global_fields], "mesh")
        # The caller's dicts stay the caller's: a later change there must not reach a validated object.
        for name in ("point_fields", "cell_fields", "global_fields", "units"):
            object.__setattr__(self, name, dict(getattr(self, name)))

    @property
    def dim(self) -> int:
        """Dimension of the space, 2 or 3."""
        return self.points.shape[1]

    def __len__(self) -> int:
        return len(self.points)

    def __repr__(self) -> str:
        return describe("Mesh", self, f"cells {self.cells.counts() or 'none'}, ")

    def with_fields(
        self,
        points: Mapping[str, Tensor] | None = None,
        cells: Mapping[str, Tensor] | None = None,
        globals: Mapping[str, Tensor | str] | None = None,
        units: Mapping[str, str] | None = None,
    ) -> "Mesh":
        """Returns a copy with fields added at the end, or replaced where the name is there already."""
        return replace(
            self,
            point_fields={**self.point_fields, **(points or {})},
            cell_fields={**self.cell_fields, **(cells or {})},
            global_fields={**self.global_fields, **(globals or {})},
            units={**self.units, **(units or {})},
        )

    def to_cloud(self) -> PointCloud:
        """Returns the points with their fields, the global fields and the units; cells and cell fields are left out."""
        kept = {"points", *self.point_fields, *self.global_fields}
        units = {name: unit for name, unit in self.units.items() if name in kept}
        return PointCloud(self.points, self.point_fields, self.global_fields, units)

    @classmethod
    def from_pyvista(cls, obj: Any) -> "Mesh":
        """Takes a pyvista or vtk data set: unstructured, surface, structured, image, rectilinear, or blocks of them.

        The parts of a MultiBlock are joined in order (points are not merged); the cell field ``block`` holds the
        number of the part, the global field ``block_names`` the names as a JSON list.
        """
        from ._vtk_read import mesh_from_vtk

        return mesh_from_vtk(obj)[0]

    def to_pyvista(self) -> Any:
        """Returns a `pyvista.UnstructuredGrid`; points in the plane get z = 0."""
        import pyvista

        from ._vtk_write import to_vtk

        return pyvista.wrap(to_vtk(self))

    @classmethod
    def from_meshio(cls, obj: Any) -> "Mesh":
        """Takes a `meshio.Mesh`; point and cell sets become boolean fields."""
        from ._meshio import from_meshio

        return _mesh(from_meshio(obj))

    def to_meshio(self) -> Any:
        """Returns a `meshio.Mesh` whose blocks are the consecutive runs of one kind."""
        from ._meshio import to_meshio

        return to_meshio(self)

    @classmethod
    def from_trimesh(cls, obj: Any) -> "Mesh":
        """Takes a `trimesh.Trimesh` with its vertex and face attributes, or a `trimesh.Scene`."""
        from ._trimesh import from_trimesh

        return _mesh(from_trimesh(obj))

    def to_trimesh(self) -> Any:
        """Returns a `trimesh.Trimesh`.

        Raises:
            ValueError: there are cells other than triangles.
        """
        from ._trimesh import to_trimesh

        return to_trimesh(self)

    @classmethod
    def from_data(cls, obj: Any) -> "Mesh":
        """Takes a torch_geometric `Data`: `pos`, `face`, node attributes; or the richer one that `to_data` makes."""
        from ._data import from_data

        return _mesh(from_data(obj))

    def to_data(self) -> Any:
        """Returns a torch_geometric `Data`: `pos`, `face` where all cells are triangles, fields under their names."""
        from ._data import to_data

        return to_data(self)


def _mesh(shape: Mesh | PointCloud) -> Mesh:
    if isinstance(shape, Mesh):
        return shape
    return Mesh(shape.points, Cells.empty(), shape.point_fields, {}, shape.global_fields, shape.units)
