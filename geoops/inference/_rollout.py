"""`geoops rollout`: a scene or the beginning of a motion in, the motion of all its particles out."""

import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

import torch
from rich.table import Table
from torch import Tensor

from geoops import configs
from geoops.data import MotionWriter, Scene, check_alike, connected_radius, read_motion, read_scene, window
from geoops.geometry import check_samples, choose_samples
from geoops.inference._simulate import check_device, tracked, use_threads
from geoops.io._atomic import check_writable
from geoops.learning import as_motion, default_decoder, make_decoder, read_stepper, roll_out
from geoops.models import Decoder, Stepper
from geoops.physics import Motion, motion_mse

ENDINGS = (".vtkhdf", ".hdf")
SEEDS = 6  # true frames that a roll-out of a recorded motion starts from
CHUNK = 16384


@final
@dataclass(frozen=True)
class RolloutReport:
    """What a roll-out did.

    Args:
        path: the file written.
        samples: particles that were simulated.
        particles: particles in the file.
        frames: frames that were predicted.
        radius: of the edges.
        stepper_seconds: time that stepping took, edges included.
        decoder_seconds: time that placing all particles took, the search of neighbours included.
        errors: mean squared errors of positions where the truth is known: of the samples, of the decoder on true samples, and
            of both together.
    """

    path: Path
    samples: int
    particles: int
    frames: int
    radius: float
    stepper_seconds: float
    decoder_seconds: float
    errors: dict[str, float]

    def table(self) -> Table:
        """Returns the numbers for a terminal."""
        table = Table(title=str(self.path), title_justify="left", show_header=False)
        table.add_column()
        table.add_column(justify="right")
        for name in ("samples", "particles", "frames"):
            table.add_row(name, f"{getattr(self, name):,}")
        table.add_row("radius", f"{self.radius:.4g}")
        per = 1000 / max(self.frames, 1)
        table.add_row("stepper, ms per frame", f"{per * self.stepper_seconds:.1f}")
        table.add_row("decoder, ms per frame", f"{per * self.decoder_seconds:.1f}")
        for name, value in self.errors.items():
            table.add_row(f"position MSE, {name}", f"{value:.3e}")
        return table


