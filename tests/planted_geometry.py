"""Faults planted in the room geometry, each with the property that it must break.

A case puts a wrong function, method or number in the place of one; a property says whether it
still holds.
"""

import math

import torch
from torch.nn.functional import normalize

from dgm.geometry import geodesic as curves
from dgm.geometry import rotation, von_mises_fisher
from dgm.geometry.pullback import PullbackMetric
from dgm.geometry.rotation import WrappedRotation
from dgm.geometry.von_mises_fisher import VonMisesFisher, angle_law

vmf = von_mises_fisher


def one_law(m=4, kappa=3.0, n=1):
    mean = torch.zeros(n, 1, m)
    mean[..., 0] = 1
    return VonMisesFisher(mean, torch.full((n, 1), kappa))


# --- the properties -------------------------------------------------------------------------------


def gradient_is_exact():
    """d/dkappa of the mean cosine through the draws is A'(kappa)."""
    torch.manual_seed(0)
    kappa = torch.full((60_000, 1), 5.0, requires_grad=True)
    mean = torch.zeros(60_000, 1, 6)
    mean[..., 0] = 1
    along = VonMisesFisher(mean, kappa).rsample()[..., 0]
    (found,) = torch.autograd.grad(along.sum(), kappa)
    a = 1 - angle_law(torch.tensor(5.0), 6)[1]
    truth = 1 - a**2 - 5 * a / 5.0
    return abs(found.mean() - truth) < 5 * found.std() / 60_000**0.5 + 1e-9


def kl_is_known():
    return abs(one_law(10, 20.0).kl().item() - 4.76210) < 1e-4


def e1_goes_to_the_mean():
    mean = normalize(torch.randn(20, 1, 5, generator=torch.Generator().manual_seed(0)), dim=-1)
    first = torch.zeros(20, 1, 5)
    first[..., 0] = 1
    moved = vmf.reflect_onto(mean, first)
    other = vmf.reflect_onto(mean, mean)
    return (moved - mean).abs().max() < 1e-9 and (other.norm(dim=-1) - 1).abs().max() < 1e-9


def draws_are_on_the_sphere():
    torch.manual_seed(0)
    mean = normalize(torch.randn(100, 1, 5), dim=-1)
    z = VonMisesFisher(mean, torch.full((100, 1), 2.0)).rsample()
    return (z.norm(dim=-1) - 1).abs().max() < 1e-9


def draws_have_their_mean():
    torch.manual_seed(0)
    along = one_law(6, 4.0).rsample((20_000,))[:, 0, 0, 0]
    truth = 1 - angle_law(torch.tensor(4.0), 6)[1]
    return abs(along.mean() - truth) < 5 * along.std() / 20_000**0.5


def haar_mass(stddev):
    t = (torch.arange(2000) + 0.5) / 2000 * math.pi
    r = rotation.rotation_exp(t[:, None] * torch.tensor([1.0, 0, 0]))
    q = WrappedRotation(torch.eye(3)[None], torch.full((1, 3), stddev))
    weight = (2 - 2 * t.cos()) * 4 * math.pi * math.pi / 2000
    return (weight * q.log_prob(r[:, None])[:, 0].exp()).sum()


def density_of_rotations_has_mass_one():
    return abs(haar_mass(1.5) - 1) < 1e-3 and abs(haar_mass(0.3) - 1) < 1e-3


def exp_is_the_matrix_exponential():
    v = torch.tensor([[0.0, 0.0, 0.0], [1e-9, 2e-9, 0.0], [1e-4, 0.0, 1e-4], [1.0, -2.0, 0.5]])
    right = torch.matrix_exp(rotation.hat(v))
    return (rotation.rotation_exp(v) - right).abs().max() < 1e-12


def log_undoes_exp():
    axis = torch.tensor([[0.6, 0.0, -0.8]])
    v = axis * torch.tensor([[1e-8], [1.0], [math.pi - 1e-7]])
    return (rotation.rotation_log(rotation.rotation_exp(v)) - v).abs().max() < 1e-9


W = torch.tensor([[1.0, 2.0], [0.0, 1.0], [3.0, -1.0]], dtype=torch.float64)


def metric_is_w_transposed_w():
    found = PullbackMetric(lambda z: z @ W.T).matrix(torch.zeros(1, 2))
    return found.shape == (1, 2, 2) and (found[0] - W.T @ W).abs().max() < 1e-9


def energy_bounds_the_length():
    metric = PullbackMetric(lambda z: z @ W.T)
    line = curves.straight_line(torch.zeros(2), torch.ones(2), 9)
    size = (W @ torch.ones(2)).norm()
    energy = curves.curve_energy(metric, line)
    length = curves.curve_length(metric, line)
    return abs(2 * energy - size**2) < 1e-6 and abs(length - size) < 1e-6


# --- the faults -----------------------------------------------------------------------------------


