"""Steppers and decoders as files."""

import pytest
import torch

from geoops import models
from geoops.learning import default_decoder, export_particles, make_decoder, read_decoder, read_stepper
from geoops.models import GIOROM, IntegralKernel, LocalAffine, MovingLeastSquares, StepperSizes
from geoops.models._decoder import Decoder
from geoops.models._stepper import Stepper
from geoops.testing import random_particles

OPTIONS = {"width": 8, "lattice": 4, "channels": (4, 6)}
DATA = {"keep": 0.25, "degree": None, "choice": "fps", "spacing": 5e-3}


@pytest.fixture
def net():
    net = GIOROM(StepperSizes(2, ("a", "b"), 5), **OPTIONS)
    net.scale.velocity_std.fill_(0.3)
    torch.nn.init.normal_(net.decoder[-1].weight)
    return net


@pytest.fixture
def file(net, tmp_path):
    return export_particles(
        tmp_path / "net.safetensors", net, options=OPTIONS, data=DATA, training={"seed": 1}, results={"mse": 2.0}
    )


def test_steppers_come_back(net, file):
    stepper, meta = read_stepper(file)
    graph = random_particles(30)
    with torch.no_grad():
        assert torch.equal(stepper(graph), net.eval()(graph))
    assert stepper.sizes == net.sizes
    assert not stepper.training
    assert not any(p.requires_grad for p in stepper.parameters())
    assert (meta["stepper"], meta["data"], meta["training"], meta["results"]) == ("GIOROM", DATA, {"seed": 1}, {"mse": 2.0})
    assert meta["parameters"] == sum(p.numel() for p in net.parameters())
    assert [p.name for p in file.parent.iterdir()] == [file.name]


def test_averaged_weights_take_the_place_of_the_others(net, tmp_path):
    weights = {name: p.detach() + 1 for name, p in net.named_parameters()}
    path = export_particles(tmp_path / "net.safetensors", net, options=OPTIONS, data=DATA, weights=weights)
    stepper = read_stepper(path).stepper
    assert all(torch.equal(p, weights[name]) for name, p in stepper.named_parameters())
    assert torch.equal(stepper.scale.velocity_std, net.scale.velocity_std)


@pytest.mark.parametrize("dim", [2, 3])
def test_decoders_come_back(dim, tmp_path):
    decoder = LocalAffine(dim)
    with torch.no_grad():
        for p in decoder.parameters():
            p.add_(0.1 * torch.randn_like(p))
    path = export_particles(tmp_path / "d.safetensors", decoder, options={}, data={})
    x, queries = torch.rand(3, 20, dim), torch.rand(9, dim)
    with torch.no_grad():
        expected = decoder.eval()(x, queries)
        assert torch.equal(read_decoder(path)(x, queries), expected)
        assert torch.equal(make_decoder(path, dim)(x, queries), expected)
        assert torch.equal(make_decoder(str(path), dim)(x, queries), expected)


def test_decoders_by_name():
    assert isinstance(make_decoder("MovingLeastSquares", 3), MovingLeastSquares)
    assert make_decoder("Nearest", 2).dim == 2
    assert not any(p.requires_grad for p in make_decoder("LocalAffine", 2).parameters())
    with pytest.raises(FileNotFoundError, match=r"GIOROM.*; decoders without training are .*FlowMap"):
        make_decoder("GIOROM", 2)
    with pytest.raises(FileNotFoundError, match="Absent"):
        make_decoder("Absent", 2)


def test_decoders_that_have_to_be_trained_are_none_by_name():
    ready = set()
    for name in dir(models):
        cls = getattr(models, name)
        if isinstance(cls, type) and issubclass(cls, Decoder):
            if cls.needs_training or cls is Decoder:
                with pytest.raises(ValueError, match=f"{name} places nothing sensible before it is trained: .*MovingLeastSquares"):
                    make_decoder(name, 2)
            else:
                assert make_decoder(name, 2).dim == 2
                ready.add(name)
    expected = {"Nearest", "InverseDistance", "MovingLeastSquares", "LocalSpline", "ThinPlate", "LocalAffine", "FlowMap"}
    assert ready == expected


class Mine(Stepper):
    """A stepper that geoops does not have."""

    def forward(self, graph):
        return graph.gravity[graph.scene]


def test_steppers_of_others_need_their_class(tmp_path):
    path = export_particles(tmp_path / "mine.safetensors", Mine(StepperSizes(2, ("a",))), options={}, data=DATA)
    with pytest.raises(ValueError, match=r"holds a 'Mine', which is no stepper of geoops\.models; pass its class as network_class"):
        read_stepper(path)
    assert isinstance(read_stepper(path, network_class=Mine).stepper, Mine)


def test_files_that_do_not_fit(net, file, tmp_path):
    decoder = export_particles(tmp_path / "d.safetensors", IntegralKernel(2), options={}, data={})
    with pytest.raises(ValueError, match=r"d\.safetensors holds a decoder, not a stepper"):
        read_stepper(decoder)
    with pytest.raises(ValueError, match=r"net\.safetensors holds a stepper, not a decoder"):
        read_decoder(file)
    with pytest.raises(ValueError, match="is a decoder for 2 dimensions, the particles are in 3"):
        make_decoder(decoder, 3)
    with pytest.raises(FileNotFoundError):
        read_stepper(tmp_path / "absent.safetensors")
    other = export_particles(tmp_path / "o.safetensors", net, options={**OPTIONS, "width": 9}, data=DATA)
    with pytest.raises(ValueError, match=r"o\.safetensors does not fit this geoops"):
        read_stepper(other)
    unknown = export_particles(tmp_path / "u.safetensors", net, options={**OPTIONS, "depth": 9}, data=DATA)
    with pytest.raises(ValueError, match=r"u\.safetensors does not fit this geoops: .*depth"):
        read_stepper(unknown)
    whole = file.read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"x" * 100):
        file.write_bytes(content)
        with pytest.raises(ValueError, match=r"net\.safetensors"):
            read_stepper(file)
    with pytest.raises(ValueError, match="safetensors"):
        export_particles(tmp_path / "net.pt", net, options={}, data={})


def test_what_flows_is_placed_by_another_decoder():
    assert default_decoder(["jelly", "plasticine"]) == "MovingLeastSquares"
    assert default_decoder(["jelly", "water"]) == default_decoder(["sand"]) == "FlowMap"
