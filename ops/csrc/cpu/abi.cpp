// What ops/native/cpu_library.py needs of a build besides its kernels.
#include <omp.h>

#include "params.h"

// Of the calling thread's next parallel regions.
extern "C" void set_threads(int64 count) { omp_set_num_threads(static_cast<int>(count)); }

// How large the params structs are; compared with Python's when the library is loaded.
#define SIZE_OF(Struct) \
    extern "C" int64 sizeof_##Struct() { return sizeof(Struct); }

SIZE_OF(BiasActParams)
SIZE_OF(Epilogue)
SIZE_OF(Upfirdn2dParams)
SIZE_OF(GridSampleParams)
SIZE_OF(Conv3x3Params)
SIZE_OF(PackParams)
SIZE_OF(WeightGradientParams)
