#include "eegnet.c"

#include "sanitizers.h"

static int check(void) {
    Shape s = {.n_trials = between(1, 9), .n_prepared = between(1, 12), .n_channels = between(1, 40)};
    s.n_filters = between(1, 6), s.n_mixed = s.n_filters * between(1, 7), s.n_condensed = between(1, 40);
    s.n_classes = between(2, 5), s.n_taps = between(1, 70), s.n_depth_taps = between(1, 20);
    s.width = between(1, 9), s.second_width = between(1, 9);
    s.margin = s.n_taps / 2, s.depth_margin = s.n_depth_taps / 2;
    s.n_samples = s.width * (s.second_width + between(0, 20)) + between(1, 30);
    s.temporal_epsilon = s.epsilon = s.second_epsilon = 1e-3, s.kept = s.second_kept = 2;
    Space space = {0, 0};
    Arrays a = arrays(&s, &space); /* for its sizes */
    int64_t sizes[] = {s.n_filters * s.n_taps, s.n_filters, s.n_filters, s.n_mixed * s.n_channels, s.n_mixed,
                       s.n_mixed, s.n_mixed * s.n_depth_taps, s.n_condensed * s.n_mixed, s.n_condensed, s.n_condensed,
                       s.n_classes * s.n_condensed * a.n_features, s.n_classes};
    real *in[12], *out[12], *moments[6];
    for (int i = 0; i < 12; i++) in[i] = numbers(sizes[i]), out[i] = numbers(sizes[i]);
    for (int i = 0; i < 6; i++) moments[i] = numbers(i < 2 ? s.n_filters : i < 4 ? s.n_mixed : s.n_condensed);
    real *windows = numbers(s.n_prepared * s.n_samples * s.n_channels);
    int64_t n_sums = s.n_prepared * s.n_taps, n_products = n_sums * s.n_taps;
    double *sums = calloc(n_sums, sizeof(double)), *products = malloc(n_products * sizeof(double)), loss = 0;
    for (int64_t i = 0; i < n_products; i++) products[i] = i / s.n_taps % s.n_taps == i % s.n_taps;
    int64_t *trials = integers(s.n_trials, s.n_prepared), *labels = integers(s.n_trials, s.n_classes);
    uint8_t *bits = bytes(s.n_trials * a.n_pooled * a.n_vectors * LANES / 8);
    uint8_t *second_bits = bytes(s.n_trials * a.n_features * a.n_condensed_vectors * LANES / 8);
    void *workspace = aligned_alloc(128, eegnet_workspace(&s));
    int right = 1;
    for (int bad = 0; bad < 3; bad++) {
        if (bad == 1) trials[s.n_trials - 1] = s.n_prepared;
        if (bad == 2) trials[s.n_trials - 1] = 0, labels[0] = -1;
        int failed = eegnet_loss(&s, workspace, windows, sums, products, trials, labels, bits, second_bits,
                                 (Parameters *)in, (Parameters *)out, (Statistics *)moments, &loss);
        right &= failed == (bad > 0) && loss >= 0 && loss < 1e6;
    }
    for (int i = 0; i < 12; i++) free(in[i]), free(out[i]);
    for (int i = 0; i < 6; i++) free(moments[i]);
    free(windows), free(sums), free(products), free(trials), free(labels), free(bits), free(second_bits);
    free(workspace);
    return right;
}
