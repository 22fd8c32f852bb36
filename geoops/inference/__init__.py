"""Trained surrogates at work: load, predict on meshes, measure super-resolution; simulations of scenes and pictures of them."""

from geoops.learning import checkpoint_names as checkpoint_names
from geoops.learning import find_checkpoint as find_checkpoint

from ._animate import animate as animate
from ._files import predict as predict
from ._load import load as load
from ._memory import parse_memory as parse_memory
from ._predictor import Encoded as Encoded
from ._predictor import Predictor as Predictor
from ._report import SuperResReport as SuperResReport
from ._report import SuperResRow as SuperResRow
from ._report import superres_table as superres_table
from ._simulate import SimulationReport as SimulationReport
from ._simulate import simulate as simulate
from ._superres import superres as superres
