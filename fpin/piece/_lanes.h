/* SHA-256 of LANES messages side by side, each in its own lane of a vector; with one lane, of one message.

   A template, included once for each form with these macros, which it undefines at its end:
     LANES           1, 4, 8 or 16
     NAME(x)         x with a suffix of its own
     TARGET          attributes for the instructions it may use
     EXPAND          the fr32 function to use
     ROTATE(x, n), XOR3(x, y, z), CHOOSE(x, y, z), MAJORITY(x, y, z), SWAP(x)
                     where the instruction set has something better than the plain expressions below */

#define WORD NAME(word)

#ifndef ROTATE
#define ROTATE(x, n) ((x) >> (n) | (x) << (32 - (n)))
#endif
#ifndef XOR3
#define XOR3(x, y, z) ((x) ^ (y) ^ (z))
#define CHOOSE(x, y, z) (((x) & ((y) ^ (z))) ^ (z))
#define MAJORITY(x, y, z) (((x) & (y)) | ((z) & ((x) | (y))))
#endif

#ifndef SWAP /* the bytes of every word */
#define SWAP(x) ((ROTATE(x, 8) & 0xff00ff00u) | (ROTATE(x, 24) & 0x00ff00ffu))
#endif
#define BIG_ENDIAN_WORD(x) (LITTLE_ENDIAN_HOST ? SWAP(x) : (x))

/* ZIP_…: the lanes of a and b by turns, in two vectors. EVEN, ODD: every other lane of a, then of b. */
#if LANES == 1
typedef uint32_t WORD;
#define SHUFFLES 0
#define ZIP_LOW(a, b) (a)
#define ZIP_HIGH(a, b) (b)
#define EVEN(a, b) (a)
#define ODD(a, b) (b)
#else
typedef uint32_t WORD __attribute__((vector_size(4 * LANES)));
#endif
#if LANES == 4
#define SHUFFLES 2
#define ZIP_LOW(a, b) __builtin_shufflevector(a, b, 0, 4, 1, 5)
#define ZIP_HIGH(a, b) __builtin_shufflevector(a, b, 2, 6, 3, 7)
#define EVEN(a, b) __builtin_shufflevector(a, b, 0, 2, 4, 6)
#define ODD(a, b) __builtin_shufflevector(a, b, 1, 3, 5, 7)
#elif LANES == 8
#define SHUFFLES 3
#define ZIP_LOW(a, b) __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11)
#define ZIP_HIGH(a, b) __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15)
#define EVEN(a, b) __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14)
#define ODD(a, b) __builtin_shufflevector(a, b, 1, 3, 5, 7, 9, 11, 13, 15)
#elif LANES == 16
#define SHUFFLES 4
#define ZIP_LOW(a, b) __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define ZIP_HIGH(a, b) \
    __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)
#define EVEN(a, b) __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30)
#define ODD(a, b) __builtin_shufflevector(a, b, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31)
#endif

/* Interleave the two halves of `rows` vectors, `times` times. Each time rotates the bits of a word's position
   by one, so log2(LANES) times on 16 rows turn lane-by-lane into word-by-word, three on 8 rows back. */
TARGET INLINE void NAME(shuffle)(WORD *v, int rows, int times)
{
    WORD zipped[16];
#pragma GCC unroll 4
    for (int n = 0; n < times; n++) {
#pragma GCC unroll 8
        for (int i = 0; i < rows / 2; i++) {
            zipped[2 * i] = ZIP_LOW(v[i], v[i + rows / 2]);
            zipped[2 * i + 1] = ZIP_HIGH(v[i], v[i + rows / 2]);
        }
#pragma GCC unroll 16
        for (int i = 0; i < rows; i++)
            v[i] = zipped[i];
    }
}

/* Read the block at `offset` of every message: w[i] holds word i of all of them. */
TARGET INLINE void NAME(load)(WORD *w, const uint8_t *const *messages, size_t offset)
{
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++)
        memcpy(&w[i], messages[i * LANES / 16] + offset + i * sizeof(WORD) % 64, sizeof(WORD));
    NAME(shuffle)(w, 16, SHUFFLES);
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++)
        w[i] = BIG_ENDIAN_WORD(w[i]);
}

/* One round; h has the round constant and the message word in it already. */
#define MIX(a, b, c, d, e, f, g, h)                                                \
    do {                                                                           \
        h += XOR3(ROTATE(e, 6), ROTATE(e, 11), ROTATE(e, 25)) + CHOOSE(e, f, g);   \
        d += h;                                                                    \
        h += XOR3(ROTATE(a, 2), ROTATE(a, 13), ROTATE(a, 22)) + MAJORITY(a, b, c); \
    } while (0)
