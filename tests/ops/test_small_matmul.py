import pytest
import torch

from geoops.ops import small_matmul
from geoops.ops._small_matmul import _matmul_torch

SIDES = [(a, b) for a in (False, True) for b in (False, True)]


@pytest.mark.parametrize(("a", "b"), SIDES)
@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize("shape", [(), (0,), (1,), (4, 5), (2, 0), (70,)])
def test_products(shape, d, a, b, device, dtype, tolerance):
    A, B = torch.randn(2, *shape, d, d, dtype=dtype, device=device)
    found = small_matmul(A, B.mT, transpose_a=a, transpose_b=b)
    torch.testing.assert_close(found, _matmul_torch(A, B.mT, a, b), **tolerance)


@pytest.mark.parametrize(("a", "b"), SIDES)
@pytest.mark.parametrize("d", [2, 3])
def test_derivatives(d, a, b, device, check_derivatives):
    A, B = torch.randn(2, 3, d, d, device=device)
    check_derivatives(lambda A, B: small_matmul(A, B, transpose_a=a, transpose_b=b), A, B)


def test_a_bad_matrix_spoils_no_other(device, dtype):
    A, B = torch.randn(2, 20, 3, 3, dtype=dtype, device=device)
    good = small_matmul(A, B)
    A[7] = torch.nan
    rest = torch.arange(20) != 7
    assert torch.equal(small_matmul(A, B)[rest], good[rest])
    assert small_matmul(A, B)[7].isnan().all()


def test_bits_do_not_depend_on_the_threads():
    A, B = torch.randn(2, 20_000, 3, 3)
    alone = small_matmul(A, B)
    try:
        for threads in (2, 3):
            torch.set_num_threads(threads)
            assert torch.equal(small_matmul(A, B), alone)
    finally:
        torch.set_num_threads(1)


@pytest.mark.parametrize("d", [2, 3])
def test_opcheck(d, device, dtype):
    A, B = (torch.randn(4, d, d, dtype=dtype, device=device, requires_grad=True) for _ in range(2))
    torch.library.opcheck(torch.ops.geoops.small_matmul.default, (A, B, True, False))


@pytest.mark.compile
def test_compiles_into_one_graph(device):
    def energy(A):
        return small_matmul(A.exp(), A, transpose_b=True).square().sum()

    compiled = torch.compile(energy, fullgraph=True, dynamic=True)
    for n in (7, 20):
        A = torch.randn(n, 3, 3, dtype=torch.float64, device=device, requires_grad=True)
        actual, expected = compiled(A), energy(A)
        torch.testing.assert_close(actual, expected)
        torch.testing.assert_close(torch.autograd.grad(actual, A), torch.autograd.grad(expected, A))


@pytest.mark.usefixtures("unchecked")
class TestBadInput:
    def test_dtype(self):
        with pytest.raises(TypeError, match=r"small_matmul: expected A of dtype float32 or float64, got torch.int64; cast it"):
            small_matmul(torch.ones(3, 3).long(), torch.ones(3, 3))
        with pytest.raises(TypeError, match=r"small_matmul: B is torch.float64 and A is torch.float32; cast one of them"):
            small_matmul(torch.ones(3, 3), torch.ones(3, 3).double())

    def test_shape(self):
        with pytest.raises(ValueError, match=r"small_matmul: expected A of shape"):
            small_matmul(torch.ones(4, 4), torch.ones(4, 4))
        with pytest.raises(ValueError, match=r"small_matmul: expected B of the shape \(5, 3, 3\) of A, got \(3, 3\)"):
            small_matmul(torch.ones(5, 3, 3), torch.ones(3, 3))

    def test_the_raw_op_is_safe_too(self):
        with pytest.raises((ValueError, RuntimeError)):
            torch.ops.geoops.small_matmul(torch.ones(5, 3, 3), torch.ones(4, 3, 3), False, False)
