"""Particles: bodies of jelly, plasticine, sand or water thrown into a box."""

from ._make import make as make
from ._random_scene import random_scene as random_scene
