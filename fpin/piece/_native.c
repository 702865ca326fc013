/* The piece commitment, compiled: equals fpin/piece/twin.py, which says what is computed and why.

   Knows no CIDs and no threads: the caller brings buffers, several at once from several threads if it likes,
   as the GIL is released while they are hashed. Nothing but the kernel's choice depends on the processor. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdlib.h>

#include "_sha256.h"

INLINE uint64_t load64(const uint8_t *p)
{
    uint64_t x;
    memcpy(&x, p, sizeof x);
    return LITTLE_ENDIAN_HOST ? x : __builtin_bswap64(x);
}

INLINE void store64(uint8_t *p, uint64_t x)
{
    x = LITTLE_ENDIAN_HOST ? x : __builtin_bswap64(x);
    memcpy(p, &x, sizeof x);
}

/* A quad is four parts of 254 bits: each begins `shift` bits into a byte and becomes a leaf of its own. */
static void expand_portable(uint8_t *leaves, const uint8_t *raw, size_t quads)
{
    static const struct { int offset, shift; } PARTS[4] = {{0, 0}, {31, 6}, {63, 4}, {95, 2}};
    for (; quads > 0; quads--, raw += QUAD) {
        for (int part = 0; part < 4; part++, leaves += NODE) {
            const uint8_t *p = raw + PARTS[part].offset;
            int shift = PARTS[part].shift;
            uint64_t after = part < 3 ? p[32] : 0;
            for (int i = 0; i < 4; i++) {
                uint64_t next = i < 3 ? load64(p + 8 * i + 8) : after;
                store64(leaves + 8 * i, load64(p + 8 * i) >> shift | next << 1 << (63 - shift));
            }
            leaves[NODE - 1] &= 0x3f;
        }
    }
}

#define LANES 1
#define NAME(x) x##_portable
#define TARGET
#define EXPAND expand_portable
#include "_lanes.h"

#if HAVE_LANES
#define LANES 4
#define NAME(x) x##_vector
#define TARGET
#define EXPAND expand_portable
#include "_lanes.h"
#endif

#if defined(__x86_64__)
#include "_x86.h"
#elif HAVE_ARM_SHA2
#include "_arm.h"
#endif

static int always(void) { return 1; }

