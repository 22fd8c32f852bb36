"""Builds the native libraries against the stable ABI of libtorch; metadata is in setup.cfg.

The libraries contain no CPython symbol and target torch 2.10, so one ``py3-none`` wheel serves every Python and every
newer torch. Without torch, a compiler or nvcc the installation still succeeds, and geoops runs on plain torch, which
`geoops.ops.info()` shows.

Environment:
    GEOOPS_NATIVE: "0" builds nothing native, "1" makes a failure an error; without it native code is built if possible.
    GEOOPS_CUDA: "0" leaves CUDA out even where nvcc is present.
    GEOOPS_ISAS: instruction sets of the CPU kernels, some of "baseline avx2 avx512", which is all.
    GEOOPS_CUDA_ARCHS: compute capabilities, for instance "90" or "75 80 86+PTX" ("+PTX" serves GPUs yet to come).
    GEOOPS_WERROR: "1" makes compiler warnings errors (the Makefile sets it).
    CXX, NVCC, CXXFLAGS: compilers and further flags of both.
"""

import importlib.util
import os
import platform
import shlex
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError

ROOT = Path(__file__).resolve().parent
NATIVE = os.environ.get("GEOOPS_NATIVE", "auto")
ARCHS = "75 80 86 89 90 100 120+PTX"
# The CPU kernels are compiled once for each; geoops.ops loads the widest that the processor has.
ISAS = {"": [], "_avx2": ["-mavx2", "-mfma", "-mf16c"], "_avx512": ["-march=x86-64-v4", "-mprefer-vector-width=512"]}
DEFINES = ["-DTORCH_TARGET_VERSION=0x020a000000000000"]  # torch 2.10.0
HOST_FLAGS = ["-fPIC", "-fvisibility=hidden", "-Wno-psabi"]  # vectors are passed to inlined functions only
# Only the current stream is asked of libtorch_cuda; a stub with its soname stands in for it at link time, because a CPU
# build of torch does not have that library.
STUB = 'extern "C" int aoti_torch_get_current_cuda_stream(int, void**) { return 1; }\n'


def torch_folder() -> Path:
    """Returns the folder of the installed torch, found without importing it."""
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        raise CompileError("torch is not installed in the build environment; use pip install --no-build-isolation")
    return Path(spec.origin).parent


