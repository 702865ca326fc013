/* The kernels of x86-64: AVX-512 with 16 lanes, AVX2 with 8, SHA-NI with two messages interleaved, alone or
   with general-purpose instructions in between. */

#ifndef FPIN_X86_H
#define FPIN_X86_H

#include <cpuid.h>
#include <immintrin.h>

/* Which state the operating system saves for us: without that the registers must not be touched. */
static int saves_state(uint32_t bits)
{
    uint32_t a, b, c, d, low, high;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE))
        return 0;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (low & bits) == bits;
}

static uint32_t leaf7_ebx(void)
{
    uint32_t a, b = 0, c, d;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) ? b : 0;
}

static int has_avx512(void)
{
    const uint32_t all = bit_AVX512F | bit_AVX512BW | bit_AVX2;
    return (leaf7_ebx() & all) == all && saves_state(0xe6); /* XMM, YMM, masks, ZMM */
}

static int has_avx2(void) { return (leaf7_ebx() & bit_AVX2) && saves_state(0x06); }

static int has_shani(void)
{
    uint32_t a, b, c, d;
    return (leaf7_ebx() & bit_SHA) && __get_cpuid(1, &a, &b, &c, &d) && (c & bit_SSSE3) && (c & bit_SSE4_1);
}

static int has_shani_and_bmi2(void)
{
    const uint32_t both = bit_BMI | bit_BMI2;
    return (leaf7_ebx() & both) == both && has_shani();
}

#define AVX2 __attribute__((target("avx2")))
#define AVX512 __attribute__((target("avx512f,avx512bw,avx2")))
#define SHANI __attribute__((target("sha,sse4.1,ssse3")))

/* Reverses the bytes of every word when given to a byte shuffle. */
#define SWAP_WORDS _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203)

/* fr32 as expand_portable does it, four words at a time. */
AVX2 INLINE void store_part(uint8_t *leaf, __m256i words, __m256i next, int shift)
{
    const __m256i mask = _mm256_set_epi64x(INT64_MAX >> 1, -1, -1, -1);
    __m256i shifted = _mm256_or_si256(_mm256_srli_epi64(words, shift), _mm256_slli_epi64(next, 64 - shift));
    _mm256_storeu_si256((__m256i *)leaf, _mm256_and_si256(shifted, mask));
}

AVX2 static void expand_avx2(uint8_t *leaves, const uint8_t *raw, size_t quads)
{
#define WORDS(offset) _mm256_loadu_si256((const __m256i *)(raw + (offset)))
    for (; quads > 0; quads--, raw += QUAD, leaves += 4 * NODE) {
        store_part(leaves, WORDS(0), WORDS(8), 0);
        store_part(leaves + NODE, WORDS(31), WORDS(39), 6);
        store_part(leaves + 2 * NODE, WORDS(63), WORDS(71), 4);
        /* The last word has no successor within the quad; the mask removes what stands in for it. */
        store_part(leaves + 3 * NODE, WORDS(95), _mm256_permute4x64_epi64(WORDS(95), 0xf9), 2);
    }
#undef WORDS
}

/* A quad in two registers. The words of its first two parts, and theirs eight bytes on; those of the last two
   follow each other without a gap. What has no successor within the quad is removed by the mask. */
AVX512 static void expand_avx512(uint8_t *leaves, const uint8_t *raw, size_t quads)
{
#define PAIR(a, b) _mm512_set_epi64(b, b, b, b, a, a, a, a)
    const __m512i mask = _mm512_set_epi64(INT64_MAX >> 1, -1, -1, -1, INT64_MAX >> 1, -1, -1, -1);
    for (; quads > 0; quads--, raw += QUAD, leaves += 4 * NODE) {
        __m512i low = _mm512_castsi256_si512(_mm256_loadu_si256((const __m256i *)raw));
        low = _mm512_inserti64x4(low, _mm256_loadu_si256((const __m256i *)(raw + 31)), 1);
        __m512i high = _mm512_loadu_si512(raw + 63);
        /* (right | left) & mask */
        __m512i first = _mm512_ternarylogic_epi64(
            _mm512_srlv_epi64(low, PAIR(0, 6)),
            _mm512_sllv_epi64(_mm512_loadu_si512(raw + 7), PAIR(64, 58)), mask, 0xa8);
        __m512i last = _mm512_ternarylogic_epi64(
            _mm512_srlv_epi64(high, PAIR(4, 2)),
            _mm512_sllv_epi64(_mm512_alignr_epi64(high, high, 1), PAIR(60, 62)), mask, 0xa8);
        _mm512_storeu_si512(leaves, first);
        _mm512_storeu_si512(leaves + 2 * NODE, last);
    }
#undef PAIR
}

