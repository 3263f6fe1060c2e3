"""The phantom of `benchmarks/make_phantom.py`: complete, repeatable, with thick slices and mixed voxels."""

import json
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest
from click.testing import CliRunner
from make_phantom import main
from phantom.anatomy import EXTENT, LABELS, TISSUES, Body
from phantom.dataset import write_phantom
from phantom.fields import smooth_field
from phantom.imaging import CT_WINDOW, make_case

VOXEL = 8.0


@pytest.fixture(scope="module")
def cases():
    return [make_case(5, index, VOXEL) for index in range(4)]


def test_all_organs_are_there(cases):
    for case in cases:
        assert set(np.unique(case.label)) == set(LABELS.values()), case.modality


def test_organs_lie_where_they_belong(cases):
    """x grows to the right of the patient: the liver is there, and the spleen at the left."""
    for case in cases:
        right, middle = ({name: np.argwhere(case.label == LABELS[name])[:, axis].mean()
                          for name in ("liver", "spleen", "kidney")} for axis in (0, 2))
        assert right["liver"] > right["kidney"] > right["spleen"]
        assert middle["liver"] > middle["kidney"]


def test_a_seed_says_what_a_case_is(cases):
    again, other = make_case(5, 1, VOXEL), make_case(6, 1, VOXEL)
    assert np.array_equal(again.image, cases[1].image) and np.array_equal(again.label, cases[1].label)
    assert again.image.shape != other.image.shape or not np.array_equal(again.label, other.label)


def test_slices_are_thick_and_cover_the_field_of_view(cases):
    for case in cases:
        assert case.spacing[2] == pytest.approx(1.5 * case.spacing[0])
        assert np.array(case.image.shape) * case.spacing == pytest.approx(EXTENT, rel=0.04)
        assert case.image.shape == case.label.shape


def test_contrasts_differ(cases):
    ct, mr = cases[0], cases[1]
    assert (ct.modality, mr.modality) == ("CT", "MR")
    assert ct.image.min() >= CT_WINDOW[0] and ct.image.max() <= CT_WINDOW[1]
    assert mr.image.min() >= 0
    for case, sign in ((ct, 1), (mr, -1)):
        vessel, liver = (np.median(case.image[case.label == LABELS[name]]) for name in ("vessel", "liver"))
        assert sign * (vessel - liver) > 0, case.modality


def test_noise_of_a_magnitude_is_never_centred_on_nothing(cases):
    """Rician noise: where there is no signal its mean is sqrt(pi / 2) of the deviation of each part, and its
    standard deviation sqrt(2 - pi / 2) of it."""
    air = cases[1].image[:2, :2].ravel()
    assert air.mean() / air.std() == pytest.approx(np.sqrt(np.pi / 2) / np.sqrt(2 - np.pi / 2), rel=0.2)


def test_voxels_at_a_surface_are_mixtures():
    """A voxel of the image is the mean of the fine ones in it, its label that of the most."""
    from phantom.imaging import _average, _label

    body = Body((24, 20, 24), 10.0, np.random.default_rng(3))
    part = _average(body.of("liver").astype(float))
    assert ((part > 0) & (part < 1)).sum() > 20
    label = _label(body)
    assert (label[part > 0.5] == LABELS["liver"]).all()
    assert (label[part == 0] != LABELS["liver"]).all()


def test_bones_and_bowel_have_no_label():
    from phantom.imaging import _label

    body = Body((48, 40, 36), 6.0, np.random.default_rng(1))
    assert {TISSUES[k] for k in np.unique(body.tissue)} == set(TISSUES)
    assert set(np.unique(_label(body))) <= set(LABELS.values())


def test_smooth_fields_change_over_their_scale():
    field = smooth_field((60, 60, 60), 2.0, 20.0, np.random.default_rng(0))

    def alike(voxels):
        return np.corrcoef(field[voxels:].ravel(), field[:-voxels].ravel())[0, 1]

    assert abs(field.mean()) < 0.3 and field.std() == pytest.approx(1, abs=0.1)
    assert alike(1) > 0.95 and abs(alike(20)) < 0.25


def test_files_are_a_data_set(tmp_path):
    path = write_phantom(tmp_path, 2, 1, VOXEL, seed=5)
    table = json.loads(path.read_text())
    assert (len(table["training"]), len(table["validation"])) == (2, 1)
    entry = table["training"][1]
    image, label = (nibabel.load(tmp_path / entry[key]) for key in ("image", "label"))
    case = make_case(5, 1, VOXEL)
    assert np.array_equal(image.get_fdata(), case.image) and np.array_equal(label.get_fdata(), case.label)
    assert nibabel.aff2axcodes(image.affine) == ("R", "A", "S")
    assert image.header.get_zooms() == pytest.approx(case.spacing)
    assert np.array_equal(image.affine, label.affine)
    before = path.stat().st_mtime_ns
    assert write_phantom(tmp_path, 2, 1, VOXEL, seed=5) == path and path.stat().st_mtime_ns == before
    with pytest.raises(FileExistsError, match="another phantom"):
        write_phantom(tmp_path, 2, 1, VOXEL, seed=6)


def test_the_script_leaves_a_picture(tmp_path):
    small = ["--training", "2", "--validation", "1", "--voxel", "12"]
    result = CliRunner().invoke(main, [*small, "-o", str(tmp_path / "p")])
    assert result.exit_code == 0 and "2 cases to train on and 1 held out" in result.output
    assert (tmp_path / "p" / "phantom.png").stat().st_size > 10_000
    again = CliRunner().invoke(main, ["--training", "3", "-o", str(tmp_path / "p")])
    assert again.exit_code and "another phantom" in again.output


def test_it_shares_no_code_with_the_generator():
    """Only numpy, scipy and nibabel make it."""
    code = "import sys, phantom.dataset; print([m for m in sys.modules if m.startswith(('fdif', 'torch', 'numba'))])"
    folder = Path(__file__).parents[2] / "benchmarks"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=folder,
                          env={"PYTHONPATH": str(folder)})
    assert done.stdout.strip() == "[]"
