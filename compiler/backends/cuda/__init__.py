"""The CUDA backend: numba-cuda compiles the kernels, without a GPU if need be, and the driver runs them.

    text            a formula as readable Python source
    words           the float32 functions that the source uses; words64 the float64 ones
    scene_kernels   the kernels, made with those functions
    build           source to PTX and machine code (the only module that runs the compiler)
    target, stored  a kind of GPU; what an artefact holds for it
    kernels         which kernels a library has
    batch           the objects of several scenes as arrays
    pipeline        which kernels run on what, in which order
    memory          what a device has to offer; gpu is one, simulated the other
    backend         all of it together
"""

from fdif_dsl.compiler.backends.cuda.backend import CudaBackend

__all__ = ["CudaBackend"]