#define ROUND(a, b, c, d, e, f, g, h, kw) \
    do {                                  \
        h += kw;                          \
        MIX(a, b, c, d, e, f, g, h);      \
    } while (0)

/* Sixteen rounds on s[0..7]; KW(i) gives the round constant plus the message word of the i-th. */
#define FOUR_ROUNDS(KW, i)                                              \
    ROUND(s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7], KW((i) + 0)); \
    ROUND(s[7], s[0], s[1], s[2], s[3], s[4], s[5], s[6], KW((i) + 1)); \
    ROUND(s[6], s[7], s[0], s[1], s[2], s[3], s[4], s[5], KW((i) + 2)); \
    ROUND(s[5], s[6], s[7], s[0], s[1], s[2], s[3], s[4], KW((i) + 3))
#define NEXT_FOUR_ROUNDS(KW, i)                                         \
    ROUND(s[4], s[5], s[6], s[7], s[0], s[1], s[2], s[3], KW((i) + 0)); \
    ROUND(s[3], s[4], s[5], s[6], s[7], s[0], s[1], s[2], KW((i) + 1)); \
    ROUND(s[2], s[3], s[4], s[5], s[6], s[7], s[0], s[1], KW((i) + 2)); \
    ROUND(s[1], s[2], s[3], s[4], s[5], s[6], s[7], s[0], KW((i) + 3))
#define EIGHT_ROUNDS(KW, i) \
    FOUR_ROUNDS(KW, i);     \
    NEXT_FOUR_ROUNDS(KW, (i) + 4)
#define SIXTEEN_ROUNDS(KW) \
    EIGHT_ROUNDS(KW, 0);   \
    EIGHT_ROUNDS(KW, 8)

#define SIGMA0(x) XOR3(ROTATE(x, 7), ROTATE(x, 18), (x) >> 3)
#define SIGMA1(x) XOR3(ROTATE(x, 17), ROTATE(x, 19), (x) >> 10)
#define FIRST_WORD(i) (w[i] + k[i])
#define NEXT_WORD(i) \
    (w[i] += SIGMA0(w[((i) + 1) & 15]) + w[((i) + 9) & 15] + SIGMA1(w[((i) + 14) & 15])) + k[t + (i)]
#define PADDING_WORD(i) PADDING[t + (i)]

/* Rounds 16 to 63; `w` is used up. */
TARGET INLINE void NAME(later_rounds)(WORD *s, WORD *w, const uint32_t *k)
{
    for (int t = 16; t < 64; t += 16) {
        SIXTEEN_ROUNDS(NEXT_WORD);
    }
}

/* Add one block of message words to the state; `w` is used up. */
TARGET INLINE void NAME(add_block)(WORD *state, WORD *w)
{
    const uint32_t *k = round_constants();
    WORD s[8];
    memcpy(s, state, sizeof s);
    SIXTEEN_ROUNDS(FIRST_WORD);
    NAME(later_rounds)(s, w, k);
    for (int i = 0; i < 8; i++)
        state[i] += s[i];
}

/* The same for the first block of a message, whose state is known: of the first round two additions are left,
   and the three after it add their h and their round constant in one. */
TARGET INLINE void NAME(first_block)(WORD *state, WORD *w)
{
    const uint32_t *k = round_constants();
    WORD s[8];
    for (int i = 0; i < 8; i++)
        s[i] = (WORD){0} + INITIAL[i];
    s[3] = w[0] + FIRST_SUMS[0];
    s[7] = w[0] + FIRST_SUMS[1];
    s[6] = w[1] + FIRST_SUMS[2];
    MIX(s[7], s[0], s[1], s[2], s[3], s[4], s[5], s[6]);
    s[5] = w[2] + FIRST_SUMS[3];
    MIX(s[6], s[7], s[0], s[1], s[2], s[3], s[4], s[5]);
    s[4] = w[3] + FIRST_SUMS[4];
    MIX(s[5], s[6], s[7], s[0], s[1], s[2], s[3], s[4]);
    NEXT_FOUR_ROUNDS(FIRST_WORD, 4);
    EIGHT_ROUNDS(FIRST_WORD, 8);
    NAME(later_rounds)(s, w, k);
    for (int i = 0; i < 8; i++)
        state[i] = s[i] + INITIAL[i];
}

TARGET INLINE void NAME(add_padding)(WORD *state)
{
    WORD s[8];
    memcpy(s, state, sizeof s);
    for (int t = 0; t < 64; t += 16) {
        SIXTEEN_ROUNDS(PADDING_WORD);
    }
    for (int i = 0; i < 8; i++)
        state[i] += s[i];
}

