// Winograd's minimal filtering F(4x4, 3x3) (Lavin & Gray 2016, section 4.3): 16 results of a 3x3 filter from 36
// products in place of 144. With the matrices below, one dimension reads y = At [(G g) * (Bt d)].
#pragma once

#include <type_traits>
#include <utility>

#include "cpu/vector.h"

constexpr int TILE = 4;                   // results a side
constexpr int REACH = 6;                  // inputs a side
constexpr int POINTS = REACH * REACH;     // products a tile

constexpr double BT[6][6] = {{4, 0, -5, 0, 1, 0},  {0, -4, -4, 1, 1, 0}, {0, 4, -4, -1, 1, 0},
                             {0, -2, -1, 2, 1, 0}, {0, 2, -1, -2, 1, 0}, {0, 4, 0, -5, 0, 1}};
constexpr double G[6][3] = {{1. / 4, 0, 0},           {-1. / 6, -1. / 6, -1. / 6}, {-1. / 6, 1. / 6, -1. / 6},
                            {1. / 24, 1. / 12, 1. / 6}, {1. / 24, -1. / 12, 1. / 6}, {0, 0, 1}};
constexpr double AT[4][6] = {{1, 1, 1, 1, 1, 0}, {0, 1, -1, 2, -2, 0}, {0, 1, 1, 4, 4, 0}, {0, 1, -1, 8, -8, 1}};

// Transposed, for the gradients.
constexpr double A[6][4] = {{1, 0, 0, 0}, {1, 1, 1, 1}, {1, -1, 1, -1}, {1, 2, 4, 8}, {1, -2, 4, -8}, {0, 0, 0, 1}};
constexpr double GT[3][6] = {{1. / 4, -1. / 6, -1. / 6, 1. / 24, 1. / 24, 0},
                             {0, -1. / 6, 1. / 6, 1. / 12, -1. / 12, 0},
                             {0, -1. / 6, -1. / 6, 1. / 6, 1. / 6, 1}};

// One row of a constant matrix times a column of vectors: zeros vanish and ones cost no product, at compile time.
template <auto& M, int ROW, int COLUMN, class V>
inline void add_term(V& sum, bool& started, V value) {
    constexpr double c = M[ROW][COLUMN];
    if constexpr (c != 0) {
        using S = std::remove_reference_t<decltype(sum[0])>;
        const V term = c == 1 ? value : c == -1 ? -value : value * S(c);
        sum = started ? sum + term : term;
        started = true;
    }
}

template <auto& M, int ROW, class V, class Get, int... COLUMN>
inline V row_times(Get get, std::integer_sequence<int, COLUMN...>) {
    V sum{};
    bool started = false;
    (add_term<M, ROW, COLUMN>(sum, started, get(COLUMN)), ...);
    return sum;
}

template <auto& M, class V, class Get, class Put, int... ROW>
inline void times(Get get, Put put, std::integer_sequence<int, ROW...>) {
    constexpr int columns = std::extent_v<std::remove_reference_t<decltype(M)>, 1>;
    (put(ROW, row_times<M, ROW, V>(get, std::make_integer_sequence<int, columns>{})), ...);
}

// put(i, j, (M d Mt)[i][j]) for a square of vectors get(i, j).
template <auto& M, class V, class Get, class Put>
inline void sandwich(Get get, Put put) {
    using Array = std::remove_reference_t<decltype(M)>;
    constexpr int rows = std::extent_v<Array, 0>, columns = std::extent_v<Array, 1>;
    V half[rows][columns];
    for (int j = 0; j < columns; j++)
        times<M, V>([&](int i) { return get(i, j); }, [&](int i, V v) { half[i][j] = v; },
                    std::make_integer_sequence<int, rows>{});
    for (int i = 0; i < rows; i++)
        times<M, V>([&](int j) { return half[i][j]; }, [&](int j, V v) { put(i, j, v); },
                    std::make_integer_sequence<int, rows>{});
}
