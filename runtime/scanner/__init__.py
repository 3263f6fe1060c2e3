"""From composed volumes to images as scanners give them: grey levels, blur, thick slices, bias, noise.

    draws       what happens to a volume, drawn from (seed, index)
    fields      smooth random fields: texture and bias
    profiles    blur and thick slices: a matrix along each axis
    compiled    the steps on the CPU
    tensors     the same in torch, for batches on any device
    scan        a scene to a volume, with all this
"""
