"""What nvcc said about the kernels, where they were compiled for a GPU: no spills, no stack, few registers."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOGS = sorted(ROOT.glob("build/temp*/*libgeoops_cuda/*.log"))
ENTRY = re.compile(
    r"Compiling entry function '(\w+)' for '(\w+)'.*?(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads"
    r".*?Used (\d+) registers",
    re.DOTALL,
)
REGISTERS = 64  # two blocks of 512, or eight of 128, fill a multiprocessor
# Kept are a query and a sum for each channel, the corners of a facet, a query with the front of a heap, up to four
# matrices of 3x3 doubles, or six for derivatives of strains, and splines with sums over the 27 nodes of a particle.
LARGE = {"attend_tiles": 168, "find_facets": 104, "find_neighbours": 72, "StrainBackward": 168, "Strain": 128, "Features": 128}
LARGE |= {"each_matrix": 104, "AddToX": 176, "Move": 168, "Return": 136, "to_nodes": 72}


@pytest.mark.skipif(not LOGS, reason="the CUDA library has not been compiled here")
@pytest.mark.parametrize("log", LOGS, ids=lambda log: log.stem)
def test_kernels_fit_into_registers(log):
    kernels = ENTRY.findall(log.read_text())
    assert kernels
    for name, arch, *numbers in kernels:
        stack, stores, loads, registers = map(int, numbers)
        assert (stack, stores, loads) == (0, 0, 0), f"{name} for {arch}: {stack} bytes of stack, {stores} and {loads} spilled"
        budget = next((most for part, most in LARGE.items() if part in name), REGISTERS)
        assert registers <= budget, f"{name} for {arch}: {registers} registers"
