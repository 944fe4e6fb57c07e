"""Models: layers put together, trained, run and saved."""

from striate.models.model import Model
from striate.models.saving import load_model
from striate.models.sequential import Sequential

__all__ = ["Model", "Sequential", "load_model"]
