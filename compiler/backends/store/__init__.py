"""Compiled kernels: made once, in processes side by side, and kept, for whatever target.

    unit        one function to compile
    target      what kernels are compiled for, and how
    cache       the user's cache folder
    workers     compiling many; worker is the program that they run
    store       from units to code: from the cache, from an artefact, or compiled
    objects     a file of code, with a checksum
"""
