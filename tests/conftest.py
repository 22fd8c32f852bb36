"""What every test starts from: fixed seeds, one thread, and shape checking that a test can switch off."""

import os
import random

import jaxtyping
import numpy as np
import pytest
import torch


def pytest_collection_modifyitems(config, items):
    if os.environ.get("JAXTYPING_DISABLE", "0") in ("1", "true"):
        return
    # torch.compile(fullgraph=True) cannot look through the shape checker, so these run apart (`make test` does both).
    compiled = [item for item in items if item.get_closest_marker("compile")]
    if compiled:
        config.hook.pytest_deselected(items=compiled)
        items[:] = [item for item in items if not item.get_closest_marker("compile")]


@pytest.fixture(autouse=True)
def _seeds():
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002 - third-party code draws from the global generator
    random.seed(0)


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(params=["cpu", "cuda"])
def device(request):
    """Runs a test on the CPU, and on CUDA where there is one."""
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    return torch.device(request.param)


@pytest.fixture(params=[torch.float32, torch.float64], ids=["float32", "float64"])
def dtype(request):
    """Runs a test in both precisions."""
    return request.param


@pytest.fixture
def tolerance(dtype):
    """The one table of tolerances, for `torch.testing.assert_close(actual, expected, **tolerance)`."""
    return {torch.float32: {"rtol": 1e-5, "atol": 1e-5}, torch.float64: {"rtol": 1e-10, "atol": 1e-10}}[dtype]


@pytest.fixture
def unchecked(monkeypatch):
    """Switches the shape checker off, to see the error that a user sees, who has no checker."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


def assert_same(a, b, *, points_dtype=True):
    """Requires the same type, order, names, dtypes, values and units."""
    assert type(a) is type(b)
    assert torch.equal(a.points.double(), b.points.double())
    if points_dtype:
        assert a.points.dtype == b.points.dtype
    if hasattr(a, "cells"):
        for name in ("kinds", "offsets", "connectivity"):
            assert torch.equal(getattr(a.cells, name), getattr(b.cells, name)), name
    for role in ("point_fields", "cell_fields", "global_fields"):
        ours, theirs = getattr(a, role, {}), getattr(b, role, {})
        assert list(ours) == list(theirs), role
        for name, value in ours.items():
            if isinstance(value, str):
                assert value == theirs[name], name
            else:
                assert value.dtype == theirs[name].dtype, (role, name)
                torch.testing.assert_close(value, theirs[name], rtol=0, atol=0, equal_nan=True, msg=f"{role} {name}")
    assert a.units == b.units


@pytest.fixture
def same():
    return assert_same