def proposal_only(angle, kappa, m):
    """The slope of Wood's proposal, without the correction for what is rejected."""
    n = m - 1
    root = torch.hypot(2 * kappa, kappa.new_tensor(float(n)))
    return -angle.sin() / root  # d log sqrt(b) / dkappa = -1 / root


def slope_of_the_wrong_sign(angle, kappa, m, right=vmf.angle_slope):
    return -right(angle, kappa, m)


def area_of_one_dimension_less(self):
    half = (self.m - 1) / 2
    log_area = math.log(2) + half * math.log(math.pi) - math.lgamma(half)
    return log_area - self.entropy()


def reflection_onto_the_sum(mean, z):
    first = torch.zeros_like(mean)
    first[..., 0] = 1
    u = normalize(first + mean, dim=-1)
    return z - 2 * u * (u * z).sum(-1, keepdim=True)


def reflection_with_a_damped_norm(mean, z):
    first = torch.zeros_like(mean)
    first[..., 0] = 1
    u = (first - mean) / ((first - mean).norm(dim=-1, keepdim=True) + 1e-2)
    return z - 2 * u * (u * z).sum(-1, keepdim=True)


def everything_accepted(self, uniform, chance, right=VonMisesFisher.angles):
    angle, taken = right(self, uniform, chance)
    return angle, torch.ones_like(taken)


def shrink_left_out(self, z):
    v = self.algebra(z)
    log_normal = -0.5 * (v / self.stddev).square().sum(-1) - self.stddev.log().sum(-1)
    return log_normal - 1.5 * math.log(2 * math.pi)


def zero_over_zero(v):
    t = v.norm(dim=-1)[..., None, None]
    x = rotation.hat(v)
    return torch.eye(3) + t.sin() / t * x + (1 - t.cos()) / t**2 * (x @ x)


def taylor_at_one(v):
    t = v.norm(dim=-1)[..., None, None]
    x = rotation.hat(v)
    safe = torch.where(t < 1e-3, torch.ones_like(t), t)
    a = torch.where(t < 1e-3, 1 - safe**2 / 6, safe.sin() / safe)
    b = torch.where(t < 1e-3, 0.5 - safe**2 / 24, (1 - safe.cos()) / safe**2)
    return torch.eye(3) + a * x + b * (x @ x)


def log_by_the_skew_part(r):
    skew = (r - r.mT) / 2
    v = torch.stack((skew[..., 2, 1], skew[..., 0, 2], skew[..., 1, 0]), -1)
    size = v.norm(dim=-1, keepdim=True).clamp_min(1e-12)
    return v / size * torch.asin(size.clamp(max=1))  # wrong beyond a right angle


def j_j_transposed(self, z):
    columns = self._columns(z)
    return columns @ columns.mT


def energy_without_the_step(metric, points):
    step = points[1:] - points[:-1]
    return 0.5 * metric.squared_speed((points[1:] + points[:-1]) / 2, step).sum()


FAULTS = {  # where, what, what stands there instead, the property that breaks
    "gradient without the correction": (
        vmf, "angle_slope", proposal_only, gradient_is_exact),
    "gradient of the wrong sign": (
        vmf, "angle_slope", slope_of_the_wrong_sign, gradient_is_exact),
    "KL with the area of another sphere": (
        VonMisesFisher, "kl", area_of_one_dimension_less, kl_is_known),
    "reflection onto the sum": (
        vmf, "reflect_onto", reflection_onto_the_sum, e1_goes_to_the_mean),
    "draws off the sphere": (
        vmf, "reflect_onto", reflection_with_a_damped_norm, draws_are_on_the_sphere),
    "every proposal accepted": (
        VonMisesFisher, "angles", everything_accepted, draws_have_their_mean),
    "no sum over turns": (rotation, "WRAPS", 0, density_of_rotations_has_mass_one),
    "volume of the exponential left out": (
        WrappedRotation, "log_prob", shrink_left_out, density_of_rotations_has_mass_one),
    "Rodrigues by 0 / 0": (
        rotation, "rotation_exp", zero_over_zero, exp_is_the_matrix_exponential),
    "Taylor series at one": (
        rotation, "rotation_exp", taylor_at_one, exp_is_the_matrix_exponential),
    "logarithm by the skew part": (
        rotation, "rotation_log", log_by_the_skew_part, log_undoes_exp),
    "J J^T for J^T J": (
        PullbackMetric, "matrix", j_j_transposed, metric_is_w_transposed_w),
    "energy without the step factor": (
        curves, "curve_energy", energy_without_the_step, energy_bounds_the_length),
}  # fmt: skip
PROPERTIES = (
    gradient_is_exact, kl_is_known, e1_goes_to_the_mean, draws_are_on_the_sphere,
    draws_have_their_mean, density_of_rotations_has_mass_one, exp_is_the_matrix_exponential,
    log_undoes_exp, metric_is_w_transposed_w, energy_bounds_the_length,
)  # fmt: skip
