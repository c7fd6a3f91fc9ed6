// What ops/native/cpu_library.py needs from a build besides its kernels.
#include <omp.h>

#include "params.h"

// For the calling thread's next parallel regions.
extern "C" void set_threads(int64 count) { omp_set_num_threads(static_cast<int>(count)); }

// Sizes of the params structs, which Python compares with its own when it loads the library.
#define SIZE_OF(Struct) \
    extern "C" int64 sizeof_##Struct() { return sizeof(Struct); }

SIZE_OF(BiasActParams)
SIZE_OF(Epilogue)
SIZE_OF(Upfirdn2dParams)
SIZE_OF(ScaledBiasActParams)
SIZE_OF(GridSampleParams)
SIZE_OF(Conv3x3Params)
SIZE_OF(PackParams)
SIZE_OF(WeightGradientParams)
SIZE_OF(Bf16CpuState)
SIZE_OF(Bf16ProductParams)
SIZE_OF(ChecksumParams)
SIZE_OF(RowProductsParams)
