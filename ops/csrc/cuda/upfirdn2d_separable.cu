// Separable filters of 12 taps, up 2 and down 2 (ops/upfirdn2d.py): both passes in one kernel, through shared
// memory, so that the intermediate image never reaches device memory.
#include "fir.cuh"

constexpr int THREADS = 256;
constexpr int TAPS = 12;

// A block's tile.
template <int Up, int Down>
struct SeparableTile {
    typedef Fir<Up, Down, TAPS> Axis;
    static constexpr int out_w = Up == 2 ? 64 : 32, out_h = Up == 2 ? 32 : 16;
    static constexpr int in_w = Axis::window(out_w), in_h = Axis::window(out_h);
    static constexpr int pitch = (in_w + 3) / 4 * 4;
};

// Compute a run of outputs from the inputs under it.
template <typename Axis, int Window, int Run, typename A>
__device__ inline void filter_run(const A (&v)[Window], const A (&taps)[TAPS], A (&sum)[Run]) {
    static_assert(Window == Axis::window(Run), "the inputs under a run");
#pragma unroll
    for (int w = 0; w < Window; w++) {
#pragma unroll
        for (int o = 0; o < Run; o++) {
            const int k = Axis::tap(w, o);
            if (k >= 0 && k < TAPS) sum[o] += taps[k] * v[w];
        }
    }
}

template <typename T, int Up, int Down>
__device__ inline void filter_separable(const Upfirdn2dParams& p) {
    typedef Accumulation<T> A;
    typedef Fir<Up, Down, TAPS> Axis;
    typedef SeparableTile<Up, Down> Tile;
    constexpr int RunY = 4, RunX = 2;  // outputs per thread of the vertical and the horizontal pass
    SHARED(A, input, Tile::in_h * Tile::pitch);
    SHARED(A, between, Tile::out_h * Tile::pitch);
    const ActivationOptions<A> options(p.epilogue, false);
    A taps[TAPS];

    const int64 tiles_x = Axis::runs(p.out_size[3], p.pad_x0, Tile::out_w);
    const int64 tiles_y = Axis::runs(p.out_size[2], p.pad_y0, Tile::out_h);
    const int64 items = p.out_size[0] * p.out_size[1] * tiles_y * tiles_x;
    for (int64 item = blockIdx.x; item < items; item += gridDim.x) {
        int64 n = item;
        const int tile_x = Axis::first_output(split(n, tiles_x), p.pad_x0, Tile::out_w);
        const int tile_y = Axis::first_output(split(n, tiles_y), p.pad_y0, Tile::out_h);
        const int64 c = split(n, p.out_size[1]);
        const int in_x = Axis::first_input(tile_x, p.pad_x0), in_y = Axis::first_input(tile_y, p.pad_y0);
        const T* plane = (const T*)p.x + n * p.in_stride[0] + c * p.in_stride[1];
        load_tile<Tile::in_h, Tile::in_w, Tile::pitch, THREADS>(p, plane, in_y, in_x, threadIdx.x, input);
        __syncthreads();

        load_taps(p.f, p.flip, A(1), taps);
        for (int i = threadIdx.x; i < Tile::out_h / RunY * Tile::in_w; i += THREADS) {
            const int y = i / Tile::in_w * RunY, x = i % Tile::in_w;
            const A* column = input + y * Down / Up * Tile::pitch + x;
            A v[Axis::window(RunY)], sum[RunY] = {};
#pragma unroll
            for (int w = 0; w < Axis::window(RunY); w++) v[w] = column[w * Tile::pitch];
            filter_run<Axis>(v, taps, sum);
#pragma unroll
            for (int o = 0; o < RunY; o++) between[(y + o) * Tile::pitch + x] = sum[o];
        }
        __syncthreads();

        load_taps(p.f, p.flip, A(p.gain), taps);
        const ChannelTerms<1, A> terms(p.epilogue, n, c, p.out_size[1]);
        for (int i = threadIdx.x; i < Tile::out_h * Tile::out_w / RunX; i += THREADS) {
            const int y = i / (Tile::out_w / RunX), x = i % (Tile::out_w / RunX) * RunX;
            A v[Axis::window(RunX)], sum[RunX] = {};
            load_in_steps<RunX * Down / Up>(between + y * Tile::pitch + x * Down / Up, v);
            filter_run<Axis>(v, taps, sum);
            if (inside(tile_y + y, p.out_size[2]))
                store_run(p, options, terms, n, c, tile_y + y, tile_x + x, sum, (T*)p.y);
        }
        // No barrier is needed: the next item first writes `input`, which all threads have read, and then waits.
    }
}

#define UPFIRDN2D_SEPARABLE(T, type, up, down) \
    KERNEL(upfirdn2d_12taps_up##up##_down##down##_##type, Upfirdn2dParams, THREADS) { \
        filter_separable<T, up, down>(p); \
    }
#define UPFIRDN2D_SEPARABLE_FACTORS(T, type) \
    UPFIRDN2D_SEPARABLE(T, type, 2, 1) UPFIRDN2D_SEPARABLE(T, type, 1, 2)

UPFIRDN2D_SEPARABLE_FACTORS(float, float32)
UPFIRDN2D_SEPARABLE_FACTORS(Half, float16)
UPFIRDN2D_SEPARABLE_FACTORS(BFloat16, bfloat16)
