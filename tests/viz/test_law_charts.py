"""Charts of errors and of laws."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from geoops.models import NCLawElastic, NCLawPlastic
from geoops.physics import DruckerPrager, FixedCorotated, Hencky, NeoHookean, VonMises
from geoops.viz import error_over_time, stress_stretch, yield_surface
from geoops.viz._stress_chart import visited
from geoops.viz._yield_chart import _landed, _plane, _trial

LAW = Hencky(3e5, 0.25)


def labels(axes):
    return [t.get_text() for t in axes.get_legend().get_texts()]


def test_errors_have_a_line_and_a_band(tmp_path):
    time = torch.linspace(0, 1, 11)
    seeds = torch.stack([time, 2 * time, 4 * time])
    figure = error_over_time({"three seeds": (time, seeds), "one": (time, time**2)}, tmp_path / "out" / "e.png")
    axes = figure.axes[0]
    assert labels(axes) == ["three seeds", "one"]
    assert axes.get_yscale() == "log"
    median, single = axes.lines
    assert median.get_xdata() == pytest.approx(time[1:].numpy())
    assert median.get_ydata() == pytest.approx(2 * time[1:].numpy())
    assert single.get_ydata() == pytest.approx(time[1:].numpy() ** 2)
    (band,) = axes.collections
    corners = band.get_paths()[0].vertices
    assert [corners[:, 1].min(), corners[:, 1].max()] == pytest.approx([0.1, 4.0])
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["e.png"]


def test_errors_that_cannot_be_drawn(unchecked):
    time = torch.linspace(0, 1, 11)
    with pytest.raises(ValueError, match="at least one curve"):
        error_over_time({})
    with pytest.raises(ValueError, match=r"'a' has \(11,\) times and errors of shape \(3, 10\)"):
        error_over_time({"a": (time, torch.ones(3, 10))})
    with pytest.raises(ValueError, match="'a' has no time at which all errors are positive and finite"):
        error_over_time({"a": (time, 0 * time)})


def test_charts_are_written_by_ending(tmp_path):
    curves = {"a": (torch.arange(3.0), torch.ones(3))}
    for name in ("a.png", "a.pdf", "a.svg"):
        error_over_time(curves, tmp_path / name)
    assert len(list(tmp_path.iterdir())) == 3
    with pytest.raises(ValueError, match=r"must end in \.png or \.pdf or \.svg; got 'a\.bmp'"):
        error_over_time(curves, tmp_path / "a.bmp")


def test_stresses_of_a_hencky_solid_are_those_of_the_formula(tmp_path):
    mu, lam = LAW.mu.item(), LAW.lam.item()
    figure = stress_stretch({"truth": LAW, "other": NeoHookean(3e5, 0.25)}, tmp_path / "s.png")
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["uniaxial", "equibiaxial", "simple shear"]
    for axes, factor in zip(figure.axes, (2 * mu + lam, 2 * mu + 2 * lam, 2 * mu), strict=True):
        truth, other = axes.lines
        assert truth.get_linestyle() == "--"
        assert other.get_linestyle() == "-"
        assert np.asarray(truth.get_ydata()) == pytest.approx(factor * np.log(truth.get_xdata()), abs=1e-6 * factor)
    assert labels(figure.axes[0]) == ["truth", "other"]
    assert (tmp_path / "s.png").stat().st_size > 5000


@pytest.mark.parametrize("d", [2, 3])
def test_the_background_tells_which_strains_were_visited(truth, planar, d):
    trajectory = planar if d == 2 else truth
    figure = stress_stretch({"truth": LAW, "net": NCLawElastic(d)}, trajectory=trajectory, stretches=(0.8, 1.25))
    assert all(len(axes.images) == 1 and axes.get_xlim() == (0.8, 1.25) for axes in figure.axes)
    edges, share = visited(trajectory, (0.8, 1.25))
    assert share.sum() <= 1 + 1e-9
    at_rest = np.searchsorted(edges, 1.0) - 1
    assert share[at_rest] > 0.1
    shade = figure.axes[0].images[0].get_array()
    assert np.array_equal(shade[0] > 0, share > 0)


def test_a_law_is_called_with_its_own_dtype():
    seen = []

    class Law(nn.Module):
        def __init__(self, dtype):
            super().__init__()
            self.modulus = nn.Parameter(torch.ones((), dtype=dtype))

        def forward(self, F):
            seen.append(F.dtype)
            return self.modulus * F

    def plain(F):
        seen.append(F.dtype)
        return F

    stress_stretch({"a": Law(torch.float64), "b": Law(torch.float32), "c": plain})
    assert seen[:3] == [torch.float64, torch.float32, torch.float32]


def test_stresses_that_cannot_be_drawn(truth, unchecked):
    with pytest.raises(ValueError, match="at least one law"):
        stress_stretch({})
    with pytest.raises(TypeError, match="'a' to be a function of deformation gradients, got float"):
        stress_stretch({"a": 1.0})
    with pytest.raises(ValueError, match="0 < least < greatest"):
        stress_stretch({"a": LAW}, stretches=(1.2, 0.8))
    with pytest.raises(ValueError, match=r"'a' makes \(121, 3\) of deformation gradients \(121, 3, 3\)"):
        stress_stretch({"a": lambda F: F[..., 0]})
    broken = type(truth.frames)(**{**vars(truth.frames), "F": truth.frames.F * torch.nan})
    with pytest.raises(ValueError, match="not finite"):
        stress_stretch({"a": LAW}, trajectory=type(truth)(**{**vars(truth), "frames": broken}))


@pytest.mark.parametrize("dim", [2, 3])
def test_states_arrive_on_the_yield_surface_or_stay(dim):
    trial = _trial(0.1, dim)
    trace, length = _plane(trial)
    assert [trace.min().item(), trace.max().item()] == pytest.approx([-0.1, 0.1])
    assert [length.min().item(), length.max().item()] == pytest.approx([0, 0.1], abs=1e-12)
    most = 5e3 / (2 * LAW.mu.item())
    new_trace, new_length = _plane(_landed(VonMises(LAW, 5e3), trial, 1, "clay"))
    assert new_trace.numpy() == pytest.approx(trace.numpy(), abs=1e-9)
    assert new_length.numpy() == pytest.approx(length.clamp_max(most).numpy(), abs=1e-9)


def test_return_maps_are_drawn_beside_each_other(tmp_path):
    maps = {"clay": VonMises(LAW, 5e3), "sand": DruckerPrager(LAW, 25.0), "net": NCLawPlastic()}
    figure = yield_surface(maps, tmp_path / "y.png", reach=0.05)
    panels = figure.axes[:3]
    assert [axes.get_title() for axes in panels] == list(maps)
    clay, sand, net = (axes.collections[-1].get_offsets() for axes in panels)
    assert clay[:, 1].max() == pytest.approx(5e3 / (2 * LAW.mu.item()), rel=1e-6)
    assert sand[:, 0].max() <= 1e-6
    # a network that corrects by a thousandth leaves states nearly where they were
    assert net[:, 1].max() == pytest.approx(0.05, rel=0.05)
    assert (tmp_path / "y.png").stat().st_size > 5000


def test_small_corrections_add_up():
    def halve(F):
        return F.diagonal(dim1=-2, dim2=-1).sqrt().diag_embed()

    trial = _trial(0.1, 3)
    assert _landed(halve, trial, 3, "a").numpy() == pytest.approx(trial.numpy() / 8, abs=1e-6)
    (axes, *_) = yield_surface({"a": halve}, applications=3).axes
    assert axes.collections[-1].get_offsets()[:, 1].max() == pytest.approx(0.1 / 8, rel=1e-3)


def test_return_maps_that_cannot_be_drawn(unchecked):
    with pytest.raises(ValueError, match="at least one law"):
        yield_surface({})
    for options, message in (
        ({"reach": 0.0}, "reach > 0"),
        ({"reach": math.inf}, "reach > 0"),
        ({"applications": 0}, "applications >= 1"),
        ({"dim": 4}, "dim of 2 or 3, got 4"),
    ):
        with pytest.raises(ValueError, match=message):
            yield_surface({"a": VonMises(LAW, 5e3)}, **options)


def test_laws_of_any_kind_may_be_drawn():
    assert len(stress_stretch({"a": FixedCorotated(1e5, 0.2), "b": lambda F: F - F.mT}).axes) == 3
