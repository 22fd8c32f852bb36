"""The kernels' own source on the CPU, beside the CPU kernels; and kernels that must be caught."""

import pytest


@pytest.mark.parametrize("check", ["address", "race"])
@pytest.mark.parametrize("seed", [0, 1])
def test_kernels_equal_those_of_the_cpu(emulated, check, seed):
    done = emulated.compare(check, seed)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-6000:]


def test_few_blocks_do_the_work_of_many(emulated):
    done = emulated.compare("address", 2, GEOOPS_EMULATION_GRID="2")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-6000:]


def test_addresses_beyond_32_bits(emulated):
    done = emulated.large()
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-6000:]


@pytest.mark.parametrize("mode", ["fixed", "any"])
def test_only_a_fixed_order_gives_the_same_bits(emulated, mode):
    runs = [emulated.order(seed, mode) for seed in range(3)]
    for done in runs:
        assert done.returncode == 0, done.stderr[-6000:]
    assert (len({done.stdout for done in runs}) == 1) == (mode == "fixed")


MISTAKES = [
    ("address", "write out of bounds", "heap-buffer-overflow"),
    ("address", "address of 32 bits", "signed integer overflow"),
    ("address", "missing barrier", "wrong value"),
    ("address", "barrier that some never reach", "never reach: 40 wait, 24 have ended"),
    ("address", "two barriers for one", "different barriers"),
    ("address", "shuffle that some never reach", "warp operation"),
    ("race", "missing barrier", "race: thread"),
    ("race", "update that is not atomic", "race: thread"),
]
SOUND = ["barrier", "write", "uniform barrier", "shuffle", "atomic update", "address"]


@pytest.mark.parametrize(("check", "name", "message"), MISTAKES)
@pytest.mark.parametrize("seed", [0, 1])
def test_mistakes_are_caught(emulated, check, name, message, seed):
    done = emulated.broken(check, name, seed)
    assert done.returncode != 0
    assert message in done.stderr


@pytest.mark.parametrize("check", ["address", "race"])
@pytest.mark.parametrize("name", SOUND)
def test_the_same_without_the_mistake_passes(emulated, check, name):
    done = emulated.broken(check, f"sound {name}", 2)
    assert done.returncode == 0, done.stderr
