/* SHA-NI with every ninth node hashed in between by general-purpose instructions.

   On Intel's Golden Cove a sha256rnds2 keeps its unit busy for three cycles and a node takes 64 of them: 192
   cycles, in which most of the processor has nothing to do. Hence two things that _interleaved.h does not.
   For every four rounds of two nodes, one round of another goes in between, which makes its 128 while eight
   nodes are hashed: 171 cycles a node where there were 193. (Every seventh instead: 183, as no port is idle
   any more. Other processors were not measured.) And the message block of a node runs together with the
   padding block of the node before: the instructions that make the schedule of the first take up the port of
   the rounds, sha256msg1 for four cycles, and the second needs none. */

#ifndef FPIN_MIXED_H
#define FPIN_MIXED_H

#define MIXED __attribute__((target("sha,sse4.1,ssse3,bmi,bmi2")))
#define GROUP 9 /* nodes: eight for SHA-NI and one beside them */
#define LINE 64 /* bytes that a prefetch asks for */
#define LINES 5 /* asked for with each group: of the 127 bytes that four nodes stand for, a group has 286 */

/* A node between its two blocks: the state, what is added to it at the end, and where the node belongs. */
struct half_done {
    words4 state[2], before[2];
    uint8_t *node;
};

/* The node beside: its state, and four rows of four words of its message. */
struct beside {
    uint32_t state[8];
    words4 w[4];
    uint32_t kw[16]; /* the message plus the round constants, for the next sixteen rounds */
};

/* One round. The state's words stay where they are, and their names a to h move on by one each round. */
MIXED INLINE void round_beside(uint32_t state[8], int round, uint32_t kw)
{
#define WORD(letter) state[((letter) - 'a' - round) & 7]
    uint32_t a = WORD('a'), b = WORD('b'), c = WORD('c'), e = WORD('e'), f = WORD('f'), g = WORD('g');
    uint32_t h = WORD('h') + kw + (((f ^ g) & e) ^ g) + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25));
    WORD('d') += h;
    WORD('h') = h + (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + (((a ^ b) & (b ^ c)) ^ b);
#undef WORD
}

/* Replace the oldest of four rows, row i, by the one that follows all four. */
MIXED INLINE void next_row(words4 w[4], int i)
{
    w[i % 4] = schedule_shani(w[i % 4], w[(i + 1) % 4], w[(i + 2) % 4], w[(i + 3) % 4]);
}

MIXED INLINE void add_words(uint32_t *state, const uint32_t *words)
{
    for (int i = 0; i < 8; i++)
        state[i] += words[i];
}

/* Prepare a row of the message for its four rounds, whose constants are at `k`. */
MIXED INLINE void set_kw(struct beside *beside, int row, const uint32_t *k)
{
    words4 kw = beside->w[row] + read4_shani(k);
    memcpy(beside->kw + 4 * row, &kw, sizeof kw);
}

MIXED INLINE void start_beside(struct beside *beside, const uint8_t *pair)
{
    memcpy(beside->state, INITIAL, sizeof INITIAL);
    for (int row = 0; row < 4; row++) {
        beside->w[row] = swap_shani(read4_shani(pair + 16 * row));
        set_kw(beside, row, K + 4 * row);
    }
}

MIXED INLINE void store_beside(uint8_t *node, const struct beside *beside)
{
    words4 words[2];
    memcpy(words, beside->state, sizeof words);
    store_words_shani(node, words);
}

MIXED INLINE void store_half_done(struct half_done *last)
{
    last->state[0] += last->before[0], last->state[1] += last->before[1];
    store_node_shani(last->node, last->state);
}

/* Sixteen times four rounds of the message block of the node over `pair`, and of the padding block of the one
   before, which is stored; and sixteen rounds of the node beside, by `kw`. With `next_k` the round constants of
   its next sixteen, these are prepared in its `kw`. */
