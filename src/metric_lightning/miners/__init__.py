"""Miners: which pairs or triplets of a batch the loss shall see. One strategy a file."""

from metric_lightning.miners.all_pairs import AllPairs, RandomNegativePairs
from metric_lightning.miners.angular import Angular
from metric_lightning.miners.base import MarginMiner, Miner, PairMiner, TripletMiner
from metric_lightning.miners.batch_easy_hard import BatchEasyHard
from metric_lightning.miners.batch_hard import BatchHard
from metric_lightning.miners.distance_weighted import DistanceWeighted
from metric_lightning.miners.hard_negative_pairs import HardNegativePairs
from metric_lightning.miners.hardest_negative import HardestNegative
from metric_lightning.miners.multi_similarity import MultiSimilarity
from metric_lightning.miners.pair_margin import PairMargin
from metric_lightning.miners.random_hard_negative import RandomHardNegative
from metric_lightning.miners.semi_hard_negative import SemiHardNegative
from metric_lightning.miners.triplet_margin import TripletMargin
from metric_lightning.miners.uniform_histogram import UniformHistogram

__all__ = [
    "AllPairs",
    "Angular",
    "BatchEasyHard",
    "BatchHard",
    "DistanceWeighted",
    "HardNegativePairs",
    "HardestNegative",
    "MarginMiner",
    "Miner",
    "MultiSimilarity",
    "PairMargin",
    "PairMiner",
    "RandomHardNegative",
    "RandomNegativePairs",
    "SemiHardNegative",
    "TripletMargin",
    "TripletMiner",
    "UniformHistogram",
]
