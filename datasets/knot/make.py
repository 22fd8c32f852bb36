"""Makes the knot of the scene `jelly-knot`: a tube along a trefoil, as binary PLY."""

from pathlib import Path

import torch

from geoops import io
from geoops.geometry import Cells, Mesh, MeshSolid

OUTPUT = Path(__file__).resolve().parents[2] / "geoops" / "configs" / "scenes" / "meshes" / "knot.ply"
ALONG, AROUND, RADIUS = 120, 14, 0.65


def knot() -> Mesh:
    r"""Returns the tube of radius 0.65 around $((2.2 + \cos 3t) \cos 2t, (2.2 + \cos 3t) \sin 2t, 1.5 \sin 3t)$."""
    t = 2 * torch.pi * torch.arange(ALONG, dtype=torch.float64) / ALONG
    reach, rise = 2.2 + torch.cos(3 * t), 1.5 * torch.sin(3 * t)
    curve = torch.stack([reach * torch.cos(2 * t), reach * torch.sin(2 * t), rise], 1)
    tangent = curve.roll(-1, 0) - curve.roll(1, 0)
    tangent = tangent / tangent.norm(dim=1, keepdim=True)
    # rings begin on the outside of the torus that the curve winds around, so that they close without a twist
    core = 2.2 * torch.stack([torch.cos(2 * t), torch.sin(2 * t), torch.zeros_like(t)], 1)
    first = curve - core
    first = first - (first * tangent).sum(1, keepdim=True) * tangent
    first = first / first.norm(dim=1, keepdim=True)
    second = torch.linalg.cross(first, tangent)
    angle = 2 * torch.pi * torch.arange(AROUND, dtype=torch.float64) / AROUND
    ring = torch.cos(angle)[None, :, None] * first[:, None] + torch.sin(angle)[None, :, None] * second[:, None]
    points = (curve[:, None] + RADIUS * ring).reshape(-1, 3)
    i, j = torch.meshgrid(torch.arange(ALONG), torch.arange(AROUND), indexing="ij")
    up, on = (i + 1) % ALONG, (j + 1) % AROUND
    a, b, c, d = (p.flatten() * AROUND + q.flatten() for p, q in ((i, j), (up, j), (up, on), (i, on)))
    triangles = torch.cat([torch.stack([a, b, c], 1), torch.stack([a, c, d], 1)])
    return Mesh(points.float(), Cells.from_blocks({"triangle": triangles}))


def main() -> None:
    """Writes the mesh."""
    mesh = knot()
    MeshSolid(mesh)  # refuses what is not watertight
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    io.write(OUTPUT, mesh)


if __name__ == "__main__":
    main()
