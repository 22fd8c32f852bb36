"""Exact laws and simulators."""

from ._mooney_rivlin import MooneyRivlin as MooneyRivlin
from ._mooney_rivlin import von_mises_plane_stress as von_mises_plane_stress