def rollout(
    checkpoint: str | Path,
    scene: str | Path | Scene | Motion,
    output: str | Path,
    decode: str | int = "all",
    decoder: str | Path | None = None,
    samples: int | None = None,
    choice: str = "",
    frames: int | None = None,
    seed: int = 0,
    clamp: bool = True,
    threads: int | None = None,
    overwrite: bool = False,
    device: str = "cpu",
    progress: bool = True,
    network_class: type[Stepper] | None = None,
) -> RolloutReport:
    """Simulates a sample of the particles of a scene with a trained stepper, and places the others with a decoder.

    A scene starts as it is described; in front of its start its bodies fly as rigid ones. A recorded motion starts from its
    first six frames, and the errors against the rest of it are reported.

    Args:
        checkpoint: a stepper that `geoops fit` trained, or the name of a packaged one such as particles/jelly2d.
        scene: a YAML file, the name of a packaged scene, or a trajectory file (in Python also a `Scene` or a `Motion`).
        output: file to write, in .vtkhdf, for `geoops animate`, ParaView and `geoops.data.read_motion`.
        decode: all for all particles, a number for so many of them, or samples for the sample alone.
        decoder: what places the other particles: the class of a decoder without training (MovingLeastSquares, FlowMap,
            InverseDistance, ...), a file of `geoops fit`, or the name of a packaged decoder. Unless given FlowMap if there is
            water or sand, and MovingLeastSquares elsewhere.
        samples: how many particles are simulated; unless given the share of the stepper's training, within the numbers of it.
        choice: how they are chosen, fps, random or boundary; as in the training unless given.
        frames: how many are predicted; as many as the scene or the motion has unless given.
        seed: of the choice.
        clamp: keep positions within the walls.
        threads: threads of torch.
        overwrite: replace the file if there is one.
        device: where it computes, cpu or cuda.
        progress: show a progress bar.
        network_class: of the stepper, if it is not one of `geoops.models`.

    Raises:
        FileNotFoundError: the checkpoint, the scene, or the folder of the output is missing.
        FileExistsError: the output is there, and `overwrite` is not given.
        ValueError: the output is the scene; the stepper does not know a material, or has another dimension or time between
            frames; there are fewer samples than d + 2; the samples do not hang together at any radius; an option does not fit.
        FloatingPointError: the motion exploded; the output holds the frames before.
    """
    output = Path(output)
    if output.suffix.lower() not in ENDINGS:
        raise ValueError(f"{output}: expected a file name in {', '.join(ENDINGS)}, got {output.suffix or 'no ending'!r}")
    use_threads(threads)
    place = check_device(device)
    if output.exists() and not overwrite:
        raise FileExistsError(f"{output} exists; choose another name, or say --overwrite")
    check_writable(output)
    if isinstance(scene, str | Path) and Path(scene).resolve() == output.resolve():
        raise ValueError(f"{output} is the scene itself; choose another name")
    if str(checkpoint).endswith(".ckpt"):
        raise ValueError(f"{checkpoint} is the state of a training; take model.safetensors beside the folder checkpoints")
    stepper, meta = read_stepper(checkpoint, network_class)
    facts, sizes = meta["data"], stepper.sizes
    truth, known = _motion(scene, float(facts["spacing"]))
    check_alike(str(scene) if isinstance(scene, str | Path) else "scene", truth, sizes.dim, float(facts["spacing"]))
    stepper.material_numbers(truth.names)
    decoder = decoder or default_decoder(truth.names)
    if known and len(truth) < SEEDS:
        raise ValueError(f"a roll-out starts from {SEEDS} true frames, got a motion of {len(truth)}")
    first = SEEDS - 1 if known else 0
    count = (len(truth) - 1 - first if known else _frames(scene, truth.spacing)) if frames is None else frames
    if count < 1:
        raise ValueError(f"frames: expected at least 1, got {count}" + (f"; {SEEDS} frames are the start" if known else ""))
    truth, stepper = truth.to(place, torch.float32), stepper.to(place)
    total, dim = len(truth.material), sizes.dim
    least, most = facts.get("samples") or (dim + 2, total)
    share = total if facts["keep"] >= 1 else min(max(round(float(facts["keep"]) * total), least, dim + 2), most)
    number = share if samples is None else samples
    chosen = _chosen(truth, number, choice or facts["choice"], seed)
    if not least <= len(chosen) <= most and len(chosen) < total:
        words = f"{len(chosen)} particles are simulated, the training had {least} to {most}; errors may be larger"
        warnings.warn(words, stacklevel=2)
    wanted = _wanted(decode, chosen, truth, seed)
    body = truth.material if len(truth.names) > 1 else torch.zeros_like(truth.material)
    radius = connected_radius(truth, chosen, facts["degree"])
    graph = window(truth, chosen, first, sizes.materials, sizes.history, radius).joined()
    began = time.perf_counter()
    dense = None if decode == "samples" else _Dense(make_decoder(decoder, dim).to(place), truth, chosen, wanted, body)
    seconds = {"stepper": 0.0, "decoder": time.perf_counter() - began}
    about = truth.of(wanted)
    sampled = torch.zeros(total, dtype=torch.int64, device=place)
    sampled[chosen] = 1
    rolled = []
    writer = MotionWriter(
        output,
        **{name: getattr(about, name) for name in ("box", "spacing", "material", "names", "volume", "scene")},
        fields={"sampled": sampled[wanted]},
    )
    full, frame = [], first
    with writer as out:
        for i in range(first + 1):
            if dense is not None:
                dense.place(truth.x[i, chosen])  # decoders that go on from frame to frame see all of them
            out.append(truth.x[i, wanted].cpu(), i)
        try:
            states = _timed(roll_out(stepper, graph, count, clamp), seconds)
            for x in tracked(states, count) if progress else states:
                frame += 1
                began = time.perf_counter()
                placed = x if dense is None else dense.place(x)
                seconds["decoder"] += time.perf_counter() - began
                out.append(placed.cpu(), frame)
                if known:
                    rolled.append(x)
                    full.append(placed)
        except FloatingPointError as error:
            raise FloatingPointError(f"{error}; {output} holds the frames up to {frame}") from error
    errors = {}
    if known and len(truth) > first + 1:
        errors = _errors(truth, chosen, wanted, first, rolled, None if dense is None else full, decoder, body)
    return RolloutReport(output, len(chosen), len(wanted), count, radius, seconds["stepper"], seconds["decoder"], errors)


