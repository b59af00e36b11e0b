"""Faults of codecs: each plants itself and names the property that it must break."""

import torch

from dgm.compression import container, integer_table
from dgm.compression.bit_stack import BitStack
from dgm.compression.bit_swap import BitSwap
from dgm.compression.bits_back import BitsBack
from dgm.compression.buckets import Buckets
from dgm.compression.chain_codec import ChainCodec
from dgm.compression.container import Container
from dgm.compression.integer_flow import LeavingStage
from dgm.compression.integer_table import IntegerTable
from dgm.compression.mixture_codec import MixtureCodec
from dgm.compression.order_codec import OrderCodec
from dgm.compression.rounded_coupling import RoundedCoupling
from dgm.compression.top_down_codec import TopDownCodec
from dgm.zoo import packing

_BACK, _SUM = (
    "every_codec_gives_back_what_went_in",
    "tables_sum_to_their_total_and_leave_nothing_out",
)
_LONG = "codes_are_as_long_as_the_model_says"
_SLOPE = "a_shift_learns_what_its_neighbours_would_cost"


def the_table_does_not_sum_to_its_precision(patch):
    def table(self, log_p):
        return (log_p.softmax(1) * 2**self.precision).floor().long().clamp_min(1)

    patch.setattr(IntegerTable, "__call__", table)
    return _SUM


def an_unlikely_symbol_gets_nothing(patch):
    right = IntegerTable.__call__

    def table(self, log_p):
        found = right(self, log_p)
        gone = found <= 1
        return found.masked_fill(gone, 0).scatter_add(1, found.argmax(1, True), gone.sum(1, True))

    patch.setattr(IntegerTable, "__call__", table)
    return _SUM


def logarithms_are_rounded_to_halves(patch):
    init = IntegerTable.__init__
    patch.setattr(
        IntegerTable, "__init__", lambda t, precision=24, per_bit=2: init(t, precision, 2)
    )
    return "tables_cost_next_to_nothing"


def logarithms_are_not_rounded(patch):
    def table(self, log_p):
        found = 1 + (log_p.softmax(1) * (2**self.precision - log_p.shape[1])).floor().long()
        left = 2**self.precision - found.sum(1, keepdim=True)
        return found.scatter_add(1, found.argmax(1, keepdim=True), left)

    patch.setattr(IntegerTable, "__call__", table)
    return "tables_do_not_feel_the_last_digits"


def shares_are_handed_over_one_too_large(patch):
    patch.setattr(BitStack, "_model", lambda s, log_p: s.table(log_p).double().numpy())
    return "the_fast_stack_has_the_words_of_the_plain_one"


def the_weights_fall_too_slowly(patch):
    right = integer_table._falling_weights
    patch.setattr(integer_table, "_falling_weights", lambda per_bit: right(per_bit + 8))
    return "tables_cost_next_to_nothing"


def the_stack_comes_back_first_in_first_out(patch):
    right = BitStack.push
    patch.setattr(BitStack, "push", lambda s, v, log_p: right(s, v.flip(0), log_p.flip(0)))
    return "what_is_pushed_comes_back_last_first"


def scrambling_reaches_the_word_on_top(patch):
    def scramble(self, key, depth=256):
        words = self._words().clone()
        words[-depth:] ^= 0x1234567
        self._load(words)

    patch.setattr(BitStack, "scramble", scramble)
    return "scrambling_undoes_itself_and_keeps_the_length"


def the_stack_is_not_scrambled(patch):
    patch.setattr(BitStack, "scramble", lambda s, key, depth=256: None)
    return "draws_are_clean_after_scrambling"


def the_bits_are_not_given_back(patch):
    def decode(self, n, stack):
        found = torch.zeros(n, *self.data.shape, dtype=torch.long)
        for at, x in enumerate(found):
            i = stack.pop(self.buckets.uniform(self.dim))
            x.copy_(stack.pop(self._pixels(i)).view(self.data.shape))
            if self.clean:
                stack.scramble(f"picture {at}")
        return self.data.stored(found)

    patch.setattr(BitsBack, "decode", torch.no_grad()(decode))
    return _BACK


def the_code_is_not_written(patch):
    def encode(self, x, stack):
        for n in reversed(range(len(x))):
            stack.scramble(f"picture {n}")
            i = stack.pop(self._posterior(x[n : n + 1]))
            stack.push(x[n].flatten().long(), self._pixels(i))

    patch.setattr(BitsBack, "encode", torch.no_grad()(encode))
    return _LONG


def the_width_of_the_posterior_is_its_variance(patch):
    def posterior(self, x):
        q = self.model.posterior(x)
        return self.buckets.log_masses(q.mean[0], q.log_var[0])

    patch.setattr(BitsBack, "_posterior", posterior)
    return _LONG


def buckets_are_as_wide_as_each_other(patch):
    init = Buckets.__init__

    def even(self, n=1024):
        init(self, n)
        self.edges = torch.linspace(-3, 3, n - 1, dtype=torch.float64)

    patch.setattr(Buckets, "__init__", even)
    return "buckets_have_equal_mass_under_the_prior"


def the_posterior_of_a_layer_is_on_the_wrong_scale(patch):
    def posterior(self, h, d, layer):
        q = layer.posterior(h, d, layer.prior(h))
        return self.buckets.log_masses(q.mean.flatten(), 0.5 * q.log_var.flatten())

    patch.setattr(TopDownCodec, "_posterior", posterior)
    return _LONG


def all_layers_are_drawn_before_one_is_written(patch):
    init = BitSwap.__init__

    def late(self, model, buckets, table, swap=True):
        init(self, model, buckets, table, False)

    patch.setattr(BitSwap, "__init__", late)
    return "few_bits_are_needed_first_with_bit_swap"


