// y = clamp(gain * act(x * scale + noise + b)) and its gradients, each in one pass over memory in the order channels
// last (ops/scaled_bias_act.py). Training spends more time on reading and writing activations than on computing them.
#include <limits>
#include <vector>

#include "cpu/activation.h"
#include "cpu/memory.h"

namespace {

constexpr int64 BLOCK = 512;  // pixels of a task; their sums are added in this type, those of the blocks in double

template <class A>
A limit(const Epilogue& e) {
    return e.clamp < 0 ? std::numeric_limits<A>::quiet_NaN() : A(e.clamp);  // a NaN limits nothing
}

int64 blocks_of(int64 pixels) { return (pixels + BLOCK - 1) / BLOCK; }

// Call work(n, block, first pixel, number of pixels) for the blocks of all samples.
template <class Work>
void for_blocks(int64 n, int64 pixels, Work work) {
    const int64 blocks = blocks_of(pixels);
#pragma omp parallel for schedule(static) if (n * blocks > 1)
    for (int64 task = 0; task < n * blocks; task++) {
        const int64 from = task % blocks * BLOCK;
        work(task / blocks, task % blocks, from, std::min(BLOCK, pixels - from));
    }
}

template <int ACT, class T>
void value(const ScaledBiasActParams& p) {
    const Epilogue& e = p.epilogue;
    const T alpha = T(e.alpha), gain = T(e.gain), clamp = limit<T>(e);
    const T *b = static_cast<const T*>(e.b), *all_scales = static_cast<const T*>(e.scale);
    advise_huge_pages(p.y, p.n * p.pixels * p.c * sizeof(T));
    for_blocks(p.n, p.pixels, [&](int64 n, int64, int64 from, int64 count) {
        const int64 start = (n * p.pixels + from) * p.c;
        const T *x = static_cast<const T*>(p.x) + start, *scale = all_scales ? all_scales + n * p.c : nullptr;
        const T* noise = e.noise ? static_cast<const T*>(e.noise) + n * e.noise_stride + from : nullptr;
        T* y = static_cast<T*>(p.y) + start;
        for (int64 i = 0; i < count; i++)
            for (int64 j = 0; j < p.c; j += LANES<T>) {
                const int64 rest = p.c - j, at = i * p.c + j;
                Vector<T> v = widen(x + at, rest);
                if (scale) v *= widen(scale + j, rest);
                if (noise) v += noise[i];
                if (b) v += widen(b + j, rest);
                v = activate<ACT>(v, alpha) * gain;
                narrow(y + at, v > clamp ? broadcast(clamp) : v < -clamp ? broadcast(-clamp) : v, rest);
            }
    });
}

// With v = u times the slope of the activation: dx = v * scale, and the sums of v * x, of v over channels and of v.
template <int ACT, class T>
void gradients(const ScaledBiasActParams& p) {
    const Epilogue& e = p.epilogue;
    const T alpha = T(e.alpha), gain = T(e.gain), clamp = limit<T>(e);
    const int64 room = up_to_multiple(p.c, LANES<T>), blocks = blocks_of(p.pixels);
    const T* all_scales = static_cast<const T*>(e.scale);
    // Of each block the sums of v * x, then those of v, by channel.
    std::vector<T> sums(p.n * blocks * 2 * room);
    if (p.dx) advise_huge_pages(p.dx, p.n * p.pixels * p.c * sizeof(T));
    for_blocks(p.n, p.pixels, [&](int64 n, int64 block, int64 from, int64 count) {
        const int64 start = (n * p.pixels + from) * p.c;
        const T *u = static_cast<const T*>(p.u) + start, *scale = all_scales ? all_scales + n * p.c : nullptr;
        const T* x = p.x ? static_cast<const T*>(p.x) + start : nullptr;
        const T* y = p.y ? static_cast<const T*>(p.y) + start : nullptr;
        T* dx = p.dx ? static_cast<T*>(p.dx) + start : nullptr;
        T* dnoise = p.dnoise ? static_cast<T*>(p.dnoise) + n * p.pixels + from : nullptr;
        T *products = sums.data() + (n * blocks + block) * 2 * room, *slopes = products + room;
        for (int64 i = 0; i < count; i++) {
            Vector<T> over_channels{};
            for (int64 j = 0; j < p.c; j += LANES<T>) {
                const int64 rest = p.c - j, at = i * p.c + j;
                Vector<T> v = widen(u + at, rest);
                if (y) {
                    const Vector<T> reached = widen(y + at, rest);
                    const Vector<T> slope = differentiate<ACT, 1>(v, reached, alpha) * gain;
                    v = absolute(reached) >= clamp ? Vector<T>{} : slope;
                }
                if (x) store(products + j, load(products + j) + v * widen(x + at, rest));
                if (p.db) store(slopes + j, load(slopes + j) + v);
                over_channels += v;
                if (dx) narrow(dx + at, scale ? v * widen(scale + j, rest) : v, rest);
            }
            if (dnoise) {
                T total = 0;
                for (int lane = 0; lane < LANES<T>; lane++) total += over_channels[lane];
                dnoise[i] = total;
            }
        }
    });
    T *dscale = static_cast<T*>(p.dscale), *db = static_cast<T*>(p.db);
    for (int64 c = 0; c < p.c; c++) {
        double over_all = 0;
        for (int64 n = 0; n < p.n; n++) {
            double over_sample = 0;
            for (int64 block = 0; block < blocks; block++) {
                const T* products = sums.data() + (n * blocks + block) * 2 * room;
                over_sample += products[c];
                over_all += products[room + c];
            }
            if (dscale) dscale[n * p.c + c] = T(over_sample);
        }
        if (db) db[c] = T(over_all);
    }
}

// Run work(act) if the slope of the activation is known from its result, otherwise answer 1.
template <class Work>
int piecewise_linear(const ScaledBiasActParams* p, Work work) {
    bool known = false;
    const int code = answer_float(p->dtype, [&](auto scalar) {
        with_activation(p->epilogue.activation, [&](auto act) {
            if constexpr (act.value == LINEAR || act.value == RELU || act.value == LRELU) {
                known = true;
                work(act, scalar);
            }
        });
    });
    return known ? code : 1;
}

}  // namespace

extern "C" int scaled_bias_act(const ScaledBiasActParams* p) {
    return piecewise_linear(p, [&](auto act, auto scalar) { value<act.value, decltype(scalar)>(*p); });
}

extern "C" int scaled_bias_act_gradients(const ScaledBiasActParams* p) {
    return piecewise_linear(p, [&](auto act, auto scalar) { gradients<act.value, decltype(scalar)>(*p); });
}