#if HAVE_LANES
#define LANES 8
#define NAME(x) x##_avx2
#define TARGET AVX2
#define EXPAND expand_avx2
#define SWAP(x) ((WORD)_mm256_shuffle_epi8((__m256i)(x), _mm256_broadcastsi128_si256(SWAP_WORDS)))
#include "_lanes.h"

#define LANES 16
#define NAME(x) x##_avx512
#define TARGET AVX512
#define EXPAND expand_avx512
#define TERNARY(x, y, z, table) \
    ((WORD)_mm512_ternarylogic_epi32((__m512i)(x), (__m512i)(y), (__m512i)(z), table))
#define ROTATE(x, n) ((WORD)_mm512_ror_epi32((__m512i)(x), n))
#define XOR3(x, y, z) TERNARY(x, y, z, 0x96)
#define CHOOSE(x, y, z) TERNARY(x, y, z, 0xca)
#define MAJORITY(x, y, z) TERNARY(x, y, z, 0xe8)
#define SWAP(x) ((WORD)_mm512_shuffle_epi8((__m512i)(x), _mm512_broadcast_i32x4(SWAP_WORDS)))
#include "_lanes.h"
#undef TERNARY
#endif

/* SHA-NI keeps the state as ABEF and CDGH, and does two rounds an instruction. */
SHANI INLINE void from_words_shani(words4 half[2], const uint32_t words[8])
{
    __m128i abcd = _mm_loadu_si128((const __m128i *)words), efgh = _mm_loadu_si128((const __m128i *)words + 1);
    __m128i badc = _mm_shuffle_epi32(abcd, 0xb1), hgfe = _mm_shuffle_epi32(efgh, 0x1b);
    half[0] = (words4)_mm_alignr_epi8(badc, hgfe, 8);
    half[1] = (words4)_mm_blend_epi16(hgfe, badc, 0xf0);
}

SHANI INLINE void to_words_shani(words4 words[2], const words4 half[2])
{
    __m128i feba = _mm_shuffle_epi32((__m128i)half[0], 0x1b), dchg = _mm_shuffle_epi32((__m128i)half[1], 0xb1);
    words[0] = (words4)_mm_blend_epi16(feba, dchg, 0xf0);
    words[1] = (words4)_mm_alignr_epi8(dchg, feba, 8);
}

SHANI INLINE void four_rounds_shani(words4 half[2], words4 kw)
{
    __m128i abef = (__m128i)half[0], last = _mm_shuffle_epi32((__m128i)kw, 0x0e);
    half[1] = (words4)_mm_sha256rnds2_epu32((__m128i)half[1], abef, (__m128i)kw);
    half[0] = (words4)_mm_sha256rnds2_epu32(abef, (__m128i)half[1], last);
}

SHANI INLINE words4 schedule_shani(words4 w0, words4 w1, words4 w2, words4 w3)
{
    __m128i sum = _mm_sha256msg1_epu32((__m128i)w0, (__m128i)w1);
    sum = _mm_add_epi32(sum, _mm_alignr_epi8((__m128i)w3, (__m128i)w2, 4));
    return (words4)_mm_sha256msg2_epu32(sum, (__m128i)w3);
}

SHANI INLINE words4 swap_shani(words4 w)
{
    return (words4)_mm_shuffle_epi8((__m128i)w, SWAP_WORDS);
}

#define NAME(x) x##_shani
#define EXPAND expand_portable
#define TARGET SHANI
#include "_interleaved.h"
#include "_mixed.h"

#endif