def the_likeliest_component_is_taken(patch):
    init = MixtureCodec.__init__
    patch.setattr(MixtureCodec, "__init__", lambda c, d, w, t, back=True: init(c, d, w, t, False))
    return "mixtures_get_the_bits_of_their_component_back"


def places_are_pushed_in_the_order_they_are_popped(patch):
    def encode(self, x, stack):
        for part in reversed(x.split(self.at_once)):
            values, laws = self.model.in_order(part), []
            blank = self.model.law.blank(len(part), self.data.dims)
            self._walk(blank, lambda t, log_p: laws.append(log_p) or values[:, t])  # noqa: B023
            for t in range(self.data.dims):
                stack.push(values[:, t], laws[t])

    patch.setattr(ChainCodec, "encode", torch.no_grad()(encode))
    return _BACK


def places_come_as_they_are_stored(patch):
    def encode(self, x, stack):
        values = x.long().flatten(1)
        blank, laws = self.model.law.blank(len(x), self.data.dims), []
        self._walk(blank, lambda t, log_p: laws.append(log_p) or values[:, t])
        for t in reversed(range(self.data.dims)):
            stack.push(values[:, t], laws[t])

    patch.setattr(ChainCodec, "encode", torch.no_grad()(encode))
    return "codes_come_in_the_order_of_the_model"


def orders_are_drawn_anew(patch):
    patch.setattr(OrderCodec, "order", lambda codec, picture: torch.randperm(codec.data.dims))
    return _BACK


def the_shift_is_rounded_down_on_the_way_back(patch):
    def inverse(self, y):
        shift = self._shift(y.to(next(self.parameters()).dtype)).floor().long()
        return y.index_copy(1, self.moved, (y[:, self.moved] - shift) % self.levels)

    patch.setattr(RoundedCoupling, "inverse", inverse)
    return "a_bijection_of_all_integers"


def the_shift_stops_at_the_edge(patch):
    right = RoundedCoupling.__init__

    def init(self, *sizes, **options):
        right(self, *sizes, **options)
        every = torch.arange(self.levels)
        self.origin = (every[:, None] - every).clamp(0, self.levels - 1)

    patch.setattr(RoundedCoupling, "__init__", init)
    return "shifts_are_rounded_and_wrap"


def couplings_are_undone_in_the_order_they_came(patch):
    def inverse(self, left, stayed):
        x = left.new_zeros(len(left), len(self.leaves) + len(self.stays))
        x = x.index_copy(1, self.leaves, left).index_copy(1, self.stays, stayed)
        for coupling in self.couplings:
            x = coupling.inverse(x)
        return x

    patch.setattr(LeavingStage, "inverse", inverse)
    return "a_bijection_of_all_integers"


def the_softness_is_ignored(patch):
    right = RoundedCoupling.__init__

    def init(self, *sizes, softness=0.2, straight=False):
        right(self, *sizes, 0.2, straight)

    patch.setattr(RoundedCoupling, "__init__", init)
    return _SLOPE


def the_slope_goes_the_other_way(patch):
    right = RoundedCoupling._shares
    patch.setattr(
        RoundedCoupling, "_shares", lambda c, t: 2 * right(c, t).detach() - right(c, t)
    )  # the same values
    return _SLOPE


def the_digest_is_not_looked_at(patch):
    def from_bytes(content):
        if content[:4] != container.MAGIC:
            raise ValueError("content is no packed data")
        return Container("", b"", (), b"", content)

    patch.setattr(Container, "from_bytes", staticmethod(from_bytes))
    return "a_damaged_stream_is_never_read"


def every_model_has_the_same_digest(patch):
    patch.setattr(packing, "model_digest", lambda model: bytes(8))
    return "a_stream_of_another_model_is_refused"


def what_came_out_is_not_compared(patch):
    patch.setattr(container, "data_digest", lambda x: bytes(8))
    return "other_pictures_are_never_given_silently"


def tiles_are_put_together_transposed(patch):
    def from_tiles(tiles, size):
        (channels, height, width), (h, w) = size, tiles.shape[2:]
        n_down, n_right = -(-height // h), -(-width // w)
        grid = tiles.view(channels, n_right, n_down, h, w).permute(0, 2, 3, 1, 4)
        return grid.reshape(channels, n_down * h, n_right * w)[:, :height, :width]

    patch.setattr(packing, "from_tiles", from_tiles)
    return "pictures_of_any_size_come_back_from_tiles"


FAULTS = [
    the_table_does_not_sum_to_its_precision, an_unlikely_symbol_gets_nothing,
    logarithms_are_rounded_to_halves, logarithms_are_not_rounded,
    shares_are_handed_over_one_too_large, the_weights_fall_too_slowly,
    the_stack_comes_back_first_in_first_out, scrambling_reaches_the_word_on_top,
    the_stack_is_not_scrambled, the_bits_are_not_given_back, the_code_is_not_written,
    the_width_of_the_posterior_is_its_variance, buckets_are_as_wide_as_each_other,
    the_posterior_of_a_layer_is_on_the_wrong_scale, all_layers_are_drawn_before_one_is_written,
    the_likeliest_component_is_taken, places_are_pushed_in_the_order_they_are_popped,
    places_come_as_they_are_stored, orders_are_drawn_anew,
    the_shift_is_rounded_down_on_the_way_back, the_shift_stops_at_the_edge,
    couplings_are_undone_in_the_order_they_came, the_softness_is_ignored,
    the_slope_goes_the_other_way,
    the_digest_is_not_looked_at, every_model_has_the_same_digest, what_came_out_is_not_compared,
    tiles_are_put_together_transposed,
]  # fmt: skip
