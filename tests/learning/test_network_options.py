import functools

import pytest

from geoops.geometry import Sizes
from geoops.learning._network_options import build, plain_options
from geoops.models import PointwiseMLP

SIZES = Sizes(2, 1, 1)


def instantiate(cls, *args, **kwargs):
    return cls(*args, **kwargs)


def test_options_of_every_kind_of_factory():
    for factory in (
        functools.partial(PointwiseMLP, hidden=9),
        functools.partial(instantiate, PointwiseMLP, hidden=9),
        functools.partial(functools.partial(PointwiseMLP, hidden=8), hidden=9),
    ):
        network, options = build(factory, SIZES, PointwiseMLP)
        assert type(network)(SIZES, **options).state_dict().keys() == network.state_dict().keys()
        assert options["hidden"] == 9
        assert options["depth"] == 5
    assert build(PointwiseMLP, SIZES, PointwiseMLP)[1]["hidden"] == 128


def test_options_must_be_plain():
    network, options = build(PointwiseMLP, SIZES, PointwiseMLP)
    assert plain_options(network, {**options, "depth": (1, 2)})["depth"] == [1, 2]
    with pytest.raises(ValueError, match="options of PointwiseMLP must be numbers"):
        plain_options(network, {"hidden": object()})
