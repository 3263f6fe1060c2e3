"""What `benchmarks/primgeoseg.py` measures, on a volume that can be counted by hand."""

import numpy as np
from primgeoseg import Sample, measured, theirs


def test_kept_volumes_come_with_z_first_and_with_the_classes_that_were_placed(tmp_path):
    image = np.zeros((4, 5, 6), np.uint8)
    image[1, 2, 3] = 128
    np.savez(tmp_path / "0.npz", image=image, label=image // 16, placed=[[70, 1, 8], [50, 0, 3], [9, 1, 32]])
    (sample,) = theirs(tmp_path, 1)
    assert sample.image.shape == (6, 4, 5) and sample.image[3, 1, 2] == 128 and sample.label[3, 1, 2] == 8
    assert sample.sizes.tolist() == [70, 50, 9] and sample.classes.tolist() == [8, 32]


def test_what_is_measured():
    image, label = np.zeros((1, 2, 10), np.uint8), np.zeros((1, 2, 10), np.uint8)
    image[0, 0, 0:3] = image[0, 0, 5:6] = image[0, 1, 8:10] = 128
    label[0, 0, 0:4], label[0, 1, 9] = 5, 32
    found = measured(Sample(image, label, np.array([4, 3]), np.array([5, 32])))
    assert found["bright run along x (voxels)"] == 2
    assert found["bright share (%)"] == 30 and found["labelled share (%)"] == 25
    assert found["classes seen in a volume"] == 2 and found["voxels of a class in a volume"].tolist() == [4, 1]
    assert found["objects of a volume"] == 2 and found["voxels of an object"].tolist() == [4, 3]
