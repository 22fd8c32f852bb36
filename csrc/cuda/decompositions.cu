// Decompositions of small matrices with one thread for each matrix.
#include "../decompositions.h"
#include "matrices.cuh"

namespace geoops {
namespace {

GEOOPS_CUDA_OPS(m) { Decompositions<Cuda>::implement(m); }

}  // namespace
}  // namespace geoops