MIXED INLINE void hash_one(struct half_done *last, uint8_t *node, const uint8_t *pair, struct beside *beside,
                           const uint32_t *kw, const uint32_t *next_k)
{
    words4 initial[2], state[2], w[4];
    from_words_shani(initial, INITIAL);
    state[0] = initial[0], state[1] = initial[1];
    for (int i = 0; i < 4; i++)
        w[i] = swap_shani(read4_shani(pair + 16 * i));
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++) {
        words4 message = w[i % 4];
        if (i < 12)
            next_row(w, i);
        four_rounds_shani(state, message + read4_shani(K + 4 * i));
        four_rounds_shani(last->state, read4_shani(PADDING + 4 * i));
        round_beside(beside->state, i, kw[i]);
        /* Here all three have to be done: a compiler that sorts instructions by kind undoes the mixture. */
        __asm__("" : "+x"(state[0]), "+x"(last->state[0]), "+r"(beside->state[(3 - i) & 7]));
        if (next_k != NULL && i % 4 == 3) {
            next_row(beside->w, i / 4);
            set_kw(beside, i / 4, next_k + i / 4 * 4);
        }
    }
    store_half_done(last);
    last->node = node;
    for (int i = 0; i < 2; i++)
        last->state[i] = last->before[i] = state[i] + initial[i];
}

/* Write the parents of `count` groups of pairs, and ask for the bytes at `ahead` meanwhile. */
MIXED static void hash_groups(uint8_t *parents, const uint8_t *nodes, size_t count, const uint8_t *ahead)
{
    uintptr_t line = (uintptr_t)ahead; /* no pointer: beyond the end of the data a prefetch does nothing */
    uint8_t nowhere[NODE];
    struct half_done last = {.node = nowhere}; /* no node comes before the first one */
    struct beside beside;
    uint32_t middle[8];
    for (; count > 0; count--, nodes += GROUP * 2 * NODE, parents += GROUP * NODE) {
        for (int i = 0; i < LINES; i++, line += LINE)
            __builtin_prefetch((const void *)line);
        start_beside(&beside, nodes + (GROUP - 1) * 2 * NODE);
        for (int i = 0; i < 3; i++)
            hash_one(&last, parents + NODE * i, nodes + 2 * NODE * i, &beside, beside.kw, K + 16 * (i + 1));
        hash_one(&last, parents + NODE * 3, nodes + 2 * NODE * 3, &beside, beside.kw, NULL);
        add_words(beside.state, INITIAL);
        memcpy(middle, beside.state, sizeof middle);
        for (int i = 4; i < 8; i++)
            hash_one(&last, parents + NODE * i, nodes + 2 * NODE * i, &beside, PADDING + 16 * (i - 4), NULL);
        add_words(beside.state, middle);
        store_beside(parents + (GROUP - 1) * NODE, &beside);
    }
    for (int i = 0; i < 16; i++)
        four_rounds_shani(last.state, read4_shani(PADDING + 4 * i));
    store_half_done(&last);
}

MIXED static void hash_pairs_mixed(uint8_t *parents, const uint8_t *nodes, size_t count)
{
    size_t groups = count / GROUP;
    if (groups > 0)
        hash_groups(parents, nodes, groups, nodes);
    hash_pairs_shani(parents + groups * GROUP * NODE, nodes + groups * GROUP * 2 * NODE, count % GROUP);
}

MIXED static void compress_mixed(uint32_t *words, const uint8_t *const *messages, size_t blocks)
{
    compress_shani(words, messages, blocks);
}

/* As hash_rows does it, but the ancestors of the leaves come behind them, level by level, so that the parent of
   pair i is node `leaves` + i and all levels are one run. Groups end where the nodes of a pair are made fewer
   than GROUP + 2 pairs before it: as a group begins, the last node but one is not stored yet. Meanwhile the
   bytes of the next row are on their way, which is worth 5 % (benchmarks/piece.py). */
MIXED static void hash_blocks_mixed(uint8_t *nodes, const uint8_t *raw, size_t count, int height)
{
    uint8_t row[2 * ROW_BLOCKS * NODE << ROW_HEIGHT];
    while (count > 0) {
        size_t blocks = count < ROW_BLOCKS ? count : ROW_BLOCKS, leaves = blocks << height;
        size_t groups = leaves < 2 * GROUP + 2 ? 0 : (leaves - GROUP - 2) / GROUP, grouped = groups * GROUP;
        uint8_t *parents = row + NODE * leaves;
        expand_portable(row, raw, leaves / 4);
        raw += QUAD * leaves / 4;
        if (groups > 0)
            hash_groups(parents, row, groups, raw);
        hash_pairs_shani(parents + NODE * grouped, row + 2 * NODE * grouped, leaves - blocks - grouped);
        memcpy(nodes, parents + NODE * (leaves - 2 * blocks), NODE * blocks);
        count -= blocks, nodes += NODE * blocks;
    }
}

#endif
