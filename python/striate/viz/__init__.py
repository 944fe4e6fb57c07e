"""Pictures of training and of what a network has learned, with matplotlib (the extra "plot").

Every function returns a matplotlib Figure: a notebook shows it, `figure.savefig(path)` keeps it.
Nothing here touches pyplot, so no window opens and no global setting changes.
"""

from striate.viz.augmented import plot_augmented
from striate.viz.confusion import plot_confusion_matrix
from striate.viz.equivariance import plot_equivariance
from striate.viz.feature_maps import feature_maps, plot_feature_maps
from striate.viz.history import plot_history
from striate.viz.kernels import plot_kernels
from striate.viz.misclassified import plot_misclassified
from striate.viz.profile import plot_profile

__all__ = [
    "feature_maps",
    "plot_augmented",
    "plot_confusion_matrix",
    "plot_equivariance",
    "plot_feature_maps",
    "plot_history",
    "plot_kernels",
    "plot_misclassified",
    "plot_profile",
]
