// Products and strains of small matrices with one thread for each matrix.
#include "../strain_ops.h"
#include "matrices.cuh"

namespace geoops {
namespace {

GEOOPS_CUDA_OPS(m) { Strains<Cuda>::implement(m); }

}  // namespace
}  // namespace geoops
