"""Meshes and point clouds, their boundaries, distances and measures; graphs of particles."""

from typing import TYPE_CHECKING, Any

from ._body_box import BodyBox as BodyBox
from ._body_box import mean_of_bodies as mean_of_bodies
from ._boundary import Facets as Facets
from ._boundary import boundary_facets as boundary_facets
from ._cells import Cells as Cells
from ._cells import known_kinds as known_kinds
from ._choose import Choice as Choice
from ._choose import check_samples as check_samples
from ._choose import choose_samples as choose_samples
from ._choose import near_surface as near_surface
from ._connect import bodies as bodies
from ._connect import components as components
from ._connect import connecting_radius as connecting_radius
from ._connect import degree_radius as degree_radius
from ._connect import delaunay_graph as delaunay_graph
from ._connect import sample_spacing as sample_spacing
from ._convert import as_mesh as as_mesh
from ._convert import like as like
from ._distance import closest_points as closest_points
from ._distance import distance as distance
from ._distance import signed_distance as signed_distance
from ._fill import fill as fill
from ._fill import lattice as lattice
from ._finite import check_finite as check_finite
from ._interpolate import interpolate as interpolate
from ._interpolate import interpolation_weights as interpolation_weights
from ._lattice import lattice_nodes as lattice_nodes
from ._lattice import lattice_points as lattice_points
from ._measures import cell_measures as cell_measures
from ._measures import edges as edges
from ._measures import mean_edge_length as mean_edge_length
from ._mesh import Mesh as Mesh
from ._neighbourhood import Nearest as Nearest
from ._neighbourhood import Neighbourhood as Neighbourhood
from ._neighbourhood import combine as combine
from ._neighbourhood import nearest_samples as nearest_samples
from ._neighbourhood import neighbourhood as neighbourhood
from ._neighbourhood import spline_shape as spline_shape
from ._outline import Outline as Outline
from ._outline import Pieces as Pieces
from ._pointcloud import PointCloud as PointCloud
from ._sampling import farthest_points as farthest_points
from ._sampling import point_spacing as point_spacing
from ._shapes import Shapes as Shapes
from ._shapes import Sizes as Sizes
from ._solids import Capsule as Capsule
from ._solids import Cuboid as Cuboid
from ._solids import Gyroid as Gyroid
from ._solids import MeshSolid as MeshSolid
from ._solids import RoundedBox as RoundedBox
from ._solids import Solid as Solid
from ._solids import Sphere as Sphere
from ._solids import Star as Star
from ._solids import Torus as Torus

if TYPE_CHECKING:
    from ._particle_graph import ParticleGraph as ParticleGraph


def __getattr__(name: str) -> Any:
    if name == "ParticleGraph":  # torch_geometric takes a second to load
        from ._particle_graph import ParticleGraph

        return ParticleGraph
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
