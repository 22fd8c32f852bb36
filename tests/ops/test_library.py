"""The native libraries and the plain path that stands in for them."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import geoops.ops
from geoops.ops import _library

ROOT = Path(__file__).resolve().parents[2]
NATIVE = ROOT / "geoops" / "_native"


def python(code, **environment):
    """Runs a fresh interpreter: a process loads a library once."""
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_info_names_the_active_path():
    info = geoops.ops.info()
    assert info.cpu == ("native" if _library._CPU else "torch")
    assert info.threads == torch.get_num_threads()
    assert info.torch == torch.__version__
    assert (info.cuda == "absent") == (not torch.cuda.is_available())


def test_python_and_cpp_state_the_same_schemas():
    text = (ROOT / "csrc" / "registration.cpp").read_text()
    whole = re.sub(r'"\s*"', "", text)  # long schemas are split over lines
    assert dict(re.findall(r'm\.def\(\s*"(\w+)(\(.*?)"\)', whole)) == geoops.ops._library.SCHEMAS


@pytest.mark.slow
def test_the_plain_path_passes_the_same_tests():
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-k",
            # The searches in plain torch compare all pairs; their large cases would take minutes.
            "not opcheck and not plain and not many and not deep and not greedy and not threads and not every",
            str(ROOT / "tests/ops"),
        ],
        env={**os.environ, "GEOOPS_NATIVE": "0"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=1500,
    )
    assert done.returncode == 0, done.stdout


def test_native_can_be_switched_off_and_demanded():
    show = "import geoops.ops as ops; print(ops.info().cpu)"
    assert python(show, GEOOPS_NATIVE="0").stdout == "torch\n"
    if (NATIVE / "libgeoops_cpu.so").exists():
        assert python(show, GEOOPS_NATIVE="1").stdout == "native\n"


@pytest.mark.parametrize("isa", ["DEFAULT", "AVX2", "AVX512"])
def test_every_instruction_set_gives_the_same(isa):
    name = "libgeoops_cpu.so" if isa == "DEFAULT" else f"libgeoops_cpu_{isa.lower()}.so"
    order = ["DEFAULT", "AVX2", "AVX512"]
    if not (NATIVE / name).exists() or order.index(isa) > order.index(torch.backends.cpu.get_cpu_capability()):
        pytest.skip(f"this processor or installation lacks {isa}")
    code = """
import torch, geoops.ops as ops
torch.manual_seed(0)
x, i = torch.randn(3000, 37), torch.randint(50, (3000,))
exact = torch.zeros(50, 37, dtype=torch.float64).index_add_(0, i, x.double())
torch.testing.assert_close(ops.scatter(x, i, 0).double(), exact, rtol=1e-4, atol=1e-4)
most = torch.full((50, 37), -9.0).scatter_reduce(0, i[:, None].expand(x.shape), x, "amax")
assert torch.equal(ops.scatter(x, i, 0, reduce="max"), most)
torch.testing.assert_close(ops.scatter(ops.scatter_softmax(x, i, 0), i, 0), torch.ones(50, 37))
print(ops.info().isa)
"""
    done = python(code, ATEN_CPU_CAPABILITY=isa.lower(), GEOOPS_NATIVE="1")
    assert done.stdout == f"{isa}\n", done.stderr


def test_a_library_that_does_not_load_is_reported(tmp_path, monkeypatch):
    (tmp_path / "libgeoops_cpu.so").write_bytes(b"no library")
    monkeypatch.setattr(_library, "_FOLDER", tmp_path)
    monkeypatch.delenv("GEOOPS_NATIVE", raising=False)
    with pytest.warns(RuntimeWarning, match=r"libgeoops_cpu.so cannot be loaded.*GEOOPS_NATIVE=0"):
        assert not _library._load("geoops_cpu")
    monkeypatch.setenv("GEOOPS_NATIVE", "1")
    with pytest.raises(OSError, match=r"libgeoops_cpu\.so"):
        _library._load("geoops_cpu")
    monkeypatch.setenv("GEOOPS_NATIVE", "0")
    assert not _library._load("geoops_cpu")


@pytest.mark.skipif(not shutil.which("nm"), reason="needs nm from binutils")
@pytest.mark.parametrize("device", ["cpu", "cpu_avx2", "cpu_avx512", "cuda"])
def test_the_libraries_know_nothing_of_python(device):
    library = NATIVE / f"libgeoops_{device}.so"
    if not library.exists():
        pytest.skip(f"{library.name} was not built: no compiler for it")
    symbols = subprocess.run(["nm", "-D", "--undefined-only", library], capture_output=True, text=True, check=True).stdout
    assert "aoti_torch_" in symbols
    assert not re.search(r"\bU _?Py", symbols)
    assert not re.search(r"\bU _ZN\w*(2at|3c10)", symbols), "a C++ symbol of torch is outside its stable ABI"


def test_importing_geoops_imports_no_torch():
    done = python("import sys, geoops; assert 'torch' not in sys.modules; print(geoops.__version__)")
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", done.stdout)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'lod'"):
        _ = geoops.lod  # pyright: ignore[reportAttributeAccessIssue]
    assert {"load", "read", "write"} <= set(dir(geoops))
