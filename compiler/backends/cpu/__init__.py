"""The CPU backend: numba compiles the kernels, llvmlite loads them.

    codegen         a formula as readable Python source
    prelude         the float32 functions that the source uses
    build           source to object code (the only module that runs the compiler)
    level           what a processor can do
    target          what object code depends on
    loader          object code into memory
    driver          scenes, tiles and threads; driver_kernels is its compiled half
    prepared        the kernels of a formula; textures is what displacements and mappers are on a grid
    objects         what is computed once an object; scalars are its kernels
    sampling        the compiled sampler
    scanner         the compiled scanner
    backend         all of it together
"""

from fdif_dsl.compiler.backends.cpu.backend import CpuBackend

__all__ = ["CpuBackend"]
