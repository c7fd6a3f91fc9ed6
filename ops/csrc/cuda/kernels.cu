// All kernels as one translation unit: one file to build, to keep and to load.
#include "bias_act.cu"
#include "epilogue.cu"
#include "grid_sample.cu"
#include "upfirdn2d.cu"
#include "upfirdn2d_4x4.cu"
#include "upfirdn2d_separable.cu"

// What ops/native/params.py takes the structs to be; its sizes come with the compiler's flags.
static_assert(sizeof(BiasActParams) == SIZEOF_BiasActParams, "BiasActParams differs from params.py");
static_assert(sizeof(Upfirdn2dParams) == SIZEOF_Upfirdn2dParams, "Upfirdn2dParams differs from params.py");
static_assert(sizeof(GridSampleParams) == SIZEOF_GridSampleParams, "GridSampleParams differs from params.py");