class _Dense:
    """Places query points frame by frame, by chunks."""

    def __init__(self, decoder: Decoder, motion: Motion, chosen: Tensor, wanted: Tensor, body: Tensor):
        self.decoder = decoder
        with torch.no_grad():
            self.states = [
                decoder.begin(motion.x[0, chosen], motion.x[0, some], body[chosen], body[some], motion.bounds)
                for some in wanted.split(CHUNK)
            ]

    def place(self, x: Tensor) -> Tensor:
        parts = []
        with torch.no_grad():
            for i, state in enumerate(self.states):
                placed, self.states[i] = self.decoder.place(state, x[None])
                parts.append(placed[0])
        return torch.cat(parts)


def _motion(scene: str | Path | Scene | Motion, spacing: float) -> tuple[Motion, bool]:
    """Returns a motion to start from, and whether its frames are true ones."""
    if isinstance(scene, Motion):
        return scene, True
    if not isinstance(scene, Scene) and Path(scene).suffix.lower() in ENDINGS:
        return read_motion(scene), True
    scene = scene if isinstance(scene, Scene) else read_scene(configs.scene(str(scene)))
    start, material = scene.start()
    gravity = torch.tensor(scene.box.gravity, dtype=start.x.dtype)
    after = start.x + start.v * spacing + gravity * spacing**2 / 2
    x = torch.stack([start.x, after])
    return Motion(x, spacing, scene.box, material, scene.names, start.volume, scene.yaml()), False


def _frames(scene: object, spacing: float) -> int:
    scene = scene if isinstance(scene, Scene) else read_scene(configs.scene(str(scene)))
    return round(scene.steps * scene.dt / spacing)


def _chosen(motion: Motion, n: int, choice: str, seed: int) -> Tensor:
    total, dim = motion.x.shape[1:]
    if n >= total:
        return check_samples(torch.arange(total, device=motion.x.device), total, dim)
    body = motion.material if len(motion.names) > 1 else None
    return choose_samples(motion.x[0], n, choice, seed=seed, body=body)


def _wanted(decode: str | int, chosen: Tensor, motion: Motion, seed: int) -> Tensor:
    total, dim = motion.x.shape[1:]
    if decode == "samples":
        return chosen
    if decode == "all":
        return torch.arange(total, device=motion.x.device)
    try:
        number = int(decode)
    except ValueError:
        number = 0
    if not dim + 2 <= number <= total:
        raise ValueError(f"decode: expected all, samples, or a number from {dim + 2} to {total}, got {decode!r}")
    return choose_samples(motion.x[0], number, "fps", seed=seed)


def _timed(states: Iterator[Tensor], seconds: dict[str, float]) -> Iterator[Tensor]:
    while True:
        began = time.perf_counter()
        x = next(states, None)
        seconds["stepper"] += time.perf_counter() - began
        if x is None:
            return
        yield x


def _errors(
    truth: Motion,
    chosen: Tensor,
    wanted: Tensor,
    first: int,
    rolled: list[Tensor],
    full: list[Tensor] | None,
    decoder: str | Path,
    body: Tensor,
) -> dict[str, float]:
    last = min(len(truth), first + 1 + len(rolled))
    until = replace(truth, x=truth.x[:last])

    def mse(numbers: Tensor, x: list[Tensor]) -> float:
        return float(motion_mse(as_motion(until, numbers, first, torch.stack(x[: last - first - 1])), until.of(numbers)).mean())

    errors = {"samples": mse(chosen, rolled)}
    if full is not None:
        dense = _Dense(make_decoder(decoder, truth.x.shape[2]).to(truth.x.device), truth, chosen, wanted, body)
        placed = [dense.place(x) for x in until.x[:, chosen]]
        errors |= {"decoder on true samples": mse(wanted, placed[first + 1 :]), "stepper and decoder": mse(wanted, full)}
    return errors
