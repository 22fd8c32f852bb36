"""Compiles the CUDA kernels for the CPU, twice: with AddressSanitizer, and with the calls that the race detector hears."""

import os
import shlex
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
WORK = ROOT / "build" / "emulated"
CHECKS = {
    "address": ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"],
    "race": ["-O0", "-fsanitize=thread"],
}
FLAGS = ["-std=c++20", "-O1", "-g", "-fPIC", "-fvisibility=hidden", "-Wall", "-Wextra", "-Werror", "-Wno-tsan"]
TORCH = [
    "-DTORCH_TARGET_VERSION=0x020a000000000000",
    "-DGEOOPS_EMULATED",
    "-isystem",
    str(Path(torch.__file__).parent / "include"),
]


def run(command, **options):
    done = subprocess.run(command, capture_output=True, text=True, **options)
    assert done.returncode == 0, f"{shlex.join(map(str, command))}\n{done.stdout}{done.stderr}"
    return done.stdout


def compiled(command, sources, target):
    """Runs a compiler unless the target is newer than all sources."""
    stamp = target.with_suffix(".txt")
    if not (target.exists() and stamp.exists() and stamp.read_text() == shlex.join(command)) or any(
        source.stat().st_mtime > target.stat().st_mtime for source in sources
    ):
        stamp.unlink(missing_ok=True)
        run(command)
        stamp.write_text(shlex.join(command))
    return target


def sanitized(command, **environment):
    """Runs a program that has the sanitizers' library before all others."""
    # libasan looks for the function that throws when it is loaded, so the library that has it goes with it.
    libraries = [run(["g++", f"-print-file-name={name}"]).strip() for name in ("libasan.so", "libstdc++.so")]
    return subprocess.run(
        [str(part) for part in command],
        env={
            **os.environ,
            "ASAN_OPTIONS": "detect_leaks=0",
            "OMP_NUM_THREADS": "1",
            "LD_PRELOAD": " ".join(libraries),
            "PYTHONPATH": str(ROOT),
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=600,
    )


@dataclass
class Emulated:
    """The two libraries of the kernels and the two programs of broken kernels, by the name of the check."""

    libraries: dict[str, Path]
    programs: dict[str, Path]

    def compare(self, check, seed, **environment):
        """Compares all ops with those of the CPU, in a process of its own."""
        command = [sys.executable, HERE / "compare.py", self.libraries[check], str(seed)]
        return sanitized(command, GEOOPS_EMULATION_SEED=str(seed), **environment)

    def large(self):
        """Does so on tensors that are larger than 32 bits can address."""
        command = [sys.executable, HERE / "large.py", self.libraries["address"]]
        return sanitized(command, GEOOPS_EMULATION_ENDS="1")

    def order(self, seed, mode):
        """Returns a checksum of sums of equal numbers for a schedule of the threads."""
        command = [sys.executable, HERE / "order.py", self.libraries["address"], "0", mode]
        return sanitized(command, GEOOPS_EMULATION_SEED=str(seed))

    def broken(self, check, name, seed):
        return sanitized([self.programs[check], name], GEOOPS_EMULATION_SEED=str(seed))


@pytest.fixture(scope="session")
def emulated():
    if shutil.which("g++") is None or not Path(run(["g++", "-print-file-name=libasan.so"]).strip()).is_absolute():
        pytest.skip("needs g++ with AddressSanitizer")
    WORK.mkdir(parents=True, exist_ok=True)
    headers = [*ROOT.glob("csrc/*.h"), *ROOT.glob("csrc/cuda/*.cuh"), *HERE.glob("*.h")]
    machine = WORK / "emulation.o"
    source = HERE / "emulation.cpp"
    compiled(["g++", *FLAGS, "-O2", "-c", str(source), "-o", str(machine)], [source], machine)

    def build(check, source):
        target = WORK / f"{check}_{source.stem}.o"
        command = ["g++", "-x", "c++", *FLAGS, *CHECKS[check], *TORCH, "-I", str(HERE), "-c", str(source), "-o", str(target)]
        return compiled(command, [source, *headers], target)

    kernels = sorted(ROOT.glob("csrc/cuda/*.cu"))
    jobs = [(check, source) for check in CHECKS for source in (*kernels, HERE / "broken.cu")]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = dict(zip(jobs, pool.map(lambda job: build(*job), jobs), strict=True))
    libraries, programs = {}, {}
    for check in CHECKS:
        parts = [objects[check, source] for source in kernels]
        library, program = WORK / f"lib{check}.so", WORK / f"{check}_broken"
        sanitizers = CHECKS["address"]  # of which the fibres need the functions in any case
        link = [
            "g++",
            *sanitizers,
            *map(str, parts),
            str(machine),
            f"-L{Path(torch.__file__).parent / 'lib'}",
            "-ltorch_cpu",
            "-lc10",
        ]
        libraries[check] = compiled([*link, "-shared", "-o", str(library)], [*parts, machine], library)
        broken = objects[check, HERE / "broken.cu"]
        link = ["g++", *sanitizers, str(broken), str(machine), "-o", str(program)]
        programs[check] = compiled(link, [broken, machine], program)
    return Emulated(libraries, programs)
