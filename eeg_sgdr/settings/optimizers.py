"""Settings of the optimizers that an arm may name."""

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field, SerializeAsAny

from eeg_sgdr.settings.types import Model, Number, of_kind

if TYPE_CHECKING:
    from eeg_sgdr.settings.training import Training


class OptimizerSettings(Model):
    """How an arm's fits are updated; every kind is a subclass, which needs a ``kind``.

    `eeg_sgdr.training.optimizers` makes the optimizer of each kind.
    """

    #: References cited by `describe`.
    references: ClassVar[tuple[str, ...]] = ()

    if TYPE_CHECKING:  # a field of each kind

        @property
        def kind(self) -> str: ...  # noqa: D102

    def completed(self, training: "Training") -> "OptimizerSettings":
        """The same, with what it takes from the section ``training`` where it does not say so itself."""
        return self

    def describe(self) -> str:
        """Name and parameters in the methods, as in "Adam with betas of 0.9 and 0.999"."""
        raise NotImplementedError


class SGDSettings(OptimizerSettings):
    """SGD with classical momentum; what is not named is as in ``training``.

    Attributes
    ----------
    momentum : float, optional
        Classical momentum, not Nesterov's.
    momentum_form : "torch" or "paper", optional
        Whether the rate multiplies the velocity (torch) or the gradient inside it (paper).
    weight_decay : float, optional
        Added to all gradients, as torch's SGD does.
    """

    kind: Literal["sgd"]
    momentum: Annotated[Number, Field(ge=0, lt=1)] | None = None
    momentum_form: Literal["torch", "paper"] | None = None
    weight_decay: Annotated[Number, Field(ge=0, le=1000)] | None = None

    def completed(self, training: "Training") -> "SGDSettings":
        """See `OptimizerSettings.completed`."""
        missing = [
            name for name in ("momentum", "momentum_form", "weight_decay") if getattr(self, name) is None
        ]
        return self.model_copy(update={name: getattr(training, name) for name in missing})

    def describe(self) -> str:
        """See `OptimizerSettings.describe`."""
        form = ", the rate inside the velocity," if self.momentum_form == "paper" else ""
        return (
            f"stochastic gradient descent with momentum {self.momentum:g}{form} and weight decay "
            f"{self.weight_decay:g}"
        )


class AdamWSettings(OptimizerSettings):
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019); its moments survive restarts.

    Attributes
    ----------
    betas : list of two floats
        Decay of the means of gradients and of their squares.
    eps : float
        Added to the root of the mean square.
    weight_decay : float
        What the weights decay by, independent of their gradients.
    decay : "torch" or "normalized"
        Whether an update multiplies the weights by 1 - rate * weight_decay (torch), or by
        1 - rate / initial rate * weight_decay * sqrt(1 / (U * T)), with U updates an epoch, and T the epochs
        of the cycle or, without restarts, of the budget (normalized).
    """

    references: ClassVar[tuple[str, ...]] = (
        "Loshchilov, I., & Hutter, F. (2019). Decoupled weight decay regularization. ICLR.",
    )

    kind: Literal["adamw"]
    betas: tuple[Annotated[Number, Field(ge=0, lt=1)], Annotated[Number, Field(ge=0, lt=1)]] = (0.9, 0.999)
    eps: Annotated[Number, Field(ge=1e-30, le=1)] = 1e-8
    weight_decay: Annotated[Number, Field(ge=0, le=100)] = 0.0
    decay: Literal["torch", "normalized"] = "torch"

    def describe(self) -> str:
        """See `OptimizerSettings.describe`."""
        normalized = "normalized " if self.decay == "normalized" else ""
        return (
            f"AdamW (Loshchilov and Hutter, 2019) with betas of {self.betas[0]:g} and {self.betas[1]:g}, an "
            f"epsilon of {self.eps:g} and a {normalized}weight decay of {self.weight_decay:g}"
        )


AnyOptimizer = Annotated[SerializeAsAny[OptimizerSettings], of_kind(OptimizerSettings, "kind")]
