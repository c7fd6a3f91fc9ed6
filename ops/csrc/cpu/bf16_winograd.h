// The 3x3 convolutions for products in bfloat16. Along one axis y = At [(G w) * (Bt x)], as in winograd.h, but products of
// the same sum are added up before At; in two dimensions, each matrix acts along both axes.
//
// SAME is F(4x4, 3x3). For UP, result 2 i takes taps 0 (of input i) and 2 (of input i - 1), and result 2 i + 1 takes tap 1.
// F(3, 2) computes three even results d0 g0 + d1 g1, d1 g0 + d2 g1 and d2 g0 + d3 g1 from four products instead of six; the
// odd ones need three. DOWN is the transpose: three results take taps 0 and 2 of four even pixels, and tap 1 of the odd
// ones between them. Of 9 products for each input of UP and each result of DOWN, 5.4 remain.
#pragma once

#include <array>

#include "cpu/bf16.h"
#include "cpu/tiles.h"

constexpr int TAPS = 9;

struct UpBt {
    static constexpr int IN = 4, OUT = 7;
    template <class V>
    static void apply(const V* d, V* out) {
        out[0] = d[0] - d[2];
        out[1] = d[1] + d[2];
        out[2] = d[2] - d[1];
        out[3] = d[3] - d[1];
        out[4] = d[1];
        out[5] = d[2];
        out[6] = d[3];
    }
};

struct UpG {
    static constexpr int IN = 3, OUT = 7;
    template <class V>
    static void apply(const V* w, V* out) {
        out[0] = w[2];
        out[1] = (w[2] + w[0]) / 2;
        out[2] = (w[2] - w[0]) / 2;
        out[3] = w[0];
        out[4] = out[5] = out[6] = w[1];
    }
};

struct UpAt {
    static constexpr int IN = 7, OUT = 6;
    template <class V>
    static void apply(const V* m, V* out) {
        out[0] = m[0] + m[1] + m[2];
        out[1] = m[4];
        out[2] = m[1] - m[2];
        out[3] = m[5];
        out[4] = m[1] + m[2] + m[3];
        out[5] = m[6];
    }
};

struct DownBt {  // even and odd pixels alternate
    static constexpr int IN = 7, OUT = 7;
    template <class V>
    static void apply(const V* x, V* out) {
        out[0] = x[0] - x[4];
        out[1] = x[1];
        out[2] = x[2] + x[4];
        out[3] = x[4] - x[2];
        out[4] = x[3];
        out[5] = x[6] - x[2];
        out[6] = x[5];
    }
};

struct DownG {
    static constexpr int IN = 3, OUT = 7;
    template <class V>
    static void apply(const V* w, V* out) {
        out[0] = w[0];
        out[1] = out[4] = out[6] = w[1];
        out[2] = (w[0] + w[2]) / 2;
        out[3] = (w[0] - w[2]) / 2;
        out[5] = w[2];
    }
};

struct DownGt {
    static constexpr int IN = 7, OUT = 3;
    template <class V>
    static void apply(const V* u, V* out) {
        out[0] = u[0] + (u[2] + u[3]) / 2;
        out[1] = u[1] + u[4] + u[6];
        out[2] = u[5] + (u[2] - u[3]) / 2;
    }
};

struct DownAt {
    static constexpr int IN = 5, OUT = 3;
    template <class V>
    static void apply(const V* m, V* out) {
        out[0] = m[0] + m[1] + m[2];
        out[1] = m[1] - m[2] + m[3];
        out[2] = m[1] + m[2] + m[4];
    }
};

struct DownA {
    static constexpr int IN = 3, OUT = 5;
    template <class V>
    static void apply(const V* y, V* out) {
        out[0] = y[0];
        out[1] = y[0] + y[1] + y[2];
        out[2] = y[0] - y[1] + y[2];
        out[3] = y[1];
        out[4] = y[2];
    }
};

// Tile t reads inputs from IN_STEP t + IN_FIRST on and gives At::OUT results; product i is added to sum SUM[i].
struct Same {
    typedef ::Bt Bt;
    typedef ::G G;
    typedef ::At At;
    typedef ::A A;
    typedef ::Gt Gt;
    static constexpr int IN_STEP = 4, IN_FIRST = -1;
    static constexpr std::array SUM = {0, 1, 2, 3, 4, 5};
    static int64 results(int64 inputs) { return inputs; }
};

struct Up {
    typedef UpBt Bt;
    typedef UpG G;
    typedef UpAt At;
    static constexpr int IN_STEP = 3, IN_FIRST = -1;
    static constexpr std::array SUM = {0, 1, 2, 3, 4, 5, 6};
    static int64 results(int64 inputs) { return 2 * inputs + 1; }
};

struct Down {
    typedef DownBt Bt;
    typedef DownG G;
    typedef DownAt At;
    typedef DownA A;
    typedef DownGt Gt;
    static constexpr int IN_STEP = 6, IN_FIRST = 0;
    static constexpr std::array SUM = {0, 0, 1, 2, 3, 4, 4};
    static int64 results(int64 inputs) { return (inputs - 1) / 2; }
};

// The products of both axes, sorted by their sums: those of sum s are ORDER[FIRST[s]] … ORDER[FIRST[s + 1] - 1].
template <class Axis>
struct Products {
    static constexpr int SIDE = Axis::Bt::OUT, COUNT = SIDE * SIDE, SUM_SIDE = Axis::At::IN, SUMS = SUM_SIDE * SUM_SIDE;
    static constexpr int sum_of(int k) { return Axis::SUM[k / SIDE] * SUM_SIDE + Axis::SUM[k % SIDE]; }

    int order[COUNT]{}, first[SUMS + 1]{};

    constexpr Products() {
        for (int s = 0; s < SUMS; s++) {
            first[s + 1] = first[s];
            for (int k = 0; k < COUNT; k++)
                if (sum_of(k) == s) order[first[s + 1]++] = k;
        }
    }
};

// Of images that have h x w inputs.
template <class Axis>
inline Tiling tiling_of(int64 h, int64 w) {
    return {Axis::results(h), Axis::results(w), Axis::At::OUT};
}

// Bt x B of one tile: put(point, c, v) for every vector of channels.
template <class Axis, class Put>
inline void transform_tile(const Images<const float>& x, const float* s, Tiling::Place at, Put put) {
    transform_pixels<typename Axis::Bt>(
        x, s, at.n, at.row * Axis::IN_STEP + Axis::IN_FIRST, at.column * Axis::IN_STEP + Axis::IN_FIRST, Axis::IN_STEP,
        [&](int i, int j, int64 c, Vector<float> v) { put(i * Axis::Bt::OUT + j, c, v); });
}