/* The truncated SHA-256 of the 64 bytes that `w` holds for each lane. */
TARGET __attribute__((noinline)) static void NAME(hash)(WORD *node, const WORD *message)
{
    WORD w[16];
    memcpy(w, message, sizeof w);
    NAME(first_block)(node, w);
    NAME(add_padding)(node);
    node[7] &= TRUNCATE;
}

TARGET INLINE void NAME(hash_bytes)(WORD *node, const uint8_t *pairs)
{
    WORD w[16];
    const uint8_t *messages[LANES];
    for (int j = 0; j < LANES; j++)
        messages[j] = pairs + 2 * NODE * j;
    NAME(load)(w, messages, 0);
    NAME(hash)(node, w);
}

TARGET INLINE void NAME(store)(uint8_t *nodes, WORD *node)
{
    for (int i = 0; i < 8; i++)
        node[i] = BIG_ENDIAN_WORD(node[i]);
    NAME(shuffle)(node, 8, LANES == 1 ? 0 : 3);
    memcpy(nodes, node, NODE * LANES);
}

/* The roots of LANES consecutive blocks of raw bytes. Each half of the bytes gives, one level lower, a child
   to every lane, and nodes stay spread over the lanes, words in place, all the way up. */
TARGET static void NAME(roots)(WORD *root, const uint8_t *raw, int height)
{
    WORD left[8], right[8], w[16];
    if (height == 2) {
        uint8_t leaves[4 * NODE * LANES];
        EXPAND(leaves, raw, LANES);
        /* Ask for the bytes of the next call, read at once like these: hashing gives them time to arrive, which
           is worth 5 % (benchmarks/piece.py). Beyond the end of the data a prefetch does nothing. */
        for (size_t i = QUAD * LANES; i < 2 * QUAD * LANES; i += 64)
            __builtin_prefetch((const void *)((uintptr_t)raw + i));
        NAME(hash_bytes)(left, leaves);
        NAME(hash_bytes)(right, leaves + 2 * NODE * LANES);
    } else {
        NAME(roots)(left, raw, height - 1);
        NAME(roots)(right, raw + ((size_t)QUAD * LANES << (height - 3)), height - 1);
    }
    for (int i = 0; i < 8; i++) {
        w[i] = EVEN(left[i], right[i]);
        w[8 + i] = ODD(left[i], right[i]);
    }
    NAME(hash)(root, w);
}

TARGET static void NAME(hash_blocks)(uint8_t *nodes, const uint8_t *raw, size_t count, int height)
{
    WORD root[8];
    for (; count > 0; count -= LANES, raw += (size_t)QUAD * LANES << (height - 2), nodes += NODE * LANES) {
        NAME(roots)(root, raw, height);
        NAME(store)(nodes, root);
    }
}

TARGET static void NAME(hash_pairs)(uint8_t *parents, const uint8_t *nodes, size_t count)
{
    WORD node[8];
    uint8_t padded[2 * NODE * LANES], hashed[NODE * LANES];
    for (; count >= LANES; count -= LANES, nodes += sizeof padded, parents += sizeof hashed) {
        NAME(hash_bytes)(node, nodes);
        NAME(store)(parents, node);
    }
    if (count > 0) { /* fewer than there are lanes: the others hash zeros */
        memset(padded, 0, sizeof padded);
        memcpy(padded, nodes, 2 * NODE * count);
        NAME(hash_bytes)(node, padded);
        NAME(store)(hashed, node);
        memcpy(parents, hashed, NODE * count);
    }
}

TARGET static void NAME(compress)(uint32_t *words, const uint8_t *const *messages, size_t blocks)
{
    WORD state[8], w[16];
    memcpy(state, words, sizeof state);
    for (size_t block = 0; block < blocks; block++) {
        NAME(load)(w, messages, 64 * block);
        NAME(add_block)(state, w);
    }
    memcpy(words, state, sizeof state);
}

#undef LANES
#undef NAME
#undef TARGET
#undef EXPAND
#undef WORD
#undef ROTATE
#undef XOR3
#undef CHOOSE
#undef MAJORITY
#undef SWAP
#undef BIG_ENDIAN_WORD
#undef SHUFFLES
#undef ZIP_LOW
#undef ZIP_HIGH
#undef EVEN
#undef ODD
#undef MIX
#undef ROUND
#undef FOUR_ROUNDS
#undef NEXT_FOUR_ROUNDS
#undef EIGHT_ROUNDS
#undef SIXTEEN_ROUNDS
#undef SIGMA0
#undef SIGMA1
#undef FIRST_WORD
#undef NEXT_WORD
#undef PADDING_WORD
