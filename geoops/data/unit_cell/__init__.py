"""Unit cell: a hyperelastic square with a random void, held below and pulled above."""

from ._case import Case as Case
from ._case import CaseOptions as CaseOptions
from ._case import Level as Level
from ._case import solve_case as solve_case
from ._files import write_case as write_case
from ._make import make as make
from ._mesh import CaseRejected as CaseRejected
from ._void import Void as Void
