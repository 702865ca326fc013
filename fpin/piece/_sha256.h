/* What the SHA-256 kernels share: constants, the padding block of a 64-byte message, and their interface. */

#ifndef FPIN_SHA256_H
#define FPIN_SHA256_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if !defined(__GNUC__) || !defined(__BYTE_ORDER__)
#error "needs GCC or Clang; without the extension fpin uses its Python twin"
#endif

#define INLINE static inline __attribute__((always_inline))
#define LITTLE_ENDIAN_HOST (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)
#define NODE 32 /* bytes of a node of the tree */
#define QUAD 127 /* raw bytes that fr32 spreads over four nodes */
#define MAX_LANES 16

/* The vector forms shuffle with a builtin that GCC has since version 12. */
#if defined(__clang__) || __GNUC__ >= 12
#define HAVE_LANES 1
#else
#define HAVE_LANES 0
#endif

/* Clang before 16 has these intrinsics only where the whole build is told to use them. */
#if defined(__aarch64__) && LITTLE_ENDIAN_HOST \
    && (defined(__ARM_FEATURE_SHA2) || !defined(__clang__) || __clang_major__ >= 16)
#define HAVE_ARM_SHA2 1
#else
#define HAVE_ARM_SHA2 0
#endif

typedef uint32_t words4 __attribute__((vector_size(16)));

/* Blocks are hashed up to this height while they are in the first cache and fill all lanes. */
#define ROW_HEIGHT 6
#define ROW_BLOCKS 8 /* 16 KiB of leaves */

/* One way to compute. Pointers need no alignment. */
struct kernel {
    const char *name;
    size_t lanes; /* how many messages it hashes side by side */
    int (*available)(void);
    /* Write the roots of `count` blocks of raw bytes, a multiple of `lanes`; 2 <= height <= ROW_HEIGHT. */
    void (*hash_blocks)(uint8_t *nodes, const uint8_t *raw, size_t count, int height);
    /* Write the parents of `count` pairs of nodes; `parents` may be `nodes`. */
    void (*hash_pairs)(uint8_t *parents, const uint8_t *nodes, size_t count);
    /* Add `blocks` 64-byte blocks of each message to its state: word i of lane j is state[i * lanes + j]. */
    void (*compress)(uint32_t *state, const uint8_t *const *messages, size_t blocks);
};

/* A kernel's hash_blocks by its hash_pairs: level by level, over rows that the first cache holds. */
INLINE void hash_rows(void (*expand)(uint8_t *leaves, const uint8_t *raw, size_t quads),
                      void (*hash_pairs)(uint8_t *parents, const uint8_t *nodes, size_t count),
                      uint8_t *nodes, const uint8_t *raw, size_t count, int height)
{
    uint8_t row[ROW_BLOCKS * NODE << ROW_HEIGHT];
    while (count > 0) {
        size_t blocks = count < ROW_BLOCKS ? count : ROW_BLOCKS, quads = blocks << (height - 2);
        expand(row, raw, quads);
        for (int level = height - 1; level >= 0; level--)
            hash_pairs(row, row, blocks << level);
        memcpy(nodes, row, NODE * blocks);
        count -= blocks, raw += QUAD * quads, nodes += NODE * blocks;
    }
}

static const uint32_t INITIAL[8] = {
    0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
};

static const uint32_t K[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

/* Clears the two top bits of the last byte of a node, which is the low byte of its last big-endian word. */
#define TRUNCATE 0xffffff3fu

/* A pair of nodes is 64 bytes, so its second SHA-256 block is the same padding every time: its message
   schedule plus K, computed once by init_constants(). */
static uint32_t PADDING[64] __attribute__((aligned(64)));

/* What the first four rounds of a message add to its words: to d and to h in the first one, whose state is
   INITIAL, and to what becomes h in the three after it. Computed once by init_constants(). */
static uint32_t FIRST_SUMS[5];

INLINE uint32_t rotate(uint32_t x, int n) { return x >> n | x << (32 - n); }

/* K, in a way that the compiler takes it from memory, where an addition fetches and spreads a constant by the
   way: 3 % faster than what GCC makes of numbers that it knows. */
INLINE const uint32_t *round_constants(void)
{
    const uint32_t *k = K;
    __asm__("" : "+r"(k));
    return k;
}

static void init_constants(void)
{
    const uint32_t *s = INITIAL;
    uint32_t first = s[7] + (rotate(s[4], 6) ^ rotate(s[4], 11) ^ rotate(s[4], 25))
                   + ((s[4] & s[5]) ^ (~s[4] & s[6])) + K[0];
    FIRST_SUMS[0] = s[3] + first;
    FIRST_SUMS[1] = first + (rotate(s[0], 2) ^ rotate(s[0], 13) ^ rotate(s[0], 22))
                  + ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
    for (int i = 1; i < 4; i++)
        FIRST_SUMS[1 + i] = s[7 - i] + K[i];
    uint32_t w[64] = {0x80000000u};
    w[15] = 64 * 8;
    for (int t = 16; t < 64; t++) {
        uint32_t a = w[t - 15], b = w[t - 2];
        w[t] = w[t - 16] + (rotate(a, 7) ^ rotate(a, 18) ^ a >> 3) + w[t - 7]
             + (rotate(b, 17) ^ rotate(b, 19) ^ b >> 10);
    }
    for (int t = 0; t < 64; t++)
        PADDING[t] = K[t] + w[t];
}

#endif
