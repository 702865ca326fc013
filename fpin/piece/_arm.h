/* The kernel of 64-bit ARM with the SHA-2 instructions: four rounds an instruction. */

#ifndef FPIN_ARM_H
#define FPIN_ARM_H

#include <arm_neon.h>

#if defined(__linux__)
#include <sys/auxv.h>
static int has_arm_sha2(void) { return (getauxval(AT_HWCAP) & 1 << 6) != 0; } /* HWCAP_SHA2 */
#elif defined(__APPLE__)
static int has_arm_sha2(void) { return 1; } /* every Apple processor of this architecture */
#elif defined(__ARM_FEATURE_SHA2)
static int has_arm_sha2(void) { return 1; } /* the compiler was told so */
#else
static int has_arm_sha2(void) { return 0; }
#endif

#if defined(__ARM_FEATURE_SHA2)
#define ARM_SHA2
#elif defined(__clang__)
#define ARM_SHA2 __attribute__((target("sha2")))
#else
#define ARM_SHA2 __attribute__((target("+crypto")))
#endif

ARM_SHA2 INLINE void from_words_arm(words4 half[2], const uint32_t words[8])
{
    half[0] = (words4)vld1q_u32(words), half[1] = (words4)vld1q_u32(words + 4);
}

ARM_SHA2 INLINE void to_words_arm(words4 words[2], const words4 half[2])
{
    words[0] = half[0], words[1] = half[1];
}

ARM_SHA2 INLINE void four_rounds_arm(words4 half[2], words4 kw)
{
    uint32x4_t abcd = (uint32x4_t)half[0], efgh = (uint32x4_t)half[1];
    half[0] = (words4)vsha256hq_u32(abcd, efgh, (uint32x4_t)kw);
    half[1] = (words4)vsha256h2q_u32(efgh, abcd, (uint32x4_t)kw);
}

ARM_SHA2 INLINE words4 schedule_arm(words4 w0, words4 w1, words4 w2, words4 w3)
{
    uint32x4_t sum = vsha256su0q_u32((uint32x4_t)w0, (uint32x4_t)w1);
    return (words4)vsha256su1q_u32(sum, (uint32x4_t)w2, (uint32x4_t)w3);
}

ARM_SHA2 INLINE words4 swap_arm(words4 w) { return (words4)vrev32q_u8((uint8x16_t)w); }

#define NAME(x) x##_arm
#define EXPAND expand_portable
#define TARGET ARM_SHA2
#include "_interleaved.h"

#endif
