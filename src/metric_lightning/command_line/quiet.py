"""What other packages print and no user of the command line can mend."""

import logging
import warnings


def hush() -> None:
    """Leave out Lightning's tips for other products, and warnings of what is meant to be so."""
    warnings.filterwarnings("ignore", message=".*LeafSpec.*", category=FutureWarning)  # its own use of torch
    # Data without a validation part; a callback of ours says what that means.
    warnings.filterwarnings("ignore", message="Total length of `list` across ranks is zero")
    # A checkpoint names callbacks of its training; nothing of theirs is needed to evaluate.
    warnings.filterwarnings("ignore", message="Be aware that when using `ckpt_path`, callbacks")
    log = logging.getLogger("lightning.pytorch.utilities.rank_zero")
    if _is_no_tip not in log.filters:
        log.addFilter(_is_no_tip)


def _is_no_tip(record: logging.LogRecord) -> bool:
    return "Tip: For seamless cloud" not in record.getMessage()
