"""The one thing pyproject.toml cannot say: C extensions that may fail to build.

Without them fpin works the same, only slower; a warning tells so.
"""

from setuptools import Extension, setup

STABLE_ABI = {"define_macros": [("Py_LIMITED_API", "0x030B0000")], "optional": True, "py_limited_api": True}

setup(
    ext_modules=[
        Extension(
            "fpin.piece._native",
            sources=["fpin/piece/_native.c"],
            depends=[
                f"fpin/piece/_{part}.h" for part in ("sha256", "lanes", "interleaved", "mixed", "x86", "arm")
            ],
            extra_compile_args=["-O3", "-std=c11", "-Wno-psabi"],
            **STABLE_ABI,
        ),
        Extension("fpin.pack._files", sources=["fpin/pack/_files.c"], **STABLE_ABI),
    ],
    # One wheel for every Python from 3.11 on.
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
