"""Complete networks, one file each; none imports another.

Steppers of particles load on first use, since torch_geometric takes a second to load.
"""

from typing import TYPE_CHECKING, Any

from ._crom import CROM as CROM
from ._decoder import Decoder as Decoder
from ._decoder import DecoderStart as DecoderStart
from ._decoder import DecoderState as DecoderState
from ._enf import ENF as ENF
from ._enf import ENF2ENF as ENF2ENF
from ._enf import field_enf as field_enf
from ._enf import geometry_enf as geometry_enf
from ._flow_map import FlowMap as FlowMap
from ._grid_splat import GridSplat as GridSplat
from ._integral_kernel import IntegralKernel as IntegralKernel
from ._interpolation import InverseDistance as InverseDistance
from ._interpolation import LocalSpline as LocalSpline
from ._interpolation import MovingLeastSquares as MovingLeastSquares
from ._interpolation import Nearest as Nearest
from ._licrom import LiCROM as LiCROM
from ._local_affine import LocalAffine as LocalAffine
from ._mlp import PointwiseMLP as PointwiseMLP
from ._nclaw import NCLawElastic as NCLawElastic
from ._nclaw import NCLawPlastic as NCLawPlastic
from ._network import Network as Network
from ._oneshot import OneShotENF as OneShotENF
from ._pod import POD as POD
from ._pointnet import PointNet as PointNet
from ._stress_baselines import PrincipalStressNet as PrincipalStressNet
from ._stress_baselines import StretchSplines as StretchSplines
from ._structured_law import IsotropicEnergy as IsotropicEnergy
from ._structured_law import YieldProjection as YieldProjection
from ._thin_plate import ThinPlate as ThinPlate
from ._transolver import Transolver as Transolver

if TYPE_CHECKING:
    from ._authors_giorom import AuthorsGIOROM as AuthorsGIOROM
    from ._giorom import GIOROM as GIOROM
    from ._gns import GNS as GNS
    from ._stepper import MotionScale as MotionScale
    from ._stepper import Stepper as Stepper
    from ._stepper import StepperSizes as StepperSizes

_LATER = {
    "GIOROM": "_giorom",
    "AuthorsGIOROM": "_authors_giorom",
    "GNS": "_gns",
    "MotionScale": "_stepper",
    "Stepper": "_stepper",
    "StepperSizes": "_stepper",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f".{_LATER[name]}", __name__), name)
    globals()[name] = value
    return value
