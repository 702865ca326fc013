"""The one thing pyproject.toml cannot say: a C extension that may fail to build.

Without it fpin works the same, only slower; a warning tells so.
"""

from setuptools import Extension, setup

setup(
    ext_modules=[
        Extension(
            "fpin.piece._native",
            sources=["fpin/piece/_native.c"],
            depends=[
                f"fpin/piece/_{part}.h" for part in ("sha256", "lanes", "interleaved", "mixed", "x86", "arm")
            ],
            define_macros=[("Py_LIMITED_API", "0x030B0000")],
            extra_compile_args=["-O3", "-std=c11", "-Wno-psabi"],
            optional=True,
            py_limited_api=True,
        )
    ],
    # One wheel for every Python from 3.11 on.
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
