"""Which names somebody may have meant, as `kalla_core.recipe.nearest` finds them."""

from kalla_core.recipe.nearest import nearest, suggestion

__all__ = ["nearest", "suggestion"]
