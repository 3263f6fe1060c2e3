"""The CPU backend: numba compiles the kernels, llvmlite loads them.

    codegen         a formula as readable Python source
    prelude         the float32 functions that the source uses
    build           source to object code (the only module that runs the compiler)
    machine         object code: cache, workers, loading, artefacts
    driver          scenes, planes and threads; driver_kernels is its compiled half
    outside         the proof that a mapper adds nothing outside an object
    backend         all of it together
"""

from fdif_dsl.compiler.backends.cpu.backend import CpuBackend

__all__ = ["CpuBackend"]
