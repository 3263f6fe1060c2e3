"""The CPU backend: numba compiles the kernels, llvmlite loads them.

    codegen         a formula as readable Python source
    prelude         the float32 functions that the source uses
    build           source to object code (the only module that runs the compiler)
    machine         what object code depends on, and how it is loaded
    driver          scenes, tiles and threads; driver_kernels is its compiled half
    objects         what is computed once an object; scalars are its kernels
    sampling        the compiled sampler
    backend         all of it together
"""

from fdif_dsl.compiler.backends.cpu.backend import CpuBackend

__all__ = ["CpuBackend"]