def run(command: list[str]) -> str:
    """Runs a compiler and returns what it said; a failure shows that too."""
    print(shlex.join(command), flush=True)
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise CompileError(f"{command[0]} failed:\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def compile_once(command: list[str], headers: list[str]) -> None:
    """Runs ``... -c source -o object`` unless the object is newer than source and headers and was made by that command."""
    source, target = Path(command[-3]), Path(command[-1])
    made_by = target.with_suffix(".txt")
    if target.exists() and made_by.exists() and made_by.read_text() == shlex.join(command):
        newest = max((ROOT / file).stat().st_mtime for file in (source, *headers))
        if target.stat().st_mtime > newest:
            return
    made_by.unlink(missing_ok=True)
    target.with_suffix(".log").write_text(run(command))  # of nvcc: registers and spills, which a test reads
    made_by.write_text(shlex.join(command))


def compiler(variable: str, *names: str) -> str:
    """Returns the command named by an environment variable, or the first of the names that is on the path."""
    found = os.environ.get(variable) or next(filter(None, map(shutil.which, names)), None)
    if not found:
        raise CompileError(f"no compiler found: install one of {', '.join(names)} or set {variable}")
    return found


def gencode(archs: str) -> list[str]:
    """Returns nvcc's flags for a list such as "75 90+PTX".

    >>> gencode("75 90+PTX")
    ['-gencode=arch=compute_75,code=sm_75', '-gencode=arch=compute_90,code=[sm_90,compute_90]']
    """
    flags = []
    for arch in archs.replace(",", " ").replace(";", " ").split():
        number = arch.removesuffix("+PTX").replace(".", "")
        code = f"sm_{number}" if number == arch.replace(".", "") else f"[sm_{number},compute_{number}]"
        flags.append(f"-gencode=arch=compute_{number},code={code}")
    return flags


class BuildNative(build_ext):
    """Compiles shared libraries that torch loads; they are no Python modules and have no Python in their names."""

    def get_ext_filename(self, ext_name: str) -> str:
        return str(Path(*ext_name.split("."))) + ".so"

    def copy_extensions_to_source(self) -> None:
        (ROOT / "geoops" / "_native").mkdir(exist_ok=True)
        super().copy_extensions_to_source()

    def build_extension(self, ext: Extension) -> None:
        if sys.platform != "linux":
            raise CompileError(f"the native libraries are built on Linux only, not on {sys.platform}")
        torch = torch_folder()
        work = Path(self.build_temp, ext.name).resolve()
        work.mkdir(parents=True, exist_ok=True)
        output = Path(self.get_ext_fullpath(ext.name)).resolve()
        output.parent.mkdir(parents=True, exist_ok=True)
        cuda = ext.name.endswith("_cuda")
        compile_, link = self.cuda_commands(work) if cuda else self.cpu_commands(ext.name.partition("_cpu")[2])
        includes = ["-isystem", str(torch / "include"), *shlex.split(os.environ.get("CXXFLAGS", ""))]
        objects = [str(work / (Path(source).stem + ".o")) for source in ext.sources]
        commands = [[*compile_, *includes, "-c", s, "-o", o] for s, o in zip(ext.sources, objects, strict=True)]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(lambda command: compile_once(command, ext.depends), commands))
        libraries = [f"-L{torch / 'lib'}", "-ltorch_cpu", "-lc10", *([f"-L{work}", "-ltorch_cuda"] if cuda else [])]
        run([*link, *objects, *libraries, "-o", str(output)])

    def cpu_commands(self, isa: str) -> tuple[list[str], list[str]]:
        """Returns the beginnings of the commands that compile a file and link the library."""
        cxx = compiler("CXX", "g++", "clang++", "c++")
        strict = ["-Wall", "-Wextra", *(["-Werror"] if os.environ.get("GEOOPS_WERROR") == "1" else [])]
        flags = ["-std=c++20", "-O3", "-fwrapv", *ISAS[isa], *HOST_FLAGS, *strict, *DEFINES]
        return [cxx, *flags], [cxx, "-shared", "-Wl,--as-needed"]

    def cuda_commands(self, work: Path) -> tuple[list[str], list[str]]:
        """Does the same for CUDA, after making the stub."""
        nvcc, cxx = compiler("NVCC", "nvcc"), compiler("CXX", "g++", "clang++", "c++")
        (work / "stub.cpp").write_text(STUB)
        run(
            [
                cxx,
                "-shared",
                "-fPIC",
                "-Wl,-soname,libtorch_cuda.so",
                str(work / "stub.cpp"),
                "-o",
                str(work / "libtorch_cuda.so"),
            ]
        )
        strict = ["-Wall", "-Wextra"]
        flags = [
            nvcc,
            "-std=c++20",
            "-O3",
            "-Xptxas",
            "-v",
            "-DUSE_CUDA",
            *DEFINES,
            *gencode(os.environ.get("GEOOPS_CUDA_ARCHS", ARCHS)),
        ]
        if os.environ.get("GEOOPS_WERROR") == "1":
            strict.append("-Werror")
            flags += ["-Werror", "all-warnings"]
        host = ["-Xcompiler", ",".join([*HOST_FLAGS, *strict])]
        return [*flags, *host], [nvcc, "-shared", "-cudart", "static"]


class Wheel(bdist_wheel):
    """Tags the wheel for the platform alone: any Python 3, no Python ABI."""

    def finalize_options(self) -> None:
        super().finalize_options()
        self.root_is_pure = NATIVE == "0"

    def get_tag(self) -> tuple[str, str, str]:
        return "py3", "none", super().get_tag()[2]


def library(device: str, *patterns: str) -> Extension:
    """Returns the description of the native library of a device."""
    sources = sorted(str(file.relative_to(ROOT)) for pattern in patterns for file in ROOT.glob(pattern))
    folder = patterns[-1].rpartition("/")[0]
    headers = sorted(str(file.relative_to(ROOT)) for place in ("csrc", folder) for file in ROOT.glob(f"{place}/*.*h"))
    return Extension(f"geoops._native.libgeoops_{device}", sources, depends=headers, optional=NATIVE != "1")


libraries = []
if NATIVE != "0":
    isas = ISAS if platform.machine() in ("x86_64", "AMD64") else {"": []}
    wanted = os.environ.get("GEOOPS_ISAS", "baseline avx2 avx512").split()
    isas = [isa for isa in isas if (isa.removeprefix("_") or "baseline") in wanted]
    libraries += [library(f"cpu{isa}", "csrc/registration.cpp", "csrc/cpu/*.cpp") for isa in isas]
    if os.environ.get("GEOOPS_CUDA") != "0" and (os.environ.get("NVCC") or shutil.which("nvcc")):
        libraries.append(library("cuda", "csrc/cuda/*.cu"))

setup(ext_modules=libraries, cmdclass={"build_ext": BuildNative, "bdist_wheel": Wheel})
