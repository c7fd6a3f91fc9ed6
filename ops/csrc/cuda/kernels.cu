// All kernels in one translation unit: one file to build, cache and load.
#include "bias_act.cu"
#include "epilogue.cu"
#include "grid_sample.cu"
#include "upfirdn2d.cu"
#include "upfirdn2d_4x4.cu"
#include "upfirdn2d_separable.cu"

// The compiler's flags pass on the sizes of the structs in ops/native/params.py.
static_assert(sizeof(BiasActParams) == SIZEOF_BiasActParams, "BiasActParams differs from params.py");
static_assert(sizeof(Upfirdn2dParams) == SIZEOF_Upfirdn2dParams, "Upfirdn2dParams differs from params.py");
static_assert(sizeof(GridSampleParams) == SIZEOF_GridSampleParams, "GridSampleParams differs from params.py");
