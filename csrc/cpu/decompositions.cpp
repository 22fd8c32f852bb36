// Decompositions of small matrices in blocks with one matrix in each lane.

#include "../decompositions.h"
#include "matrices.h"

namespace geoops {
namespace {

STABLE_TORCH_LIBRARY_IMPL(geoops, CPU, m) { Decompositions<Cpu>::implement(m); }

}  // namespace
}  // namespace geoops
