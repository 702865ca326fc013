/* Many small files read into one buffer without the interpreter between them: equals read_each of
   fpin/pack/reading.py, which says what is held against what.

   Knows no CIDs and hashes nothing. The GIL is released while files are read. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef __APPLE__
#define MODIFIED(status) ((status).st_mtimespec)
#else
#define MODIFIED(status) ((status).st_mtim)
#endif

/* What is known of file number i, and where its content belongs. */
struct table {
    const char **paths;
    const uint64_t *sizes, *inodes, *places;
    const int64_t *mtimes;
};

static int is_the_same(const struct stat *status, const struct table *files, Py_ssize_t i)
{
    int64_t mtime = (int64_t)MODIFIED(*status).tv_sec * 1000000000 + MODIFIED(*status).tv_nsec;
    return (uint64_t)status->st_size == files->sizes[i] && (uint64_t)status->st_ino == files->inodes[i]
        && mtime == files->mtimes[i];
}

/* Tell whether `size` bytes were there to be read. */
static int read_whole(int descriptor, uint8_t *out, size_t size)
{
    while (size > 0) {
        ssize_t count = read(descriptor, out, size);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return 0;
        out += count;
        size -= (size_t)count;
    }
    return 1;
}

static int read_file(const struct table *files, Py_ssize_t i, int flags, uint8_t *out)
{
    struct stat status;
    int descriptor = open(files->paths[i], flags), good;
    if (descriptor < 0)
        return 0;
    good = read_whole(descriptor, out + files->places[i], (size_t)files->sizes[i])
        && fstat(descriptor, &status) == 0 && is_the_same(&status, files, i);
    close(descriptor);
    return good;
}

static Py_ssize_t read_files(const struct table *files, Py_ssize_t count, int flags, uint8_t *out)
{
    Py_ssize_t done = 0;
    while (done < count && read_file(files, done, flags, out))
        done++;
    return done;
}

/* Whether the columns have `count` rows of eight bytes, and every file its place in the buffer. */
static int is_sound(const struct table *files, const Py_buffer *columns, Py_ssize_t count, Py_ssize_t room)
{
    for (int column = 0; column < 4; column++)
        if (columns[column].len != count * 8)
            return 0;
    for (Py_ssize_t i = 0; i < count; i++)
        if (files->places[i] > (uint64_t)room || files->sizes[i] > (uint64_t)room - files->places[i])
            return 0;
    return 1;
}

/* Point at the bytes of the paths, which `list` keeps alive. */
static const char **take_paths(PyObject *list, Py_ssize_t count)
{
    const char **paths = PyMem_Malloc(((size_t)count + 1) * sizeof *paths);
    if (paths == NULL)
        return (const char **)PyErr_NoMemory();
    for (Py_ssize_t i = 0; i < count; i++) {
        char *path;
        if (PyBytes_AsStringAndSize(PyTuple_GetItem(list, i), &path, NULL) < 0) {
            PyMem_Free(paths);
            return NULL;
        }
        paths[i] = path;
    }
    return paths;
}

static PyObject *pyread_files(PyObject *module, PyObject *args)
{
    (void)module;
    PyObject *paths, *done = NULL;
    Py_buffer columns[4], out; /* sizes, mtimes, inodes, places */
    struct table files;
    int flags;
    if (!PyArg_ParseTuple(args, "O!y*y*y*y*w*i:read_files", &PyTuple_Type, &paths, &columns[0], &columns[1],
                          &columns[2], &columns[3], &out, &flags))
        return NULL;
    Py_ssize_t count = PyTuple_Size(paths);
    files.sizes = columns[0].buf;
    files.mtimes = columns[1].buf;
    files.inodes = columns[2].buf;
    files.places = columns[3].buf;
    if (!is_sound(&files, columns, count, out.len))
        PyErr_SetString(PyExc_ValueError, "columns of another length, or a file without room");
    else if ((files.paths = take_paths(paths, count)) != NULL) {
        Py_ssize_t read_well;
        Py_BEGIN_ALLOW_THREADS
        read_well = read_files(&files, count, flags, out.buf);
        Py_END_ALLOW_THREADS
        PyMem_Free(files.paths);
        done = PyLong_FromSsize_t(read_well);
    }
    for (int column = 0; column < 4; column++)
        PyBuffer_Release(&columns[column]);
    PyBuffer_Release(&out);
    return done;
}

static PyMethodDef METHODS[] = {
    {"read_files", pyread_files, METH_VARARGS,
     "read_files(paths, sizes, mtimes, inodes, places, out, flags) -> int: how many were read before the first\n"
     "that could not be, or is another file. Columns have 8 bytes a row; *places* are offsets in *out*."},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot SLOTS[] = {{0, NULL}};

static struct PyModuleDef MODULE = {
    PyModuleDef_HEAD_INIT, "_files", "Small files, read many at a time.", 0, METHODS, SLOTS, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__files(void)
{
    return PyModuleDef_Init(&MODULE);
}
