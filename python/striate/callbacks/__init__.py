"""Callbacks, under Keras's names."""

from striate.callbacks.backup_and_restore import BackupAndRestore
from striate.callbacks.callback import Callback, CallbackList
from striate.callbacks.csv_logger import CSVLogger
from striate.callbacks.early_stopping import EarlyStopping
from striate.callbacks.history import History
from striate.callbacks.lambda_callback import LambdaCallback
from striate.callbacks.learning_rate import LearningRateScheduler, ReduceLROnPlateau
from striate.callbacks.model_checkpoint import ModelCheckpoint
from striate.callbacks.progress_bar import ProgressBar
from striate.callbacks.swap_ema_weights import SwapEMAWeights
from striate.callbacks.terminate_on_nan import TerminateOnNaN

__all__ = [
    "BackupAndRestore",
    "CSVLogger",
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "ProgressBar",
    "ReduceLROnPlateau",
    "SwapEMAWeights",
    "TerminateOnNaN",
]
