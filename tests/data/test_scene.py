"""Scenes as YAML files."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from geoops import configs, io
from geoops.data import (
    Body,
    Scene,
    parse_scene,
    random_throw,
    read_scene,
    read_trajectory,
    resolve_material,
    simulated,
    write_trajectory,
)
from geoops.geometry import Cells, Mesh
from geoops.physics import MATERIALS, Box, ByMaterial, DruckerPrager, FixedCorotated, Hencky, Tait, Unchanged, VonMises

REFERENCE = Path(__file__).resolve().parents[3] / "shared" / "reference" / "nclaw"
TEXT = """
box: {cells: [8, 8, 8], dx: 0.125}
dt: 1e-4
steps: 4
bodies:
  - {material: jelly, shape: Sphere, particles: 20, centre: [0.5, 0.5, 0.5], size: 0.3}
  - {material: water, shape: {lattice: [3, 2, 1]}, centre: [0.5, 0.3, 0.5], size: [0.3, 0.1, 0.3], density: 500}
  - {material: jelly, shape: {solid: Torus, tube: 0.2}, spacing: 0.06, centre: [0.5, 0.75, 0.5], size: 0.4, spin: [0, 2, 0]}
"""


@pytest.mark.parametrize("name", configs.scenes())
def test_packaged_scenes(name):
    scene = read_scene(configs.scene(name))
    assert parse_scene(scene.yaml()) == scene
    start, material = scene.start()
    mpm = scene.simulator(material)
    with torch.no_grad():
        assert mpm.run(start, 1).x.isfinite().all()
    assert len(material) == len(start.x) >= 1000
    assert set(scene.names) <= set(MATERIALS)
    assert name not in configs.names()


@pytest.mark.parametrize("name", ["jelly", "sand"])
def test_training_scenes_start_as_the_original(name):
    file = REFERENCE / f"{name}.npz"
    if not file.exists():
        pytest.skip(f"needs {file.name} of the reference trajectories")
    start, _ = read_scene(configs.scene(name)).start()
    with np.load(file) as data:
        for key in "xvCF":
            assert torch.equal(getattr(start, key), torch.from_numpy(data[f"{key}0"]))
    assert torch.equal(start.mass, torch.full((1000,), 0.125))


def test_bodies_share_materials():
    scene = parse_scene(TEXT)
    start, material = scene.start()
    assert scene.names == ("jelly", "water")
    n = len(material) - 26
    assert n == round(2 * np.pi**2 * 0.3 * 0.04 * 0.4**3 / 0.06**3)
    assert material.tolist() == [0] * 20 + [1] * 6 + [0] * n
    assert start.x.dtype == torch.float32
    torch.testing.assert_close(start.volume[20:26], torch.full((6,), 0.009 / 6))
    torch.testing.assert_close(start.mass[20:26], torch.full((6,), 4.5 / 6))
    assert start.volume[:20].sum() == pytest.approx(np.pi / 6 * 0.027, rel=1e-5)
    x, v = start.x[26:] - torch.tensor([0.5, 0.75, 0.5]), start.v[26:]
    torch.testing.assert_close(v, torch.stack([2 * x[:, 2], 0 * x[:, 0], -2 * x[:, 0]], -1))
    mpm = scene.simulator(material)
    assert isinstance(mpm.elastic, ByMaterial)
    assert isinstance(mpm.plastic, ByMaterial)
    assert mpm.run(start, 2).x.isfinite().all()
    again, _ = parse_scene(TEXT).start()
    assert torch.equal(again.x, start.x)


def test_dtype_and_equality():
    scene = parse_scene(TEXT + "dtype: float64\nevery: 2\n")
    assert scene.start()[0].x.dtype == torch.float64
    assert scene == parse_scene(scene.yaml())
    assert scene != parse_scene(TEXT)
    assert replace(scene, folder=Path("elsewhere")) == scene


def test_in_the_plane():
    body = Body("water", "Sphere", (0.5, 0.5), size=0.4, particles=30, velocity=(1.0, 0.0), spin=(3.0,))
    scene = Scene(Box((8, 8), 0.125), 1e-4, 2, (body,))
    assert parse_scene(scene.yaml()) == scene
    start, material = scene.start()
    arm = start.x - 0.5
    torch.testing.assert_close(start.v, torch.stack([1 - 3 * arm[:, 1], 3 * arm[:, 0]], 1))
    assert scene.simulator(material).run(start, 2).x.shape == (30, 2)


def test_meshes_are_found_beside_the_scene(tmp_path):
    corners = torch.tensor([[0.0, 0, 0], [2, 0, 0], [0, 1, 0], [0, 0, 1]], dtype=torch.float64)
    faces = torch.tensor([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])
    io.write(tmp_path / "part.ply", Mesh(corners, Cells.from_blocks({"triangle": faces})))
    text = TEXT.replace("shape: Sphere", "shape: {mesh: part.ply}")
    (tmp_path / "scene.yaml").write_text(text)
    start, _ = read_scene(tmp_path / "scene.yaml").start()
    assert start.volume[:20].sum() == pytest.approx(2 / 6 / 8 * 0.027, rel=1e-5)
    io.write(tmp_path / "part.ply", Mesh(corners, Cells.from_blocks({"triangle": faces[1:]})))
    with pytest.raises(ValueError, match=r"body 1: .*part\.ply: the mesh is not watertight: 3 boundary edges"):
        read_scene(tmp_path / "scene.yaml").start()
    with pytest.raises(FileNotFoundError, match=r"^scene: body 1: no file part\.ply"):
        parse_scene(text).start()


def test_random_throws():
    """By hand, in the order of the stream."""
    for seed in (1, 7, 8):
        numbers = np.random.Generator(np.random.PCG64(seed)).random(7)
        direction = 2 * numbers[:3] - 1
        direction[1] = -abs(direction[1])
        velocity, spin = random_throw(seed)
        np.testing.assert_allclose(velocity, 3 * numbers[3] * direction / np.linalg.norm(direction), rtol=1e-12)
        np.testing.assert_allclose(spin, 3 * numbers[4:], rtol=1e-12)
    body = Body("jelly", {"lattice": [3, 3, 3]}, (0.5, 0.5, 0.5), size=0.2, throw=7)
    x, v, volume = body.start()
    velocity, spin = random_throw(7)
    torch.testing.assert_close(v[13], torch.tensor(velocity, dtype=torch.float64))
    turn = torch.linalg.cross(torch.tensor(spin, dtype=torch.float64), x[5] - 0.5)
    torch.testing.assert_close(v[5] - v[13], turn)
    assert volume == pytest.approx(0.008 / 27)


def test_materials():
    assert isinstance(resolve_material("jelly").elastic, FixedCorotated)
    made = resolve_material({"elastic": "Hencky", "young": 3e5, "poisson": 0.25, "plastic": "VonMises", "yield_stress": 5000})
    assert isinstance(made.plastic, VonMises)
    assert made.plastic.elastic is made.elastic
    assert made.elastic.log_young.exp().item() == pytest.approx(3e5)
    sand = resolve_material({"elastic": "Hencky", "young": 1e6, "poisson": 0.2, "plastic": "DruckerPrager", "friction": 25})
    assert isinstance(sand.plastic, DruckerPrager)
    water = resolve_material({"elastic": "Tait", "young": 1e5, "poisson": 0.3, "exponent": 5, "plastic": "VolumeOnly"})
    assert isinstance(water.elastic, Tait)
    assert isinstance(resolve_material({"elastic": "Tait", "young": 1e5, "poisson": 0.3}).plastic, Unchanged)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("jello", r"no material 'jello' \(do you mean 'jelly'\?\); there are jelly"),
        ({"young": 1.0}, "needs 'elastic', one of FixedCorotated"),
        ({"elastic": "Steel"}, "no elastic law 'Steel'; there are FixedCorotated, Hencky"),
        ({"elastic": "Hencky", "young": 1.0}, "material Hencky needs the option 'poisson'"),
        (
            {"elastic": "Hencky", "yong": 1.0, "poisson": 0.2},
            r"Hencky has no option 'yong' \(do you mean 'young'\?\); there are young, poisson",
        ),
        ({"elastic": "Hencky", "young": "soft", "poisson": 0.2}, "expected a number for young, got 'soft'"),
        ({"elastic": "Hencky", "young": -1.0, "poisson": 0.2}, "young > 0"),
        ({"elastic": "Hencky", "young": 1.0, "poisson": 0.2, "plastic": "Ice"}, "no return map 'Ice'"),
        ({"elastic": "Hencky", "young": 1.0, "poisson": 0.2, "plastic": "VonMises"}, "needs the option 'yield_stress'"),
        ({"law": "law.safetensors"}, r"cannot read the learned law 'law\.safetensors' here"),
    ],
)
def test_materials_that_are_refused(spec, words):
    with pytest.raises(ValueError, match=words):
        resolve_material(spec)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("dx: 0.125", "dx: 0.125, epz: 1", r"made\.yaml: box: no key 'epz' \(do you mean 'eps'\?\); there are cells, dx, gravity"),
        ("dx: 0.125", "dx: -1", "made.yaml: Box: expected dx > 0"),
        ("dx: 0.125", "dx: thin", r"made\.yaml: box: expected a number for dx, got 'thin'"),
        ("dx: 0.125", "dx: 0.125, walls: wet", r"box: expected open, free-slip, no-slip or bilateral, or a list of them for walls"),
        ("{cells: [8, 8, 8], dx: 0.125}", "large", r"box: expected a mapping with the keys cells, dx, .*, got 'large'"),
        ("steps: 4", "stepz: 4", r"made\.yaml: no key 'stepz' \(do you mean 'steps'\?\); there are box, dt, steps"),
        ("steps: 4", "true: 4", r"made\.yaml: no key True"),
        ("steps: 4", "", r"made\.yaml: missing steps; there must be box, dt, steps, bodies"),
        ("steps: 4", "steps: 4\nfolder: elsewhere", "no key 'folder'; there are"),
        ("steps: 4", "steps: 4\nsource: elsewhere", "no key 'source'; there are"),
        ("steps: 4", "steps: -1", "steps >= 0"),
        ("steps: 4", "steps: 4.5", r"made\.yaml: expected a whole number for steps, got 4\.5"),
        ("steps: 4", "steps: true", r"expected a whole number for steps, got True"),
        ("steps: 4", "steps: 22\nevery: 5", r"made\.yaml: steps must be a multiple of every, got 22 and 5"),
        ("steps: 4", "steps: 4\ndtype: half", r"made\.yaml: expected float32 or float64 for dtype, got 'half'"),
        ("dt: 1e-4", "dt: .inf", "expected dt > 0"),
        ("dt: 1e-4", f"dt: 1{400 * '0'}", "expected a number for dt, got 1000"),
        (
            "particles: 20",
            "particels: 20",
            r"body 1: no key 'particels' \(do you mean 'particles'\?\); there are material, shape, centre",
        ),
        ("density: 500", "densety: 500", r"made\.yaml: body 2: no key 'densety' \(do you mean 'density'\?\)"),
        ("density: 500", "density: -5", r"made\.yaml: body 2: expected density > 0, got -5"),
        ("density: 500", "density: light", r"made\.yaml: body 2: expected a number for density, got 'light'"),
        ("density: 500", "throw: 1, spin: [0, 0, 1]", "body 2: throw takes the place of velocity and spin; give it or them"),
        ("density: 500", "throw: -1", r"body 2: expected throw >= 0, got -1"),
        ("density: 500", "seed: -1", r"body 2: expected seed >= 0, got -1"),
        ("density: 500", "velocity: [0, .nan, 0]", r"body 2: expected finite numbers of velocity, got \[0\.0, nan, 0\.0\]"),
        ("centre: [0.5, 0.5, 0.5]", "throw: 1, centre: [0.5, 0.5]", "body 1: a throw needs three dimensions, got a centre of two"),
        ("centre: [0.5, 0.5, 0.5]", "center: [0.5, 0.5, 0.5]", r"body 1: no key 'center' \(do you mean 'centre'\?\)"),
        ("centre: [0.5, 0.5, 0.5]", "centre: 0.5", r"body 1: expected a list of numbers for centre, got 0\.5"),
        ("size: 0.3", "size: [1, 2]", r"body 1: expected size > 0, one number or 3, got \[1\.0, 2\.0\]"),
        (
            "material: jelly",
            "material: {young: null}",
            "body 1: expected a text, or a mapping of names to numbers, .* for material, got",
        ),
        (
            "material: jelly",
            "material: {name: '', elastic: Hencky}",
            "body 1: expected a text for the name of the material, got ''",
        ),
        ("bodies:", "bodies: 1\nmore:", "no key 'more'"),
        (TEXT[TEXT.index("bodies") :], "bodies: []", r"made\.yaml: a scene needs at least one body"),
        (TEXT[TEXT.index("bodies") :], "bodies: 5", r"made\.yaml: expected a list of mappings for bodies, got 5"),
        ("- {material: jelly", "- 5\n  - {material: jelly", "body 1: expected a mapping with the keys material, .*, got 5"),
        ("density: 500", "particles: 3", "neither for a lattice"),
        ("density: 500", "velocity: [1]", "3 numbers of velocity"),
        ("spacing: 0.06, ", "", "body 3: expected one of particles and spacing"),
        ("spacing: 0.06", "spacing: -0.06", "body 3: expected spacing > 0"),
        (
            "centre: [0.5, 0.5, 0.5]",
            "centre: [0.5, 0.5]",
            r"body 1: expected a centre of 3 numbers as the box has 3 axes, got \[0\.5, 0\.5\]",
        ),
        ("centre: [0.5, 0.5, 0.5]", "centre: [0.5]", "two or three numbers"),
        ("dt: 1e-4", "dt: [", r"made\.yaml: no valid YAML in line 5, column 7: expected ','"),
        ("dt: 1e-4", "dt: 2020-13-45", r"made\.yaml: no valid YAML: month must be in 1\.\.12"),
        (TEXT, "", r"made\.yaml: expected a mapping with the keys box, .*, got nothing"),
        (TEXT, "[1]", r"made\.yaml: expected a mapping with the keys box, .*, got \[1\]"),
    ],
)
def test_scenes_that_are_refused(tmp_path, old, new, words):
    path = tmp_path / "made.yaml"
    path.write_text(TEXT.replace(old, new, 1))
    with pytest.raises(ValueError, match=words):
        read_scene(path)


@pytest.mark.parametrize(
    ("new", "words"),
    [
        ("Cube", r"body 1: no solid 'Cube' .*there are Cuboid, Sphere"),
        ("{solid: Torus, tub: 1}", r"solid Torus has no option 'tub' \(do you mean 'tube'\?\); there are tube"),
        ("{solid: Torus, tube: 1}", "body 1: Torus: expected tube"),
        ("{solid: RoundedBox, lengths: 3}", "body 1: solid RoundedBox: expected a list of numbers for lengths, got 3"),
        ("{tube: 1}", "a shape needs 'solid', 'mesh' or 'lattice', got tube"),
        ("{mesh: a.stl, scale: 2}", "a mesh has no option 'scale'"),
        ("{lattice: 5}", "neither for a lattice"),
    ],
)
def test_shapes_that_are_refused(new, words, unchecked):
    with pytest.raises(ValueError, match=words):
        parse_scene(TEXT.replace("shape: Sphere", f"shape: {new}")).start()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("{lattice: [3, 2, 1]}", "{lattice: 5}", r"^a\.yaml: body 2: lattice: expected 3 whole counts >= 1, got 5"),
        ("centre: [0.5, 0.75, 0.5]", "centre: [0.5, 0.95, 0.5]", r"^a\.yaml: body 3: particle \d+ starts at .* enlarge the box"),
        ("material: water", "material: watr", r"^a\.yaml: body 2: no material 'watr' \(do you mean 'water'\?\)"),
        (
            "material: water",
            "material: {elastic: Tait, young: -1, poisson: 0}",
            r"^a\.yaml: body 2: Tait: expected young > 0, got -1",
        ),
        ("material: water", "material: {law: a.safetensors, name: clay}", r"^a\.yaml: body 2: cannot read the learned law"),
    ],
)
def test_starts_that_are_refused(old, new, words, unchecked):
    scene = parse_scene(TEXT.replace(old, new), "a.yaml")
    with pytest.raises(ValueError, match=words):
        scene.simulator(scene.start()[1])


def test_files_that_are_no_text(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"\xc8\x00{}")
    with pytest.raises(ValueError, match=r"model\.safetensors: expected a scene in YAML, got a file that is not text"):
        read_scene(path)


def test_names_of_materials():
    clay = "{name: clay, elastic: Hencky, young: 3e5, poisson: 0.25, plastic: VonMises, yield_stress: 5e3}"
    text = TEXT.replace("material: jelly", f"material: {clay}")
    scene = parse_scene(text)
    assert scene.names == ("clay", "water")
    assert parse_scene(scene.yaml()) == scene
    _, material = scene.start()
    assert set(material.tolist()) == {0, 1}
    assert isinstance(scene.simulator(material).plastic.laws[0], VonMises)
    assert isinstance(resolve_material(scene.materials[0]).elastic, Hencky)
    learned = parse_scene(TEXT.replace("material: water", "material: {law: a.safetensors, name: wax}"))
    assert learned.names == ("jelly", "wax")
    for name in ("1e5", "on", "a: b", "#1"):
        odd = parse_scene(text.replace("name: clay", f"name: {name!r}"))
        assert odd.names[0] == name
        assert parse_scene(odd.yaml()) == odd
    with pytest.raises(ValueError, match="scene: body 2: another material than that of body 1 has the same name 'water'"):
        parse_scene(text.replace("name: clay", "name: water"))
    with pytest.raises(ValueError, match="scene: body 3: another material than that of body 1 has the same name 'clay'"):
        parse_scene(TEXT.replace("material: jelly", f"material: {clay}", 1).replace("jelly", clay.replace("3e5", "4e5")))


def test_names_of_materials_in_trajectories(tmp_path):
    text = TEXT.replace("material: water", "material: {name: oil, elastic: WeaklyCompressible, young: 1e4, poisson: 0.3}")
    write_trajectory(tmp_path / "a.vtkhdf", simulated(parse_scene(text)))
    read = read_trajectory(tmp_path / "a.vtkhdf", parse_scene(text))
    assert read.names == ("jelly", "oil")
    with pytest.raises(ValueError, match="of another scene"):
        read_trajectory(tmp_path / "a.vtkhdf", parse_scene(text.replace("name: oil", "name: milk")))


def test_bodies_that_overlap(recwarn):
    def start(below, above, dimension=3, **options):
        places = ((0.5, below, 0.5)[:dimension], (0.5, above, 0.5)[:dimension])
        bodies = tuple(Body("jelly", "Cuboid", c, size=0.25, particles=600, seed=i, **options) for i, c in enumerate(places))
        Scene(Box((8,) * dimension, 0.125), 1e-4, 1, bodies, source="a.yaml").start()

    for dimension in (2, 3):
        start(0.3, 0.8, dimension)
        start(0.375, 0.625, dimension)  # they touch
    assert not recwarn.list
    for dimension in (2, 3):
        with pytest.warns(UserWarning, match=r"^a\.yaml: bodies 1 and 2 overlap or touch: \d+ particles of body 1 are nearer"):
            start(0.4, 0.6, dimension)


def test_files_that_are_absent():
    with pytest.raises(FileNotFoundError, match="no scene 'jello': give a YAML file or one of collision, jelly"):
        configs.scene("jello")
    with pytest.raises(FileNotFoundError, match="no scene absent"):
        read_scene("absent.yaml")


@pytest.mark.parametrize("place", ["jelly", "Sphere", "0.125", "{cells: [8, 8, 8], dx: 0.125}", "[0.5, 0.5, 0.5]"])
def test_a_scene_makes_no_other_objects(place, tmp_path):
    made = tmp_path / "made"
    text = TEXT.replace(place, f"{{class_path: pathlib.Path, init_args: {{args: [{made}]}}}}", 1)
    with pytest.raises(ValueError, match=r"class_path|pathlib"):
        parse_scene(text).start()
