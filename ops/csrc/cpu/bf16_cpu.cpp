// Which of the instructions for bfloat16 this process can use: the CPU must have them (CPUID), and the operating system
// must save their registers (XCR0) and, for the tiles of AMX, permit them to this process.
#include "cpu/bf16.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace {

constexpr int64 OSXSAVE = 1 << 27;                       // leaf 1, ECX: XCR0 can be read
constexpr int64 AVX512F = 1 << 16;                       // leaf 7, EBX
constexpr int64 AMX_BF16 = 1 << 22, AMX_TILE = 1 << 24;  // leaf 7, EDX
constexpr int64 AVX512_BF16_BIT = 1 << 5;                // leaf 7.1, EAX
constexpr int64 XCR0_AVX512 = 0xe6;                      // SSE, AVX, and the three states of AVX-512
constexpr int64 XCR0_TILES = 3 << 17;                    // configuration and data

bool has(int64 bits, int64 all) { return (bits & all) == all; }

void decide(Bf16CpuState& s) {
    const bool readable = has(s.leaf1_ecx, OSXSAVE);
    if (!has(s.leaf7_ebx, AVX512F) || !has(s.leaf7_1_eax, AVX512_BF16_BIT)) s.avx512_bf16 = LACKING;
    else s.avx512_bf16 = readable && has(s.xcr0, XCR0_AVX512) ? USABLE : DISABLED;
    const bool tiles = has(s.leaf7_edx, AMX_TILE | AMX_BF16) && has(s.xcr0, XCR0_TILES) && s.tiles_permitted;
    s.amx = tiles ? USABLE : LACKING;
}

#if defined(__x86_64__)

// Ask Linux (5.16 or newer) for the registers of the tiles, 8 KB for each thread. Older kernels know no such request.
bool request_tiles() {
    constexpr long ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18;
    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
}

int64 read_xcr0() {
    uint32_t low, high;
    asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return int64(uint64_t(high) << 32 | low);
}

void inspect(Bf16CpuState& s) {
    uint32_t a, b, c, d;
    if (__get_cpuid(1, &a, &b, &c, &d)) s.leaf1_ecx = c;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return;
    s.leaf7_ebx = b;
    s.leaf7_edx = d;
    if (a >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d)) s.leaf7_1_eax = a;
    if (has(s.leaf1_ecx, OSXSAVE)) s.xcr0 = read_xcr0();
    if (has(s.leaf7_edx, AMX_TILE) && has(s.xcr0, XCR0_TILES)) s.tiles_permitted = request_tiles();
}

#else

void inspect(Bf16CpuState&) {}

#endif

Bf16CpuState this_cpu() {
    Bf16CpuState state{};
    inspect(state);
    decide(state);
    return state;
}

}  // namespace

Bf16Multiply bf16_multiply(int64 instructions) {
    static const Bf16CpuState cpu = this_cpu();
    switch (instructions) {
        case EMULATED_AMX: return multiply_emulated_amx;
        case EMULATED_AVX512_BF16: return multiply_emulated_avx512;
        case AMX: return cpu.amx == USABLE ? multiply_amx : nullptr;
        case AVX512_BF16: return cpu.avx512_bf16 == USABLE ? multiply_avx512 : nullptr;
    }
    return nullptr;
}

extern "C" int bf16_inspect(Bf16CpuState* state) {
    *state = this_cpu();
    return 0;
}

extern "C" int bf16_decide(Bf16CpuState* state) {
    decide(*state);
    return 0;
}

extern "C" int bf16_product(const Bf16ProductParams* p) {
    const Bf16Multiply multiply = bf16_multiply(p->instructions);
    if (!multiply) return 1;
    multiply({static_cast<const BFloat16*>(p->a), static_cast<const int64*>(p->offsets), p->a_step, 2,
              static_cast<const BFloat16*>(p->panel), p->steps, p->rows, static_cast<float*>(p->out), p->accumulate != 0});
    return 0;
}
