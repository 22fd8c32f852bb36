"""TEMPORARY until scenes arrive."""
import numpy as np
import torch

from geoops.physics import *


def observe(source, *, steps=None, throw=None, every=1):
    name = source.split("/")[-1]
    box=Box((20,)*3,.05,eps=1e-7); dt=5e-4
    g=torch.linspace(-.25,.25,10); r=torch.cartesian_prod(g,g,g)
    v0,w=np.array([1,-1.5,-2.]),np.array([4.,4,4])
    if throw is not None:
        rng=np.random.Generator(np.random.PCG64(throw))
        d=rng.uniform(-1,1,3); d[1]=-abs(d[1]); d/=np.linalg.norm(d); v0=d*rng.uniform(0,3); w=rng.uniform(0,3,3)
    v=torch.tensor(v0,dtype=torch.float32)+torch.linalg.cross(torch.tensor(w,dtype=torch.float32).expand(1000,3),r)
    p=Particles.undeformed(r+.5,v,volume=1.25e-4,density=1e3)
    m=material(name); mpm=MPM(box,dt,m.elastic,m.plastic); n=steps or 1000
    with torch.no_grad(): out=[p,*mpm.steps(p,n,every)]
    f=lambda k: torch.stack([getattr(s,k) for s in out])
    return Trajectory(Particles(f('x'),f('v'),f('C'),f('F'),p.mass,p.volume),torch.arange(0,n+1,every),box,dt,torch.zeros(1000,dtype=torch.long),(name,))
