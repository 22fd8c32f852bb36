"""Complete networks, one file each; none imports another."""

from ._enf import ENF as ENF
from ._enf import ENF2ENF as ENF2ENF
from ._enf import field_enf as field_enf
from ._enf import geometry_enf as geometry_enf
from ._mlp import PointwiseMLP as PointwiseMLP
from ._nclaw import NCLawElastic as NCLawElastic
from ._nclaw import NCLawPlastic as NCLawPlastic
from ._network import Network as Network
from ._oneshot import OneShotENF as OneShotENF
from ._pointnet import PointNet as PointNet
from ._stress_baselines import PrincipalStressNet as PrincipalStressNet
from ._stress_baselines import StretchSplines as StretchSplines
from ._structured_law import IsotropicEnergy as IsotropicEnergy
from ._structured_law import YieldProjection as YieldProjection
from ._transolver import Transolver as Transolver
