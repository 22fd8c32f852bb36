"""Trained surrogates at work: load, predict on meshes, measure super-resolution; simulations of scenes, with laws
or with trained steppers, and pictures of them.
"""

from ._animate import animate as animate
from ._files import predict as predict
from ._load import load as load
from ._memory import parse_memory as parse_memory
from ._predictor import Encoded as Encoded
from ._predictor import Predictor as Predictor
from ._report import SuperResReport as SuperResReport
from ._report import SuperResRow as SuperResRow
from ._report import superres_table as superres_table
from ._rollout import RolloutReport as RolloutReport
from ._rollout import rollout as rollout
from ._simulate import SimulationReport as SimulationReport
from ._simulate import simulate as simulate
from ._superres import superres as superres
