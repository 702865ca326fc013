/* SHA-256 by instructions that do several rounds each, over two messages in turn: such an instruction takes
   some cycles, and the other message uses them.

   A template, included with NAME(x), TARGET and EXPAND as for _lanes.h, and these functions:
     void NAME(from_words)(words4 half[2], const uint32_t words[8])   the state, as the instructions want it
     void NAME(to_words)(words4 words[2], const words4 half[2])       and back
     void NAME(four_rounds)(words4 half[2], words4 kw)
     words4 NAME(schedule)(words4 w0, w1, w2, w3)   the next four message words after these sixteen
     words4 NAME(swap)(words4 w)                    the bytes of each word the other way round */

TARGET INLINE words4 NAME(read4)(const void *p)
{
    words4 w;
    memcpy(&w, p, sizeof w);
    return w;
}

TARGET INLINE void NAME(add_blocks)(words4 state[2][2], const uint8_t *const *messages, size_t offset)
{
    words4 s[2][2], w[2][4];
    memcpy(s, state, sizeof s);
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++) {
#pragma GCC unroll 2
        for (int n = 0; n < 2; n++) {
            words4 *m = w[n];
            if (i < 4)
                m[i] = NAME(swap)(NAME(read4)(messages[n] + offset + 16 * i));
            else
                m[i % 4] = NAME(schedule)(m[i % 4], m[(i + 1) % 4], m[(i + 2) % 4], m[(i + 3) % 4]);
            NAME(four_rounds)(s[n], m[i % 4] + NAME(read4)(K + 4 * i));
        }
    }
    for (int n = 0; n < 2; n++)
        state[n][0] += s[n][0], state[n][1] += s[n][1];
}

TARGET INLINE void NAME(add_padding)(words4 state[2][2])
{
    words4 s[2][2];
    memcpy(s, state, sizeof s);
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++) {
        NAME(four_rounds)(s[0], NAME(read4)(PADDING + 4 * i));
        NAME(four_rounds)(s[1], NAME(read4)(PADDING + 4 * i));
    }
    for (int n = 0; n < 2; n++)
        state[n][0] += s[n][0], state[n][1] += s[n][1];
}

/* `words` are those of a node, in order. */
TARGET INLINE void NAME(store_words)(uint8_t *node, words4 words[2])
{
    words[1] &= (words4){UINT32_MAX, UINT32_MAX, UINT32_MAX, TRUNCATE};
    words[0] = NAME(swap)(words[0]), words[1] = NAME(swap)(words[1]);
    memcpy(node, words, NODE);
}

TARGET INLINE void NAME(store_node)(uint8_t *node, const words4 half[2])
{
    words4 words[2];
    NAME(to_words)(words, half);
    NAME(store_words)(node, words);
}

/* Write the parents of the pair at `nodes` and of the one `step` bytes on. */
TARGET INLINE void NAME(hash_two)(uint8_t *parents, const uint8_t *nodes, size_t step,
                                  const words4 initial[2])
{
    const uint8_t *const pairs[2] = {nodes, nodes + step};
    words4 state[2][2];
    memcpy(state[0], initial, sizeof state[0]);
    memcpy(state[1], initial, sizeof state[1]);
    NAME(add_blocks)(state, pairs, 0);
    NAME(add_padding)(state);
    NAME(store_node)(parents, state[0]);
    NAME(store_node)(parents + NODE, state[1]);
}

TARGET static void NAME(hash_pairs)(uint8_t *parents, const uint8_t *nodes, size_t count)
{
    words4 initial[2];
    NAME(from_words)(initial, INITIAL);
    for (; count > 1; count -= 2, nodes += 4 * NODE, parents += 2 * NODE)
        NAME(hash_two)(parents, nodes, 2 * NODE, initial);
    if (count == 1) { /* the other message is the same one */
        uint8_t both[2 * NODE];
        NAME(hash_two)(both, nodes, 0, initial);
        memcpy(parents, both, NODE);
    }
}

TARGET static void NAME(hash_blocks)(uint8_t *nodes, const uint8_t *raw, size_t count, int height)
{
    hash_rows(EXPAND, NAME(hash_pairs), nodes, raw, count, height);
}

TARGET static void NAME(compress)(uint32_t *words, const uint8_t *const *messages, size_t blocks)
{
    uint32_t lanes[2][8];
    words4 state[2][2];
    for (int i = 0; i < 16; i++)
        lanes[i % 2][i / 2] = words[i];
    for (int n = 0; n < 2; n++)
        NAME(from_words)(state[n], lanes[n]);
    for (size_t block = 0; block < blocks; block++)
        NAME(add_blocks)(state, messages, 64 * block);
    for (int n = 0; n < 2; n++) {
        words4 half[2];
        NAME(to_words)(half, state[n]);
        memcpy(lanes[n], half, sizeof half);
    }
    for (int i = 0; i < 16; i++)
        words[i] = lanes[i % 2][i / 2];
}

#undef NAME
#undef TARGET
#undef EXPAND