#define NAMED_KERNEL(name, suffix, lanes, available) \
    {name, lanes, available, hash_blocks_##suffix, hash_pairs_##suffix, compress_##suffix}
#define KERNEL(name, lanes, available) NAMED_KERNEL(#name, name, lanes, available)

/* Fastest first. */
static const struct kernel KERNELS[] = {
#if defined(__x86_64__)
#if HAVE_LANES
    KERNEL(avx512, 16, has_avx512),
#endif
    NAMED_KERNEL("shani", mixed, 2, has_shani_and_bmi2),
    NAMED_KERNEL("shani_plain", shani, 2, has_shani),
#if HAVE_LANES
    KERNEL(avx2, 8, has_avx2),
#endif
#elif HAVE_ARM_SHA2
    KERNEL(arm, 2, has_arm_sha2),
#endif
#if HAVE_LANES
    KERNEL(vector, 4, always),
#endif
    KERNEL(portable, 1, always),
};
#define KERNEL_COUNT (sizeof KERNELS / sizeof *KERNELS)

/* Asked once: inside a virtual machine, asking takes as long as hashing 100 KiB. */
static int AVAILABLE[KERNEL_COUNT];

static void init_available(void)
{
    for (size_t i = 0; i < KERNEL_COUNT; i++)
        AVAILABLE[i] = KERNELS[i].available();
}

#define MIN_HEIGHT 2
#define MAX_HEIGHT 58 /* as in cid.py: the tallest tree whose size a piece CID can carry */

static uint8_t ZERO_ROOTS[MAX_HEIGHT][NODE]; /* by height, of trees over nothing but zeros */

static void init_zero_roots(void)
{
    uint8_t pair[2 * NODE];
    for (int height = 1; height < MAX_HEIGHT; height++) {
        memcpy(pair, ZERO_ROOTS[height - 1], NODE);
        memcpy(pair + NODE, ZERO_ROOTS[height - 1], NODE);
        hash_pairs_portable(ZERO_ROOTS[height], pair, 1);
    }
}

/* Replace a row of nodes at `height` by its ancestors at height `to`, completed with zeros, and return how
   many they are. There must be room for one node more. */
static size_t fold(const struct kernel *kernel, uint8_t *nodes, size_t count, int height, int to)
{
    for (; height < to; height++) {
        if (count % 2)
            memcpy(nodes + NODE * count++, ZERO_ROOTS[height], NODE);
        count /= 2;
        kernel->hash_pairs(nodes, nodes, count);
    }
    return count;
}

static size_t round_up(size_t n, size_t step) { return (n + step - 1) / step * step; }

/* Reduce `raw` to a row of nodes at `low`, then this to `height`. The row has room for whole lanes and one
   node more; `padded` for as many blocks as there are lanes. */
static size_t block_roots(const struct kernel *kernel, const uint8_t *raw, size_t size, int low, int height,
                          uint8_t *row, uint8_t *padded)
{
    size_t block = (size_t)QUAD << (low - MIN_HEIGHT);
    size_t whole = size / block / kernel->lanes * kernel->lanes, rest = size - whole * block;
    kernel->hash_blocks(row, raw, whole, low);
    if (rest > 0) { /* fewer blocks than lanes, the last one perhaps short: completed with zeros */
        memset(padded, 0, block * kernel->lanes);
        memcpy(padded, raw + whole * block, rest);
        kernel->hash_blocks(row + NODE * whole, padded, kernel->lanes, low);
    }
    return fold(kernel, row, whole + (rest + block - 1) / block, low, height);
}

/* Plain SHA-256 of as many messages of `size` bytes as the kernel has lanes. */
static void sha256_lanes(const struct kernel *kernel, const uint8_t *const *messages, size_t size,
                         uint8_t *digests)
{
    size_t lanes = kernel->lanes, rest = size % 64, last_blocks = rest < 56 ? 1 : 2;
    uint32_t state[8 * MAX_LANES];
    uint8_t last[MAX_LANES][128] = {{0}};
    const uint8_t *ends[MAX_LANES];
    for (size_t i = 0; i < 8 * lanes; i++)
        state[i] = INITIAL[i / lanes];
    kernel->compress(state, messages, size / 64);
    for (size_t lane = 0; lane < lanes; lane++) {
        if (rest > 0)
            memcpy(last[lane], messages[lane] + (size - rest), rest);
        last[lane][rest] = 0x80;
        for (size_t byte = 0; byte < 8; byte++)
            last[lane][64 * last_blocks - 1 - byte] = (uint8_t)((uint64_t)size * 8 >> 8 * byte);
        ends[lane] = last[lane];
    }
    kernel->compress(state, ends, last_blocks);
    for (size_t i = 0; i < 8 * lanes; i++)
        for (size_t byte = 0; byte < 4; byte++)
            digests[NODE * (i % lanes) + 4 * (i / lanes) + byte] = (uint8_t)(state[i] >> (24 - 8 * byte));
}

static const struct kernel *find_kernel(const char *name)
{
    for (size_t i = 0; i < KERNEL_COUNT; i++)
        if (AVAILABLE[i] && strcmp(KERNELS[i].name, name) == 0)
            return &KERNELS[i];
    PyErr_Format(PyExc_ValueError, "no such kernel on this machine: %s", name);
    return NULL;
}

static PyObject *py_kernels(PyObject *module, PyObject *unused)
{
    (void)module, (void)unused;
    PyObject *lanes = PyDict_New();
    for (size_t i = 0; lanes != NULL && i < KERNEL_COUNT; i++) {
        if (!AVAILABLE[i])
            continue;
        PyObject *count = PyLong_FromSize_t(KERNELS[i].lanes);
        if (count == NULL || PyDict_SetItemString(lanes, KERNELS[i].name, count) < 0)
            Py_CLEAR(lanes);
        Py_XDECREF(count);
    }
    return lanes;
}

static PyObject *py_block_roots(PyObject *module, PyObject *args)
{
    (void)module;
    const char *name;
    Py_buffer raw;
    int height;
    PyObject *roots = NULL;
    if (!PyArg_ParseTuple(args, "sy*i:block_roots", &name, &raw, &height))
        return NULL;
    const struct kernel *kernel = find_kernel(name);
    if (kernel == NULL)
        goto done;
    if (height < MIN_HEIGHT || height > MAX_HEIGHT) {
        PyErr_Format(PyExc_ValueError, "height %d is not within %d..%d", height, MIN_HEIGHT, MAX_HEIGHT);
        goto done;
    }
    int low = height < ROW_HEIGHT ? height : ROW_HEIGHT;
    size_t block = (size_t)QUAD << (low - MIN_HEIGHT), size = (size_t)raw.len, count;
    size_t row_size = NODE * (round_up(size / block + 1, kernel->lanes) + 1);
    uint8_t *row = malloc(row_size + block * kernel->lanes);
    if (row == NULL) {
        PyErr_NoMemory();
        goto done;
    }
    Py_BEGIN_ALLOW_THREADS
    count = block_roots(kernel, raw.buf, size, low, height, row, row + row_size);
    Py_END_ALLOW_THREADS
    roots = PyBytes_FromStringAndSize((const char *)row, (Py_ssize_t)(NODE * count));
    free(row);
done:
    PyBuffer_Release(&raw);
    return roots;
}

/* Take up to `lanes` buffers; return how many, or -1 with an exception and those taken so far in *taken. */
static Py_ssize_t take_messages(PyObject *list, size_t lanes, Py_buffer *buffers, Py_ssize_t *taken)
{
    Py_ssize_t count = PySequence_Size(list);
    if (count < 1 || (size_t)count > lanes) {
        if (count >= 0)
            PyErr_Format(PyExc_ValueError, "%zd messages for %zu lanes", count, lanes);
        return -1;
    }
    for (; *taken < count; ++*taken) {
        PyObject *message = PySequence_GetItem(list, *taken);
        int failed = message == NULL || PyObject_GetBuffer(message, &buffers[*taken], PyBUF_SIMPLE) < 0;
        Py_XDECREF(message);
        if (failed)
            return -1;
        if (buffers[*taken].len != buffers[0].len) {
            ++*taken;
            PyErr_SetString(PyExc_ValueError, "messages differ in length");
            return -1;
        }
    }
    return count;
}

static PyObject *py_sha256_many(PyObject *module, PyObject *args)
{
    (void)module;
    const char *name;
    PyObject *list, *digests = NULL;
    Py_buffer buffers[MAX_LANES];
    const uint8_t *messages[MAX_LANES];
    uint8_t hashed[NODE * MAX_LANES];
    Py_ssize_t count, taken = 0;
    const struct kernel *kernel;
    if (!PyArg_ParseTuple(args, "sO:sha256_many", &name, &list) || (kernel = find_kernel(name)) == NULL)
        return NULL;
    count = take_messages(list, kernel->lanes, buffers, &taken);
    if (count > 0) {
        for (Py_ssize_t lane = 0; lane < (Py_ssize_t)kernel->lanes; lane++)
            messages[lane] = buffers[lane < count ? lane : 0].buf; /* idle lanes repeat the first */
        Py_BEGIN_ALLOW_THREADS
        sha256_lanes(kernel, messages, (size_t)buffers[0].len, hashed);
        Py_END_ALLOW_THREADS
        digests = PyBytes_FromStringAndSize((const char *)hashed, NODE * count);
    }
    while (taken > 0)
        PyBuffer_Release(&buffers[--taken]);
    return digests;
}

static PyMethodDef METHODS[] = {
    {"kernels", py_kernels, METH_NOARGS,
     "kernels() -> dict: what this machine can run and its lanes, fastest first."},
    {"block_roots", py_block_roots, METH_VARARGS,
     "block_roots(kernel, data, height) -> bytes: as in twin.py."},
    {"sha256_many", py_sha256_many, METH_VARARGS,
     "sha256_many(kernel, messages) -> bytes: digests of up to `lanes` messages of one length."},
    {NULL, NULL, 0, NULL},
};

static int execute(PyObject *module)
{
    (void)module;
    init_available();
    init_constants();
    init_zero_roots();
    return 0;
}

static PyModuleDef_Slot SLOTS[] = {{Py_mod_exec, (void *)execute}, {0, NULL}};

static struct PyModuleDef MODULE = {
    PyModuleDef_HEAD_INIT,
    .m_name = "fpin.piece._native",
    .m_doc = "The piece commitment, compiled; fpin.piece.core chooses between it and the Python twin.",
    .m_methods = METHODS,
    .m_slots = SLOTS,
};

PyMODINIT_FUNC PyInit__native(void) { return PyModuleDef_Init(&MODULE); }
