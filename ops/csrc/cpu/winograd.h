// Winograd's minimal filtering F(4x4, 3x3) (Lavin & Gray 2016, section 4.3): 16 results of a 3x3 filter from 36
// products instead of 144. In one dimension y = At [(G g) * (Bt d)]; in two, each matrix acts on both sides.
#pragma once

#include "cpu/vector.h"

constexpr int TILE = 4;                // results per side
constexpr int REACH = 6;               // inputs per side
constexpr int POINTS = REACH * REACH;  // products per tile

// The finite points of interpolation are 0, ±√½ and ±√2. The usual 0, ±1 and ±2 have rounder matrices and twice the
// error (Alam, Anderson, Barabasz & Gregg 2022 choose pairs of points c and 1 / c).
template <class V>
constexpr Lane<V> ROOT = Lane<V>(0.70710678118654752440);  // r = √½; √2 is 2 r

// Each matrix as the function that applies it to one column of vectors, with the fewest operations.

// [[1,0,-5/2,0,1,0], [0,-2r,-2,r,1,0], [0,2r,-2,-r,1,0], [0,-r,-1/2,2r,1,0], [0,r,-1/2,-2r,1,0], [0,1,0,-5/2,0,1]]
struct Bt {
    static constexpr int IN = 6, OUT = 6;
    template <class V>
    static void apply(const V* d, V* out) {
        const V even1 = d[4] - 2 * d[2], odd1 = ROOT<V> * (d[3] - 2 * d[1]);
        const V even2 = d[4] - d[2] / 2, odd2 = ROOT<V> * (2 * d[3] - d[1]);
        out[0] = d[0] + (d[4] - 2.5f * d[2]);
        out[1] = even1 + odd1;
        out[2] = even1 - odd1;
        out[3] = even2 + odd2;
        out[4] = even2 - odd2;
        out[5] = d[1] + (d[5] - 2.5f * d[3]);
    }
};

struct At {  // [[1,1,1,1,1,0], [0,r,-r,2r,-2r,0], [0,1/2,1/2,2,2,0], [0,r/2,-r/2,4r,-4r,1]]
    static constexpr int IN = 6, OUT = 4;
    template <class V>
    static void apply(const V* m, V* out) {
        const V sum1 = m[1] + m[2], difference1 = ROOT<V> * (m[1] - m[2]);
        const V sum2 = m[3] + m[4], difference2 = ROOT<V> * (m[3] - m[4]);
        out[0] = m[0] + sum1 + sum2;
        out[1] = difference1 + 2 * difference2;
        out[2] = sum1 / 2 + 2 * sum2;
        out[3] = m[5] + difference1 / 2 + 4 * difference2;
    }
};

struct A {
    static constexpr int IN = 4, OUT = 6;
    template <class V>
    static void apply(const V* y, V* out) {
        const V even1 = y[0] + y[2] / 2, odd1 = ROOT<V> * (y[1] + y[3] / 2);
        const V even2 = y[0] + 2 * y[2], odd2 = ROOT<V> * (2 * y[1] + 4 * y[3]);
        out[0] = y[0];
        out[1] = even1 + odd1;
        out[2] = even1 - odd1;
        out[3] = even2 + odd2;
        out[4] = even2 - odd2;
        out[5] = y[3];
    }
};

struct G {  // [[1,0,0], [-2/3,-2r/3,-1/3], [-2/3,2r/3,-1/3], [1/6,r/3,1/3], [1/6,-r/3,1/3], [0,0,1]]
    static constexpr int IN = 3, OUT = 6;
    template <class V>
    static void apply(const V* g, V* out) {
        const V even1 = (2 * g[0] + g[2]) / -3, even2 = g[0] / 6 + g[2] / 3, odd = ROOT<V> / 3 * g[1];
        out[0] = g[0];
        out[1] = even1 - 2 * odd;
        out[2] = even1 + 2 * odd;
        out[3] = even2 + odd;
        out[4] = even2 - odd;
        out[5] = g[2];
    }
};

struct Gt {
    static constexpr int IN = 6, OUT = 3;
    template <class V>
    static void apply(const V* u, V* out) {
        const V sum1 = u[1] + u[2], sum2 = u[3] + u[4];
        out[0] = u[0] - 2 * sum1 / 3 + sum2 / 6;
        out[1] = ROOT<V> / 3 * (2 * (u[2] - u[1]) + (u[3] - u[4]));
        out[2] = (sum2 - sum1) / 3 + u[5];
    }
};

// F(4, 2), along rows only: four results of two taps from five products.
constexpr int ROW_REACH = 5;
constexpr int ROW_POINTS = 5;

struct RowBt {  // [[2,-1,-2,1,0], [0,-2,-1,1,0], [0,2,-3,1,0], [0,-1,0,1,0], [0,2,-1,-2,1]]
    template <class V>
    static void apply(const V* d, V* out) {
        const V odd = d[3] - d[1];
        out[0] = 2 * (d[0] - d[2]) + odd;
        out[1] = d[3] - d[2] - 2 * d[1];
        out[2] = d[3] - 3 * d[2] + 2 * d[1];
        out[3] = odd;
        out[4] = d[4] - d[2] - 2 * odd;
    }
};

struct RowAt {  // [[1,1,1,1,0], [0,1,-1,2,0], [0,1,1,4,0], [0,1,-1,8,1]]
    template <class V>
    static void apply(const V* m, V* out) {
        const V sum = m[1] + m[2], difference = m[1] - m[2];
        out[0] = m[0] + sum + m[3];
        out[1] = difference + 2 * m[3];
        out[2] = sum + 4 * m[3];
        out[3] = difference + 8 * m[3] + m[4];
    }
};

struct RowG {  // [[1/2,0], [-1/2,-1/2], [-1/6,1/6], [1/6,1/3], [0,1]]
    template <class V>
    static void apply(const V* g, V* out) {
        out[0] = g[0] / 2;
        out[1] = (g[0] + g[1]) / -2;
        out[2] = (g[1] - g[0]) / 6;
        out[3] = g[0] / 6 + g[1] / 3;
        out[4] = g[1];
    }
};

// Call put(i, j, (M d Mt)[i][j]) for the square d of vectors get(i, j).
template <class M, class V, class Get, class Put>
[[gnu::always_inline]] inline void sandwich(Get get, Put put) {
    V half[M::OUT][M::IN];
#pragma GCC unroll 6
    for (int j = 0; j < M::IN; j++) {
        V column[M::IN], out[M::OUT];
#pragma GCC unroll 6
        for (int i = 0; i < M::IN; i++) column[i] = get(i, j);
        M::apply(column, out);
#pragma GCC unroll 6
        for (int i = 0; i < M::OUT; i++) half[i][j] = out[i];
    }
#pragma GCC unroll 6
    for (int i = 0; i < M::OUT; i++) {
        V out[M::OUT];
        M::apply(half[i], out);
#pragma GCC unroll 6
        for (int j = 0; j < M::OUT; j++) put(i, j, out[j]);
    }
}
