"""What a network is shown of a frame, and how inputs are fitted."""

import numpy as np
import pytest

from napari_menndl.annotation.fourier import FourierSettings, fourier_response
from napari_menndl.errors import InputError
from napari_menndl.genome.founders import blobs, dilated_fcn, fourier
from napari_menndl.genome.genes import Blob, Conv, FilterBank, FourierInput, FrameInput, GenomeError, TrainingGenes
from napari_menndl.genome.genome import Genome
from napari_menndl.metrics.detection import MatchRule
from napari_menndl.movie.normalisation import normalise
from napari_menndl.network.filters import MirroredSpectrum, blob_response, filter_bank
from napari_menndl.network.inputs import channels, fit_inputs

GENES = TrainingGenes(normalisation="flattened", radius=9.0)
DETECTORS = (MatchRule(3.0), MatchRule(4.0), MatchRule(3.0))


def dots(size=96):
    """A raw frame of dark dots of 1.5 px and bright ones of 3 px, and their labels: class 0, class 1; none of a third.

    Returns
    -------
    frame : (1, Y, X) float32
    labels : (1, Y, X) uint8
    """
    y, x = np.mgrid[:size, :size]
    frame, labels = np.random.default_rng(0).normal(0, 0.3, (size, size)), np.zeros((size, size), np.uint8)
    for row in range(8, size, 16):
        for i, column in enumerate(range(8, size, 16)):
            squared = (y - row) ** 2 + (x - column) ** 2
            width = (1.5, 3.0)[i % 2]
            frame += (-3, 3)[i % 2] * np.exp(-squared / (2 * width**2))
            labels[squared < (1.5 * width) ** 2] = 1 + i % 2
    return (100 + 10 * frame[None]).astype(np.float32), labels[None]


def test_channels_stand_in_the_order_of_the_inputs():
    frame = dots()[0][0]
    inputs = (FrameInput(), Blob(2.0, "dark"), FilterBank(scales=2), Blob(2.0, "bright", "local", 12.0), FourierInput())
    found = channels(frame, Genome((), training=GENES, inputs=inputs), 2)
    shown, own = normalise(frame, "flattened", 9.0), normalise(frame, "local", 12.0)
    assert found.dtype == np.float32
    assert np.array_equal(found[0], shown)
    assert np.array_equal(found[1], blob_response(MirroredSpectrum(shown), 2.0, "dark"))
    assert np.array_equal(found[2:11], filter_bank(shown, (1.0, 8.0)))
    assert np.array_equal(found[11], blob_response(MirroredSpectrum(own), 2.0, "bright"))
    assert np.array_equal(found[12], fourier_response(frame, FourierSettings()).clip(-30, 30))
    assert len(found) == 13


def test_the_same_frame_gives_the_same_and_another_one_gives_another():
    frame, genome = dots()[0][0], Genome((), inputs=(FilterBank(scales=2),))
    first = channels(frame, genome, 1).copy()
    other = channels(frame[::-1], genome, 1).copy()
    assert np.array_equal(channels(frame.copy(), genome, 1), first)
    assert not np.array_equal(other, first)
    local = Genome((), training=GENES, inputs=genome.inputs)
    assert not np.array_equal(channels(frame, local, 1), first)


def test_an_input_has_to_be_fitted_before_it_is_shown():
    with pytest.raises(GenomeError, match="fitted"):
        channels(dots()[0][0], blobs(), 2)


def test_a_frame_without_contrast_is_refused_as_ever():
    with pytest.raises(InputError, match="constant"):
        channels(np.ones((8, 8), np.float32), Genome((), inputs=(FilterBank(),)), 1)


def test_a_genome_without_such_inputs_stays_itself():
    frames, labels = dots()
    genome = dilated_fcn()
    found = fit_inputs(genome, frames, labels, np.ones(labels.shape, bool), DETECTORS, np.random.default_rng(0))
    assert found is genome


def test_blobs_are_fitted_to_each_class_and_a_class_without_defects_keeps_the_defaults():
    frames, labels = dots()
    known = np.ones(labels.shape, bool)
    dark, bright, none = fit_inputs(blobs(), frames, labels, known, DETECTORS, np.random.default_rng(0)).inputs
    assert (dark.sign, bright.sign) == ("dark", "bright")
    assert not dark.fitted
    assert none == Blob()


def test_fourier_filters_are_fitted_to_each_class():
    frames, labels = dots()
    known = np.ones(labels.shape, bool)
    dark, bright, none = fit_inputs(fourier(), frames, labels, known, DETECTORS, np.random.default_rng(0)).inputs
    assert dark != bright
    assert none == FourierInput()


def test_of_a_large_frame_the_part_with_the_defects_is_what_inputs_are_fitted_on():
    frames = np.random.default_rng(1).normal(100, 3, (1, 700, 600)).astype(np.float32)
    labels = np.zeros(frames.shape, np.uint8)
    frames[:, 540:636, 440:536], labels[:, 540:636, 440:536] = dots()
    known = np.ones(labels.shape, bool)
    fitted = fit_inputs(blobs(), frames, labels, known, DETECTORS, np.random.default_rng(0))
    frames[:, :100, :20] *= 50
    assert fit_inputs(blobs(), frames, labels, known, DETECTORS, np.random.default_rng(0)) == fitted
    frames[:, 540:636, 440:536] = frames[:, 540:636, 440:536].mean()
    assert fit_inputs(blobs(), frames, labels, known, DETECTORS, np.random.default_rng(0)) != fitted


@pytest.mark.parametrize("make", [blobs, fourier])
def test_labels_outside_the_training_pixels_have_no_say(make):
    frames, labels = dots()
    train = np.zeros(labels.shape, bool)
    train[:, :60, 10:] = True
    scrambled = np.where(train, labels, np.random.default_rng(1).integers(0, 4, labels.shape)).astype(np.uint8)
    one, other = (
        fit_inputs(make(), frames, given, train, DETECTORS, np.random.default_rng(0)) for given in (labels, scrambled)
    )
    assert one == other


def test_an_average_is_made_before_the_frame_is_normalised():
    planes = np.random.default_rng(0).normal(100, 10, (5, 64, 64)).astype(np.float32)
    inputs = (FrameInput(), FrameInput(reach=1), FilterBank(scales=2, reach=2))
    found = channels(planes, Genome((), training=GENES, inputs=inputs), 1)
    assert np.array_equal(found[0], normalise(planes[0], "flattened", 9.0))
    assert np.array_equal(found[1], normalise(planes[[0, 2, 3]].mean(axis=0), "flattened", 9.0))
    assert np.array_equal(found[2:], filter_bank(normalise(planes.mean(axis=0), "flattened", 9.0), (1.0, 8.0)))


def test_a_frame_alone_is_its_own_average():
    frame = dots()[0][0]
    one, other = channels(frame, Genome((Conv(4),), training=GENES, inputs=(FrameInput(), FrameInput(reach=2))), 1)
    assert np.array_equal(one, other)
