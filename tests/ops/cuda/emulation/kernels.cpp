// The kernels' own source text, compiled for the CPU.
#include "emulation.h"
#include "platform.cuh"

float widen(Half x) {
    _Float16 half;
    std::memcpy(&half, &x, sizeof half);
    return half;
}

void narrow(float x, Half& y) {
    const _Float16 half = x;
    std::memcpy(&y, &half, sizeof half);
}

float widen(BFloat16 x) {
    const unsigned bits = (unsigned)x.bits << 16;
    float y;
    std::memcpy(&y, &bits, sizeof y);
    return y;
}

void narrow(float x, BFloat16& y) {
    unsigned bits;
    std::memcpy(&bits, &x, sizeof bits);
    y.bits = x != x ? 0x7fff : (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
}

#include "kernels.cu"
