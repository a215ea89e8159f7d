"""The gradient of a held-out loss by numbers of the training loss, through the weights."""

from dataclasses import dataclass
from typing import Any

import torch

__all__ = ["Curvature", "Hypergradient", "hypergradient"]

#: A curvature below this part of the largest that was seen counts as none.
FLAT = 1e-6

#: The equation is solved where the residual is this part of the right-hand side.
SOLVED = 1e-6


@dataclass
class Hypergradient:
    """A gradient by the numbers of a training loss.

    Parameters
    ----------
    value : Tensor of shape (n_numbers,)
        The gradient, clipped.
    norm : float
        Its norm before it was clipped.
    n_products : int
        Products with the Hessian that it took.
    is_convex : bool
        Whether no direction of negative curvature was met, which would have ended the solution.
    """

    value: torch.Tensor
    norm: float
    n_products: int
    is_convex: bool


class Curvature:
    """The Hessian of a loss by weights, as a product with vectors.

    Parameters
    ----------
    loss : Tensor of shape ()
        The loss, with its graph.
    weights : list of Tensor
        The weights, as they are in the graph.
    damping : float or Tensor of shape (n_weights,)
        What is added to the diagonal: the weight decay of each weight, and a small number for
        directions in which the loss is flat.
    """

    def __init__(self, loss, weights, damping):
        self.weights, self.damping = weights, damping
        self.gradient = flat_gradient(loss, weights, create_graph=True)

    def product(self, vector):
        """Return the product of the damped Hessian and a vector of shape (n_weights,)."""
        bent = flat_gradient(self.gradient @ vector, self.weights, retain_graph=True)
        return bent + self.damping * vector

    def solve(self, vector, n_products):
        """Return the inverse times a vector, by conjugate gradients that are cut off.

        Each step is bounded by the curvature along it. Where that is not positive, no minimum lies
        in this direction, and the solution so far is returned: a sum of positive multiples of
        conjugate directions, never longer than the whole solution. If the first direction is one
        of these, a multiple of the vector is returned that is at most the vector itself.

        Parameters
        ----------
        vector : Tensor of shape (n_weights,)
            The right-hand side.
        n_products : int
            The largest number of products with the Hessian.

        Returns
        -------
        solution : Tensor of shape (n_weights,)
        n_used : int
            Products that were used.
        is_convex : bool
            Whether all curvatures were positive.
        """
        solution = torch.zeros_like(vector)
        residual = direction = vector
        square = first = float(residual @ residual)
        largest = 0.0
        for n_used in range(1, n_products + 1):
            if square <= SOLVED**2 * first:
                return solution, n_used - 1, True
            image = self.product(direction)
            length = float(direction @ direction)
            largest = max(largest, (float(image @ image) / length) ** 0.5)
            curvature = float(direction @ image)
            if not curvature > FLAT * largest * length:
                if n_used == 1:
                    solution = vector / max(1.0, largest)
                return solution, n_used, False
            step = square / curvature
            solution = solution + step * direction
            residual = residual - step * image
            before, square = square, float(residual @ residual)
            direction = residual + (square / before) * direction
        return solution, n_products, True


def hypergradient(
    train_loss, held_loss, weights, numbers, *, damping: Any = 0.0, n_products=10, max_norm=None
):
    r"""Return the gradient of a held-out loss by numbers of the training loss.

    The weights are taken as the minimum of the training loss for the present numbers, so that the
    implicit function theorem gives

    .. math:: \frac{dL_{held}}{d\alpha} = - \nabla_\theta L_{held}^T \, (H + D)^{-1} \,
       \frac{\partial^2 L_{train}}{\partial \theta \, \partial \alpha}

    with the Hessian H of the training loss and the damping D. The inverse is applied by conjugate
    gradients. The Neumann series of the reference [1]_, whose step is 1, diverges where the largest
    eigenvalue is above 2. A series whose step is bounded stays finite, but its first terms reach
    only the directions of the largest eigenvalues, and then even the sign may be wrong.

    Parameters
    ----------
    train_loss : Tensor of shape ()
        The training loss, with its graph to `weights` and `numbers`.
    held_loss : Tensor of shape ()
        The loss of held-out samples, with its graph to `weights`.
    weights : list of Tensor
        The weights of the network.
    numbers : Tensor of shape (n_numbers,)
        The numbers of the training loss.
    damping : float or Tensor of shape (n_weights,), default=0.0
        What is added to the diagonal of the Hessian; weight decay belongs here.
    n_products : int, default=10
        The largest number of products with the Hessian.
    max_norm : float, default=None
        The gradient is clipped at this norm; None: it is not clipped.

    Returns
    -------
    Hypergradient

    References
    ----------
    .. [1] Li et al., AutoBalance: Optimized Loss Functions for Imbalanced Data, NeurIPS 2021,
       arXiv:2201.01212.
    """
    held = flat_gradient(held_loss, weights)
    curvature = Curvature(train_loss, weights, damping)
    solution, n_used, is_convex = curvature.solve(held, n_products)
    (value,) = torch.autograd.grad(-(curvature.gradient @ solution), [numbers])
    norm = float(torch.linalg.vector_norm(value))
    if max_norm is not None and norm > max_norm:
        value = value * (max_norm / norm)
    return Hypergradient(value, norm, n_used, is_convex)


def flat_gradient(value, weights, **options):
    """Return the gradient of a value as one vector; zeros where it does not depend on a weight."""
    gradients = torch.autograd.grad(value, weights, materialize_grads=True, **options)
    return torch.cat([gradient.reshape(-1) for gradient in gradients])
