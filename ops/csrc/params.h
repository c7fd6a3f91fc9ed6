// Parameters of the kernels: one struct per kernel family, shared by C++ and CUDA.
// ops/native/params.py mirrors this file field by field. All fields have 8 bytes, so that no compiler pads.
// Nothing is included here, because NVRTC has no standard headers.
#pragma once

typedef long long int64;

enum ScalarType { FLOAT32 = 0, FLOAT64 = 1, FLOAT16 = 2, BFLOAT16 = 3 };

enum Activation { LINEAR = 0, RELU, LRELU, TANH, SIGMOID, ELU, SELU, SOFTPLUS, SWISH };

// "Accumulation type" below means float, or double where the tensors are double.

// y = clamp(gain * act(x + b)), or u times its derivative of an order (ops/bias_act.py). Memory is dense, with its
// axes in any order.
struct BiasActParams {
    const void* x;
    const void* b;  // accumulation type [bias_size], or null
    const void* u;  // like x; null for order 0
    void* y;
    int64 size;       // elements
    int64 bias_size;  // element i of memory takes bias (i / bias_step) % bias_size
    int64 bias_step;
    int64 dtype;       // ScalarType
    int64 activation;  // Activation
    int64 order;
    int64 from_output;  // x is the result of order 0 (piecewise linear activations only)
    double alpha;
    double gain;
    double clamp;  // negative: no limit
};

// What may follow a convolution, in one pass: y = clamp(gain * act(x * scale + noise + b)).
struct Epilogue {
    const void* scale;  // accumulation type [N, C], or null
    const void* noise;  // accumulation type [N or 1, H, W], or null
    const void* b;      // accumulation type [C], or null
    int64 noise_stride;  // elements from one sample's noise to the next; 0 if all samples share it
    int64 activation;
    double alpha;
    double gain;
    double clamp;  // negative: no limit
};

// Upsample, pad, FIR-filter, downsample (ops/upfirdn2d.py), then the epilogue.
struct Upfirdn2dParams {
    const void* x;
    const void* f;  // accumulation type [fh, fw] contiguous; [fw] for both axes if separable; never null
    void* y;
    int64 dtype;
    int64 in_size[4];    // N, C, H, W
    int64 in_stride[4];  // elements
    int64 out_size[4];
    int64 out_stride[4];
    int64 fw, fh;
    int64 separable;
    int64 flip;  // correlate
    int64 up_x, up_y, down_x, down_y;
    int64 pad_x0, pad_y0;  // may be negative; the other sides follow from out_size
    double gain;           // of both axes together
    int64 has_epilogue;
    Epilogue epilogue;
};

// The epilogue without resampling, or its gradients (ops/scaled_bias_act.py), by a piecewise linear activation on a CPU.
// Images are [N, pixels, C]; all operands have the type of x.
struct ScaledBiasActParams {
    const void* x;   // for gradients: null if the products with it are not wanted
    const void* u;   // gradient of y
    void* y;         // result; for gradients the operand that tells the slopes, or null where these are 1
    void* dx;        // null if not wanted, as are the others
    void* dscale;    // [N, C]
    void* dnoise;    // [N, pixels]
    void* db;        // [C]
    int64 dtype;     // FLOAT32 or FLOAT64
    int64 n, pixels, c;
    Epilogue epilogue;
};

// Bilinear sampling with zeros outside the image and align_corners=False (ops/grid_sample.py), and its transpose.
struct GridSampleParams {
    const void* x;     // images [N, C, H, W]; for the transpose the gradient [N, C, h, w]
    const void* grid;  // [N, h, w, 2] contiguous, of the same type as x
    void* y;
    int64 dtype;
    int64 image_size[4];    // N, C, H, W
    int64 image_stride[4];  // elements, of the images or of their gradient
    int64 sample_size[2];   // h, w
    int64 sample_stride[4];
};

// How a 3x3 convolution resamples (ops/conv3x3.py); the size of y for x [H, W]:
enum ConvMode {
    SAME = 0,  // [H, W], padding 1
    DOWN = 1,  // [(H - 1) / 2, (W - 1) / 2], stride 2, no padding
    UP = 2     // [2 H + 1, 2 W + 1], the transpose of DOWN
};

// 3x3 convolution on a CPU, channels last: x [N, H, W, C] -> y [N, H', W', O].
struct Conv3x3Params {
    const void* x;
    const void* weight;  // packed for the algorithm
    const void* s;       // styles [N, C] that scale x, or null
    const void* f;       // 4x4 filter for the result of UP, correlated: y is then [2 H, 2 W]; or null
    void* y;
    int64 dtype;  // FLOAT32 or FLOAT64
    int64 mode;
    int64 n, h, w, c, o;  // C and O are multiples of `conv3x3_multiple`
    int64 instructions;   // Bf16Instructions (cpu/bf16.h), of the kernels that multiply in bfloat16
    int64 has_epilogue;
    Epilogue epilogue;
};

// Weights [O, C, 3, 3] of any strides (negative for a flipped filter), to be packed in the order the products read.
struct PackParams {
    const void* w;  // element [0, 0, 0, 0]
    void* packed;
    int64 dtype;
    int64 c, o;
    int64 stride_o, stride_c, stride_y, stride_x;
    int64 mode;  // ConvMode, where the algorithm packs by it
};

// Gradient with respect to the weights: dw [O, C, 3, 3] contiguous, from x and the gradient dy of y.
struct WeightGradientParams {
    const void* x;
    const void* dy;
    void* dw;
    int64 dtype;
    int64 mode;
    int64 n, h, w, c, o;  // H and W of x
    int64 instructions;   // as in Conv3x3Params
};

// What the CPU and the operating system say about instructions for bfloat16, and what follows (cpu/bf16_cpu.cpp).
enum Usability { LACKING = 0, DISABLED = 1, USABLE = 2 };

struct Bf16CpuState {
    int64 leaf1_ecx, leaf7_ebx, leaf7_edx, leaf7_1_eax;  // registers of the instruction CPUID
    int64 xcr0;             // which registers the operating system saves
    int64 tiles_permitted;  // whether Linux has granted the tiles to this process
    int64 amx, avx512_bf16;  // Usability, the result
};

// A product of bfloat16 matrices by the instructions alone, for tests (Bf16Product in cpu/bf16.h).
struct Bf16ProductParams {
    const void* a;
    const void* offsets;
    int64 a_step;
    const void* panel;
    int64 steps, rows;
    void* out;
    int64 accumulate;
    int64 instructions;
};

// Checksum of `bytes` bytes from `data` on.
struct ChecksumParams {
    const void* data;
    int64 bytes;
    int64 checksum;  // the result
};

// Products of rows: y[b][m][o] = sum over k of x[b][m][k] * w[b][o][k], all contiguous.
struct RowProductsParams {
    const void* x;
    const void* w;  // of each batch, or one [O, K] for all
    void* y;
    int64 dtype;  // FLOAT32 or FLOAT64
    int64 batches, rows, columns, depth;
    int64 w_batch_stride;  // elements; 0 for one w
};
