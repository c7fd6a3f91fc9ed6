// A checksum of memory, by which a change of the weights is noticed (ops/cpu/modulated_layer.py): as fast as
// reading. Every step is a bijection of the running value and of the word that it takes in, so that a change of one
// word always changes the checksum, and any other change does with all but a negligible probability.
#include <algorithm>
#include <bit>
#include <vector>

#include "cpu/memory.h"
#include "cpu/vector.h"

namespace {

using Words = Vector<std::uint32_t>;

constexpr int WAYS = 8;                             // independent sums, since one product waits for its predecessor
constexpr int64 BLOCK = WAYS * sizeof(Words);       // bytes of one step
constexpr int64 CHUNK = (int64(1) << 18) / BLOCK * BLOCK;  // bytes of one task

// The rotation carries a change of the highest bit, such as that of a sign, back to where the products spread it.
inline Words mixed(Words sum, Words words) {
    const Words product = (sum ^ words) * std::uint32_t(0x9E3779B1);
    return product << 13 | product >> 19;
}

inline std::uint64_t mixed(std::uint64_t sum, std::uint64_t word) {
    return std::rotl((sum ^ word) * 0x9E3779B97F4A7C15, 29);
}

std::uint64_t chunk_checksum(const unsigned char* data, int64 bytes) {
    Words sums[WAYS] = {};
    int64 at = 0;
    for (; at + BLOCK <= bytes; at += BLOCK)
        for (int way = 0; way < WAYS; way++) {
            Words words;
            std::memcpy(&words, data + at + way * sizeof(Words), sizeof(Words));
            sums[way] = mixed(sums[way], words);
        }
    std::uint64_t result = bytes;
    for (const Words& sum : sums)
        for (int lane = 0; lane < LANES<std::uint32_t>; lane++) result = mixed(result, sum[lane]);
    for (; at < bytes; at++) result = mixed(result, data[at]);
    return result;
}

void checksum(ChecksumParams& p) {
    const auto* data = static_cast<const unsigned char*>(p.data);
    const int64 chunks = (p.bytes + CHUNK - 1) / CHUNK;
    std::vector<std::uint64_t> results(chunks);
#pragma omp parallel for
    for (int64 i = 0; i < chunks; i++)
        results[i] = chunk_checksum(data + i * CHUNK, std::min(CHUNK, p.bytes - i * CHUNK));
    std::uint64_t result = 0;
    for (const std::uint64_t part : results) result = mixed(result, part);
    p.checksum = static_cast<int64>(result);
}

}  // namespace

extern "C" int memory_checksum(ChecksumParams* p) {
    return answer([&] {
        checksum(*p);
        return 0;
    });
}
