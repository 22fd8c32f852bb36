"""Frames of motions for decoders."""

import itertools

import pytest
import torch

from geoops.data import Frames, Sampling
from geoops.testing import random_motion


def frames(motions, **options):
    return Frames(motions, **{"sampling": Sampling(10, 20), "queries": 25, "frames": 3, "seed": 1, **options})


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("in_a_row", [True, False])
def test_samples_and_queries_are_of_the_same_frames(in_a_row):
    motion = random_motion(60, names=("jelly", "sand"))
    batches, starts = frames([motion], in_a_row=in_a_row), set()
    for i in range(30):
        samples, queries, sample_body, query_body = batches[i]
        n = samples.shape[1]
        assert 10 <= n <= 20
        assert samples.shape == (4, n, 2)
        assert queries.shape == (4, 25, 2)
        found = []
        for x, body in ((samples, sample_body), (queries, query_body)):
            # the particle and the frame of each position
            apart = (x[0][:, None] == motion.x.flatten(0, 1)).all(2).int().argmax(1)
            first, number = apart // 60, apart % 60
            assert len(first.unique()) == 1
            assert torch.equal(motion.material[number], body)
            times = [int((motion.x[:, number] - frame).abs().amax((1, 2)).argmin()) for frame in x]
            assert torch.equal(motion.x[times][:, number], x)
            found.append(times)
        assert found[0] == found[1]
        starts.add(found[0][0])
        if in_a_row:
            assert found[0] == list(range(found[0][0], found[0][0] + 4))
        else:
            assert len(set(found[0])) == 4
    assert len(starts) > 8 if in_a_row else starts == {0}


def test_batches_are_functions_of_seed_and_step():
    motions = [random_motion(60, seed=seed) for seed in range(3)]
    one = list(itertools.islice(frames(motions), 4))
    assert same(frames(motions)[3], one[3])
    assert same(next(iter(frames(motions, start=2))), one[2])
    assert not same(frames(motions, seed=2)[0], one[0])


def test_fewer_particles_than_queries():
    samples, queries, _, _ = frames([random_motion(12)], sampling=Sampling(20, 20))[0]
    assert samples.shape[1] == queries.shape[1] == 12


def test_what_does_not_fit():
    with pytest.raises(ValueError, match="steps of 3 frames need motions of at least 4 frames, got 3"):
        frames([random_motion(30, frames=3)])
