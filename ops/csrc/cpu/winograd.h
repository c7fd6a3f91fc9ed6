// Winograd's minimal filtering F(4x4, 3x3) (Lavin & Gray 2016, section 4.3): 16 results of a 3x3 filter from 36
// products instead of 144. In one dimension y = At [(G g) * (Bt d)]; in two, each matrix acts on both sides.
#pragma once

#include "cpu/vector.h"

constexpr int TILE = 4;                // results per side
constexpr int REACH = 6;               // inputs per side
constexpr int POINTS = REACH * REACH;  // products per tile

// Each matrix as the function that applies it to one column of vectors, with the fewest operations.

struct Bt {  // [[4,0,-5,0,1,0], [0,-4,-4,1,1,0], [0,4,-4,-1,1,0], [0,-2,-1,2,1,0], [0,2,-1,-2,1,0], [0,4,0,-5,0,1]]
    static constexpr int IN = 6, OUT = 6;
    template <class V>
    static void apply(const V* d, V* out) {
        const V even1 = d[4] - 4 * d[2], odd1 = d[3] - 4 * d[1];
        const V even2 = d[4] - d[2], odd2 = d[3] - d[1];
        out[0] = 4 * d[0] + (d[4] - 5 * d[2]);
        out[1] = even1 + odd1;
        out[2] = even1 - odd1;
        out[3] = even2 + 2 * odd2;
        out[4] = even2 - 2 * odd2;
        out[5] = 4 * d[1] + (d[5] - 5 * d[3]);
    }
};

struct At {  // [[1,1,1,1,1,0], [0,1,-1,2,-2,0], [0,1,1,4,4,0], [0,1,-1,8,-8,1]]
    static constexpr int IN = 6, OUT = 4;
    template <class V>
    static void apply(const V* m, V* out) {
        const V sum1 = m[1] + m[2], difference1 = m[1] - m[2];
        const V sum2 = m[3] + m[4], difference2 = m[3] - m[4];
        out[0] = m[0] + sum1 + sum2;
        out[1] = difference1 + 2 * difference2;
        out[2] = sum1 + 4 * sum2;
        out[3] = m[5] + difference1 + 8 * difference2;
    }
};

struct A {
    static constexpr int IN = 4, OUT = 6;
    template <class V>
    static void apply(const V* y, V* out) {
        const V even1 = y[0] + y[2], odd1 = y[1] + y[3];
        const V even2 = y[0] + 4 * y[2], odd2 = 2 * y[1] + 8 * y[3];
        out[0] = y[0];
        out[1] = even1 + odd1;
        out[2] = even1 - odd1;
        out[3] = even2 + odd2;
        out[4] = even2 - odd2;
        out[5] = y[3];
    }
};

struct G {  // [[1/4,0,0], [-1/6,-1/6,-1/6], [-1/6,1/6,-1/6], [1/24,1/12,1/6], [1/24,-1/12,1/6], [0,0,1]]
    static constexpr int IN = 3, OUT = 6;
    template <class V>
    static void apply(const V* g, V* out) {
        const V even1 = (g[0] + g[2]) / -6, odd1 = g[1] / -6;
        const V even2 = g[0] / 24 + g[2] / 6, odd2 = g[1] / 12;
        out[0] = g[0] / 4;
        out[1] = even1 + odd1;
        out[2] = even1 - odd1;
        out[3] = even2 + odd2;
        out[4] = even2 - odd2;
        out[5] = g[2];
    }
};

struct Gt {
    static constexpr int IN = 6, OUT = 3;
    template <class V>
    static void apply(const V* u, V* out) {
        const V sum1 = (u[1] + u[2]) / -6, sum2 = u[3] + u[4];
        out[0] = u[0] / 4 + sum1 + sum2 / 24;
        out[1] = (u[1] - u[2]) / -6 + (u[3] - u[4]) / 12;
        out[2] = sum1 + sum2 / 6 + u[5];
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
inline void sandwich(Get get, Put put) {
    V half[M::OUT][M::IN];
    for (int j = 0; j < M::IN; j++) {
        V column[M::IN], out[M::OUT];
        for (int i = 0; i < M::IN; i++) column[i] = get(i, j);
        M::apply(column, out);
        for (int i = 0; i < M::OUT; i++) half[i][j] = out[i];
    }
    for (int i = 0; i < M::OUT; i++) {
        V out[M::OUT];
        M::apply(half[i], out);
        for (int j = 0; j < M::OUT; j++) put(i, j, out[j]);
    }
}
