#include "shallow.c"

#include "sanitizers.h"

static prepared_number *prepared_numbers(int64_t n) {
    real *x = numbers(n);
    if (sizeof(prepared_number) == sizeof(real)) return (prepared_number *)x;
    prepared_number *y = malloc(n * sizeof(prepared_number)); /* bfloat16: the upper half of a float */
    for (int64_t i = 0; i < n; i++) memcpy(y + i, (char *)(x + i) + sizeof(real) / 2, sizeof(prepared_number));
    free(x);
    return y;
}

static int check(void) {
    Shape s = {.n_crops = between(1, 9), .n_prepared = between(1, 12), .n_channels = between(1, 9)};
    s.n_filters = between(1, 45), s.n_classes = between(2, 5), s.window = between(1, 30), s.stride = between(1, 12);
    s.n_taps = between(1, 6), s.dilation = between(1, 9), s.n_positions = between(1, 20);
    s.n_filter_taps = between(1, 12), s.length = 16 << between(0, 4), s.size = s.length - s.n_filter_taps + 1;
    s.n_windows = s.n_positions + s.dilation * (s.n_taps - 1);
    s.n_outputs = (s.n_windows - 1) * s.stride + s.window + between(0, s.stride - 1);
    s.n_tiles = (s.n_outputs + s.size - 1) / s.size;
    s.crops_per_unit = 1 << between(0, 2);
    s.n_lanes = (s.crops_per_unit * s.n_filters + LANES - 1) / LANES * LANES;
    s.n_columns = (2 * s.n_filters + LANES - 1) / LANES * LANES;
    s.epsilon = 1e-6, s.norm_epsilon = 1e-5, s.kept = 2;
    int64_t n_frequencies = s.length / 2 + 1, n_units = (s.n_crops + s.crops_per_unit - 1) / s.crops_per_unit;
    int64_t n_weights = s.n_filter_taps * s.n_channels * s.n_filters, n_f = s.n_filters;
    int64_t n_readout = s.n_classes * s.n_taps * n_f;
    int64_t *crops = integers(s.n_crops, s.n_prepared), *labels = integers(s.n_crops, s.n_classes);
    uint8_t *bits = bytes(n_units * s.n_windows * s.n_lanes / 8);
    void *workspace = aligned_alloc(128, shallow_workspace(&s));
    prepared_number *prepared = prepared_numbers(n_frequencies * s.n_prepared * s.n_tiles * 2 * s.n_channels);
    real *in[] = {numbers(n_weights), numbers(n_f), numbers(n_f), numbers(n_readout), numbers(s.n_classes)};
    real *out[] = {numbers(n_weights), numbers(n_f), numbers(n_f), numbers(n_readout), numbers(s.n_classes),
                   numbers(n_f), numbers(n_f), numbers(n_f), numbers(s.n_crops * s.n_classes)};
    double loss = 0;
    int right = 1;
    for (int bad = 0; bad < 3; bad++) {
        if (bad == 1) crops[s.n_crops - 1] = s.n_prepared;
        if (bad == 2) crops[s.n_crops - 1] = 0, labels[0] = -1;
        int failed = shallow_loss(&s, workspace, prepared, in[0], crops, labels, in[1], in[2], in[3], in[4], bits, out[0],
                                  out[1], out[2], out[3], out[4], out[5], out[6], out[7], out[8], &loss);
        right &= failed == (bad > 0) && loss >= 0 && loss < 1e6;
    }
    for (int i = 0; i < 5; i++) free(in[i]);
    for (int i = 0; i < 9; i++) free(out[i]);
    free(prepared), free(crops), free(labels), free(bits), free(workspace);
    return right;
}
