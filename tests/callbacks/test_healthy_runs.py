"""Of healthy trainings nothing is named: ten seeds on real digits, with all that diagnoses by default."""

import pytest
import torch

from metric_lightning.callbacks import CollapseDiagnosis, DataCheck, MislabelledCandidates
from metric_lightning.data import BalancedBatches, Digits
from metric_lightning.losses import NormalizedSoftmaxLoss, TripletMarginLoss
from metric_lightning.miners import SemiHardNegative
from metric_lightning.modules import EmbeddingModule
from metric_lightning.networks import EmbeddingNet
from tests.callbacks.small import trainer


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_nothing_is_named(tmp_path, caplog, seed):
    torch.manual_seed(seed)
    if seed % 2:
        loss, network = NormalizedSoftmaxLoss(), EmbeddingNet(embedding_dim=16, padding=2)
    else:
        loss, network = TripletMarginLoss(1.0, miner=SemiHardNegative()), EmbeddingNet(embedding_dim=16, padding=2)
    diagnosis, check, labels = CollapseDiagnosis(), DataCheck(), MislabelledCandidates()
    data = Digits(batches=BalancedBatches(n_classes=10, n_samples=8), seed=seed)
    model = EmbeddingModule(network, loss, lambda parameters: torch.optim.Adam(parameters, lr=1e-3))
    trainer(tmp_path, [diagnosis, check, labels], max_epochs=5).fit(model, datamodule=data)
    assert diagnosis.named == {} and check.named == {}
    assert not [record for record in caplog.records if "mislabelled" in record.message]
