"""No checkpoint is written while gradients are gathered: a run that goes on from one would lose them."""

import pytest
from lightning.pytorch import Trainer

from metric_lightning.callbacks import BestCheckpoint
from metric_lightning.data import BalancedBatches
from metric_lightning.errors import UserError
from metric_lightning.losses import TripletMarginLoss
from metric_lightning.modules import EmbeddingModule
from tests.distributed.small_run import SmallData, SmallNet


@pytest.mark.filterwarnings("ignore::UserWarning:lightning.*", "ignore::DeprecationWarning")
@pytest.mark.parametrize(("every", "fits"), [(3, False), (2, True), (1.0, True)])
def test_validation_comes_between_steps_or_is_refused(tmp_path, every, fits):
    trainer = Trainer(
        default_root_dir=tmp_path,
        accelerator="cpu",
        logger=False,
        callbacks=[BestCheckpoint()],
        max_epochs=1,
        limit_train_batches=4,
        accumulate_grad_batches=2,
        val_check_interval=every,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )
    module = EmbeddingModule(SmallNet(), TripletMarginLoss())
    data = SmallData(BalancedBatches(n_classes=2, n_samples=2))
    if fits:
        trainer.fit(module, data)
        assert trainer.global_step == 2
    else:
        with pytest.raises(UserError, match="every 3 batches, but gradients are gathered over 2"):
            trainer.fit(module, data)
