"""relative_attention against the same attention written with matrices in plain torch, both in one run."""

import argparse

import torch
from _record import Record, compare_ms
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.nn.functional import normalize

from geoops import ops


def torch_attention(q, k, v, x, y, normal, offset, bias):
    """The same with all weights in memory, by the fastest calls of torch that were found."""
    shapes, queries, heads, channels = q.shape
    features = ops.pair_features(x, y, normal)
    pairs = torch.addmm(offset[:, None, :].expand(-1, queries, -1).reshape(1, -1), bias, features.flatten(1))
    pairs = pairs.view(heads * shapes, queries, -1)
    q, k, v = q.permute(2, 0, 1, 3).flatten(0, 1), k.transpose(0, 1).flatten(0, 1), v.transpose(0, 1).flatten(0, 1)
    weights = torch.baddbmm(pairs, q, k.mT, alpha=channels**-0.5).softmax(-1)
    return torch.bmm(weights, v).view(heads, shapes, queries, channels).permute(1, 2, 0, 3)


def draw(queries: int, tokens: int, channels: int, heads: int, device: torch.device) -> list[Tensor]:
    """Returns random arguments for one shape in the plane."""
    sizes = [(1, queries, heads, channels), *[(1, heads, tokens, channels)] * 2, (1, queries, 2), *[(1, tokens, 2)] * 2]
    parts = [torch.randn(size, device=device) for size in [*sizes, (1, tokens), (heads, ops.PAIR_FEATURES)]]
    parts[5] = normalize(parts[5], dim=-1)
    return parts


def main() -> None:
    """Prints the table and writes benchmarks/results/relative_attention.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--queries", type=int, default=16384)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"))
    parser.add_argument("--threads", type=int, default=None, help="default: torch's own choice")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    name = "relative_attention" if options.device.type == "cpu" else f"relative_attention_{options.device.type}"
    table = Table("tokens", "channels", "geoops ms", "torch ms", "speed-up", title=f"{options.queries} queries")
    with Record(name, seed=0) as record, torch.no_grad():
        record["queries"], record["heads"], record["dtype"] = options.queries, options.heads, "float32"
        record["kernels"] = vars(ops.info())
        found = []
        for tokens in (16, 64, 256):
            for channels in (16, 32):
                arguments = draw(options.queries, tokens, channels, options.heads, options.device)
                ours, theirs = ops.relative_attention(*arguments), torch_attention(*arguments)
                torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3)
                ms, torch_ms = compare_ms(
                    lambda a=arguments: ops.relative_attention(*a), lambda a=arguments: torch_attention(*a), repeats=7
                )
                row = {"tokens": tokens, "channels": channels, "ms": round(ms, 2), "torch_ms": round(torch_ms, 2)}
                found.append({**row, "speedup": round(torch_ms / ms, 2)})
                table.add_row(*(str(value) for value in found[-1].values()))
        record["rows"] = found
    console = Console()
    console.print(table)
    console.print(f"written to {record.path.name} in benchmarks/results")


if __name__ == "__main__":
    main()
