"""Exact laws and simulators."""

from ._by_material import ByMaterial as ByMaterial
from ._elastic import ElasticLaw as ElasticLaw
from ._elastic import FixedCorotated as FixedCorotated
from ._elastic import Hencky as Hencky
from ._elastic import NeoHookean as NeoHookean
from ._elastic import StVenantKirchhoff as StVenantKirchhoff
from ._elastic import Tait as Tait
from ._elastic import WeaklyCompressible as WeaklyCompressible
from ._elastic import determinant as determinant
from ._law import Law as Law
from ._material import MATERIALS as MATERIALS
from ._material import Material as Material
from ._material import material as material
from ._mooney_rivlin import MooneyRivlin as MooneyRivlin
from ._mooney_rivlin import von_mises_plane_stress as von_mises_plane_stress
from ._mpm import MPM as MPM
from ._mpm_state import Box as Box
from ._mpm_state import Particles as Particles
from ._return_maps import DruckerPrager as DruckerPrager
from ._return_maps import Unchanged as Unchanged
from ._return_maps import VolumeOnly as VolumeOnly
from ._return_maps import VonMises as VonMises
from ._to_nodes import to_nodes as to_nodes
from ._trajectory import Trajectory as Trajectory
from ._trajectory import mean_position_mse as mean_position_mse
from ._trajectory import position_mse as position_mse
