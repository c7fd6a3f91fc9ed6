// Upsample, pad, filter, downsample, then the epilogue (ops/upfirdn2d.py): any filter, factors and strides.
#include "fir.cuh"

// One output per thread. A separable filter takes two calls, one per axis.
template <typename T>
__device__ inline void upfirdn2d(const Upfirdn2dParams& p) {
    typedef Accumulation<T> A;
    const A* f = (const A*)p.f;
    const ActivationOptions<A> options(p.epilogue, false);
    const bool channels_fastest = p.out_stride[1] < p.out_stride[3];
    const int64 total = p.out_size[0] * p.out_size[1] * p.out_size[2] * p.out_size[3];
    for (int64 i = thread_index(); i < total; i += thread_count()) {
        int64 n = i, c = channels_fastest ? split(n, p.out_size[1]) : 0;
        const int64 x = split(n, p.out_size[3]), y = split(n, p.out_size[2]);
        if (!channels_fastest) c = split(n, p.out_size[1]);

        const int64 left = x * p.down_x - p.pad_x0, top = y * p.down_y - p.pad_y0;
        // The first tap that meets an input rather than an inserted zero.
        const int64 kx0 = ((-left) % p.up_x + p.up_x) % p.up_x, ky0 = ((-top) % p.up_y + p.up_y) % p.up_y;
        A sum = 0;
        for (int64 ky = ky0, iy = (top + ky0) / p.up_y; ky < p.fh; ky += p.up_y, iy++) {
            if (iy < 0 || iy >= p.in_size[2]) continue;
            for (int64 kx = kx0, ix = (left + kx0) / p.up_x; kx < p.fw; kx += p.up_x, ix++) {
                if (ix < 0 || ix >= p.in_size[3]) continue;
                const int64 tap = p.flip ? ky * p.fw + kx : (p.fh - 1 - ky) * p.fw + p.fw - 1 - kx;
                sum += f[tap] * widen(((const T*)p.x)[offset(p.in_stride, n, c, iy, ix)]);
            }
        }
        A value[1] = {sum * A(p.gain)};
        if (p.has_epilogue) {
            const A noise[1] = {p.epilogue.noise ? *noise_at<A>(p, n, y, x) : A(0)};
            apply(options, ChannelTerms<1, A>(p.epilogue, n, c, p.out_size[1]), noise, value);
        }
        narrow(value[0], ((T*)p.y)[offset(p.out_stride, n, c, y, x)]);
    }
}

#define UPFIRDN2D(T, type) \
    KERNEL(upfirdn2d_##type, Upfirdn2dParams, 256) { upfirdn2d<T>(p); }

UPFIRDN2D(float, float32)
UPFIRDN2D(double, float64)
UPFIRDN2D(Half, float16)
UPFIRDN2D(BFloat16, bfloat16)
