// Products of rows, y = x wt (ops/row_products.py). Each result has one accumulator, whose terms are added in an
// order that depends on their number alone: a row has the same result to the bit, whatever rows are computed with it
// and by however many threads.
#include "cpu/storage.h"

namespace {

constexpr int ROWS = 4, COLUMNS = 3;                 // results that are held in registers
constexpr int64 ROW_CHUNK = 256, COLUMN_CHUNK = 48;  // results of one task
constexpr int64 SMALL = 1 << 16;                     // multiplications for which one thread is faster

template <class T>
inline T sum_of(Vector<T> v) {
    T total = 0;
    for (int lane = 0; lane < LANES<T>; lane++) total += v[lane];
    return total;
}

// M rows of x times O rows of w; the rows of y lie `y_step` apart.
template <int M, int O, class T>
inline void multiply(const T* x, const T* w, int64 depth, T* y, int64 y_step) {
    Vector<T> sum[M][O] = {};
    auto add = [&](auto at) {
        Vector<T> right[O];
        for (int o = 0; o < O; o++) right[o] = at(w + o * depth);
        for (int m = 0; m < M; m++) {
            const Vector<T> left = at(x + m * depth);
            for (int o = 0; o < O; o++) sum[m][o] += left * right[o];
        }
    };
    int64 k = 0;
    for (; k + LANES<T> <= depth; k += LANES<T>) add([k](const T* row) { return load(row + k); });
    if (k < depth) add([k, depth](const T* row) { return widen(row + k, depth - k); });
    for (int m = 0; m < M; m++)
        for (int o = 0; o < O; o++) y[m * y_step + o] = sum_of<T>(sum[m][o]);
}

template <int O, class T>
inline void multiply_rows(int64 rows, const T* x, const T* w, int64 depth, T* y, int64 y_step) {
    int64 m = 0;
    for (; m + ROWS <= rows; m += ROWS) multiply<ROWS, O>(x + m * depth, w, depth, y + m * y_step, y_step);
    for (; m < rows; m++) multiply<1, O>(x + m * depth, w, depth, y + m * y_step, y_step);
}

template <class T>
void products(const RowProductsParams& p) {
    const T *x = static_cast<const T*>(p.x), *w = static_cast<const T*>(p.w);
    T* y = static_cast<T*>(p.y);
#pragma omp parallel for collapse(3) if (p.batches * p.rows * p.columns * p.depth > SMALL)
    for (int64 b = 0; b < p.batches; b++)
        for (int64 row = 0; row < p.rows; row += ROW_CHUNK)
            for (int64 column = 0; column < p.columns; column += COLUMN_CHUNK) {
                const int64 rows = std::min(ROW_CHUNK, p.rows - row), at = b * p.rows + row;
                const int64 end = std::min(column + COLUMN_CHUNK, p.columns);
                int64 o = column;
                auto multiply_columns = [&](auto count) {
                    multiply_rows<count.value>(rows, x + at * p.depth, w + b * p.w_batch_stride + o * p.depth,
                                               p.depth, y + at * p.columns + o, p.columns);
                    o += count.value;
                };
                while (o + COLUMNS <= end) multiply_columns(std::integral_constant<int, COLUMNS>());
                while (o < end) multiply_columns(std::integral_constant<int, 1>());
            }
}

}  // namespace

extern "C" int row_products(const RowProductsParams* p) {
    return answer_float(p->dtype, [&](auto scalar) { products<decltype(scalar)>(*p); });
}
