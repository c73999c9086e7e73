"""Networks with random weights, so that prediction takes no time."""

import torch

from napari_menndl.genome.genes import Conv, Layer, Pool, TrainingGenes, Upsample
from napari_menndl.genome.genome import Genome
from napari_menndl.genome.plan import make_plan
from napari_menndl.metrics.detection import MatchRule
from napari_menndl.network.module import Network
from napari_menndl.predict.ensemble import Ensemble
from napari_menndl.predict.trained import TrainedNetwork

NM = (0.02, 0.02)


LAYERS = (Conv(filters=6), Pool(), Conv(filters=6, dilation=2), Upsample(), Conv(filters=4))


def make_network(
    seed: int = 0, pixel_size: tuple[float, float] | None = NM, layers: tuple[Layer, ...] = LAYERS, **genes: object
) -> TrainedNetwork:
    genome = Genome(layers, (), TrainingGenes(**{"normalisation": "local", "radius": 8.0} | genes))  # type: ignore[arg-type]
    network = Network(make_plan(genome, 2), seed)
    with torch.no_grad():
        network.steps["head_conv"].weight.mul_(30)
    match_rules = (MatchRule(3.0), MatchRule(5.0, extended=True, min_area=6))
    return TrainedNetwork(
        genome, network.state_dict(), ("vacancy", "hole"), (0.3, 0.5), match_rules, pixel_size, (96, 96)
    )


def make_network_of_many_classes(count: int) -> TrainedNetwork:
    genome = Genome((Conv(filters=2),), (), TrainingGenes())
    weights = Network(make_plan(genome, count)).state_dict()
    names = tuple(f"class {c}" for c in range(count))
    return TrainedNetwork(genome, weights, names, (0.5,) * count, (MatchRule(3.0),) * count, NM)


def make_ensemble(pixel_size: tuple[float, float] | None = NM) -> Ensemble:
    return Ensemble((make_network(0, pixel_size), make_network(1, pixel_size)), (0.2, 0.4))
