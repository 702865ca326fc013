from array import array

def read_files(
    paths: tuple[bytes, ...],
    sizes: array[int],
    mtimes: array[int],
    inodes: array[int],
    places: array[int],
    out: memoryview,
    flags: int,
    /,
) -> int: ...
