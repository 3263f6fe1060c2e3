"""Baking: from masks and meshes to the samples of a field.

    masks       NIfTI files
    surface     the surface of a mask, as a mesh
    meshes      STL, OBJ and PLY files
    distance    a mesh as a signed distance on a grid
    sources     the files that a text names, and what is known of them before they are baked
    bake        all of a field's samples, baked once and kept
    stored      a baked field as a file
"""
