"""Miners: which pairs or triplets of a batch the loss shall see. One strategy a file."""

from metric_lightning.miners.all_pairs import AllPairs, RandomNegativePairs
from metric_lightning.miners.base import Miner, PairMiner, TripletMiner
from metric_lightning.miners.batch_hard import BatchHard
from metric_lightning.miners.hard_negative_pairs import HardNegativePairs
from metric_lightning.miners.hardest_negative import HardestNegative
from metric_lightning.miners.random_hard_negative import RandomHardNegative
from metric_lightning.miners.semi_hard_negative import SemiHardNegative

__all__ = [
    "AllPairs",
    "BatchHard",
    "HardNegativePairs",
    "HardestNegative",
    "Miner",
    "PairMiner",
    "RandomHardNegative",
    "RandomNegativePairs",
    "SemiHardNegative",
    "TripletMiner",
]
