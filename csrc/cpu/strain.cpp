// Products and strains of small matrices in blocks with one matrix in each lane.

#include "../strain_ops.h"
#include "matrices.h"

namespace geoops {
namespace {

STABLE_TORCH_LIBRARY_IMPL(geoops, CPU, m) { Strains<Cpu>::implement(m); }

}  // namespace
}  // namespace geoops
