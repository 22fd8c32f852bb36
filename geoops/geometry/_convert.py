"""Any library's mesh in, the same library's mesh out."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ._mesh import Mesh
from ._pointcloud import PointCloud

Shape = Mesh | PointCloud


def as_mesh(obj: Any) -> Shape:
    """Returns a mesh or cloud for an object of any known library.

    Args:
        obj: a geoops `Mesh` or `PointCloud`; a pyvista or vtk data set or MultiBlock; a `meshio.Mesh`; a trimesh
            `Trimesh`, `PointCloud` or `Scene`; a torch_geometric `Data`.

    Raises:
        TypeError: another kind of object.
    """
    return _IMPORT[_library(obj)](obj)


def like(obj: Any, mesh: Shape) -> Any:
    """Returns `mesh` as the kind of object that `obj` is; undoes `as_mesh`.

    Where points and cells are as many as in `obj`, the result is a copy of `obj` (its dimensions, blocks, sets,
    materials and so on stay) with the points and fields of `mesh`. Otherwise it is a new object of the nearest type
    that can hold the mesh.
    """
    return _EXPORT[_library(obj)](obj, mesh)


def _library(obj: Any) -> str:
    if isinstance(obj, Shape):
        return "geoops"
    if hasattr(obj, "IsA") and hasattr(obj, "GetClassName"):
        return "vtk"
    names = {cls.__module__.split(".")[0] + "." + cls.__name__ for cls in type(obj).__mro__}
    for library, wanted in (
        ("meshio", {"meshio.Mesh"}),
        ("trimesh", {"trimesh.Trimesh", "trimesh.PointCloud", "trimesh.Scene"}),
        ("data", {"torch_geometric.Data"}),
    ):
        if names & wanted:
            return library
    raise TypeError(
        f"cannot make a mesh of a {type(obj).__module__}.{type(obj).__name__}; expected a geoops Mesh or "
        "PointCloud, or an object of pyvista (vtk), meshio, trimesh or torch_geometric "
        "(to read a file use geoops.io.read)"
    )


def _from_vtk(obj: Any) -> Shape:
    from ._vtk_read import from_vtk

    return from_vtk(obj)


def _from_meshio(obj: Any) -> Shape:
    from ._meshio import from_meshio

    return from_meshio(obj)


def _from_trimesh(obj: Any) -> Shape:
    from ._trimesh import from_trimesh

    return from_trimesh(obj)


def _from_data(obj: Any) -> Shape:
    from ._data import from_data

    return from_data(obj)


def _like_geoops(obj: Any, mesh: Shape) -> Shape:
    return mesh


def _like_vtk(obj: Any, mesh: Shape) -> Any:
    from ._vtk_write import restored

    return restored(obj, mesh)


def _like_meshio(obj: Any, mesh: Shape) -> Any:
    from ._meshio import to_meshio

    if isinstance(mesh, PointCloud) or sum(len(block) for block in obj.cells) != len(mesh.cells):
        return to_meshio(mesh)
    made = to_meshio(mesh, [len(block) for block in obj.cells])
    made.points = _padded(mesh, obj.points.shape[1])
    # Sets came in as boolean fields; they go back as what they were.
    for name in obj.point_sets or {}:
        made.point_data.pop(name, None)
    for name in obj.cell_sets or {}:
        made.cell_data.pop(name, None)
    if not any(len(block) == 0 for block in obj.cells):
        made.point_sets, made.cell_sets = obj.point_sets, obj.cell_sets
    if isinstance(obj.info, dict):
        made.info = {**obj.info, **made.info}
    made.gmsh_periodic = obj.gmsh_periodic
    return made


def _like_trimesh(obj: Any, mesh: Shape) -> Any:
    from ._trimesh import NOTES, to_trimesh

    made = to_trimesh(mesh)
    same = hasattr(obj, "faces") == hasattr(made, "faces") and hasattr(obj, "vertices") and len(obj.vertices) == len(mesh.points)
    if not same or (hasattr(obj, "faces") and not np.array_equal(obj.faces, made.faces)):
        return made
    copy = obj.copy()
    if not np.array_equal(copy.vertices, made.vertices):
        copy.vertices = made.vertices
    if hasattr(made, "faces"):
        copy.vertex_attributes, copy.face_attributes = made.vertex_attributes, made.face_attributes
    copy.metadata[NOTES] = made.metadata[NOTES]
    return copy


def _like_data(obj: Any, mesh: Shape) -> Any:
    from ._data import NOTES, to_data

    made = to_data(mesh)
    if NOTES in obj:
        return made
    # A Data from elsewhere keeps its own attributes and layout; new fields are added under their names.
    copy = obj.clone()
    if len(copy.pos) != len(mesh.points) or copy.pos.shape[1] != mesh.dim:
        return made
    copy.pos = mesh.points.to(copy.pos.device)
    for key, value in made.to_dict().items():
        if key not in {"pos", "face", NOTES, "cell_kinds", "cell_offsets", "cell_connectivity"}:
            copy[key] = value.to(obj.pos.device) if isinstance(value, Tensor) else value
    return copy


def _padded(mesh: Shape, columns: int) -> np.ndarray:
    return torch.nn.functional.pad(mesh.points.detach(), (0, max(0, columns - mesh.dim))).numpy().copy()


_IMPORT = {
    "geoops": lambda obj: obj,
    "vtk": _from_vtk,
    "meshio": _from_meshio,
    "trimesh": _from_trimesh,
    "data": _from_data,
}
_EXPORT = {
    "geoops": _like_geoops,
    "vtk": _like_vtk,
    "meshio": _like_meshio,
    "trimesh": _like_trimesh,
    "data": _like_data,
}
