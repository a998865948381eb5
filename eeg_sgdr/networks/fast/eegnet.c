/* EEGNet's mean cross entropy and its gradients, from whole windows, in one function.
 *
 * The notation is that of fast/eegnet.py: sensors are mixed before time is filtered. The numbers of a vector are mixed
 * signals (behind the pointwise convolution: condensed ones) at one time, so that all steps are the same for all of
 * them. Signals of a trial are arrays of vectors over time; beyond their times they go on for the blocks of
 * `correlate`.
 */
#include "vectors.h"

/* Sums that fit into the registers, and factors at a time. */
enum { BLOCK = LANES == 16 ? 16 : 12, STEP = LANES == 16 ? 4 : 2 };

typedef struct {
    int64_t n_trials, n_prepared, n_channels, n_samples, n_filters, n_mixed, n_condensed, n_classes;
    int64_t n_taps, margin, width, n_depth_taps, depth_margin, second_width;
    double temporal_epsilon, epsilon, second_epsilon, kept, second_kept;
} Shape;

typedef struct { /* as they lie in the module */
    real *temporal, *temporal_gain, *temporal_bias, *spatial, *gain, *bias, *depth, *point, *second_gain, *second_bias,
        *classifier, *classifier_bias;
} Parameters;

typedef struct {
    real *temporal_mean, *temporal_variance, *mean, *variance, *second_mean, *second_variance;
} Statistics;

/* Batch norm of values, u = (value - centre) * scale + shift, and of its gradient. */
typedef struct {
    V *centre, *scale, *shift, *alpha, *beta;
    double *mean, *squares, *total, *moment; /* of lanes */
} Norm;

/* e^x - 1 of x <= 0, x of NaN. */
INLINE V exponential_less_one(V x) {
    if (!IS_FLOAT) {
        V y;
        for (int i = 0; i < LANES; i++) y[i] = (real)expm1((double)x[i]);
        return y;
    }
    /* x = k log 2 + r, k whole, and the polynomial of Cephes' expf. */
    x = where((I)(x < -87), all(-87), x);
    V shifted = x * 1.44269504f + 12582912.f; /* its low bits are k */
    V k = shifted - 12582912.f;
    V r = x - k * 0.693359375f + k * 2.12194440e-4f;
    V p = all(1.9875691500e-4f);
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    V power = (V)(((I)shifted << 23) + 0x3f800000);
    return (p * r * r + r) * power + (power - 1);
}

INLINE V elu(V x, V *slope) {
    I positive = (I)(x > 0);
    V rest = exponential_less_one(where(positive, (V){0}, x));
    *slope = where(positive, all(1), rest + 1);
    return where(positive, x, rest);
}

/* out[j] = sum over i < n of a[i] b[i + j], for j < n_outputs and on to the end of a block; a goes on with zeros to
 * the end of a step. */
static void correlate(const V *a, int64_t n, const V *b, V *out, int64_t n_outputs) {
    for (int64_t j = 0; j < n_outputs; j += BLOCK) {
        V sum[BLOCK];
#pragma GCC unroll 16
        for (int k = 0; k < BLOCK; k++) sum[k] = (V){0};
        for (int64_t i = 0; i < n; i += STEP) {
            const V *from = b + i + j;
            V factor[STEP];
#pragma GCC unroll 4
            for (int u = 0; u < STEP; u++) factor[u] = a[i + u];
#pragma GCC unroll 32
            for (int k = 0; k < BLOCK + STEP - 1; k++) {
                V value = from[k];
#pragma GCC unroll 4
                for (int u = 0; u < STEP; u++)
                    if (u <= k && k - u < BLOCK) sum[k - u] += factor[u] * value;
            }
        }
#pragma GCC unroll 16
        for (int k = 0; k < BLOCK; k++) out[j + k] = sum[k];
    }
}

/* out[j] += sum over i of x[j][i] w[i] for some rows j of x. */
INLINE void mix_rows(int rows, const real *x, int64_t stride, int64_t n, const V *w, V *out) {
    V sum[BLOCK];
#pragma GCC unroll 16
    for (int j = 0; j < rows; j++) sum[j] = out[j];
    for (int64_t i = 0; i < n; i++) {
        V weight = w[i];
#pragma GCC unroll 16
        for (int j = 0; j < rows; j++) sum[j] += all(x[j * stride + i]) * weight;
    }
#pragma GCC unroll 16
    for (int j = 0; j < rows; j++) out[j] = sum[j];
}

static void mix(int64_t n_rows, const real *x, int64_t stride, int64_t n, const V *w, V *out) {
    int64_t j = 0;
    for (; j + BLOCK <= n_rows; j += BLOCK) mix_rows(BLOCK, x + j * stride, stride, n, w, out + j);
    for (; j + 4 <= n_rows; j += 4) mix_rows(4, x + j * stride, stride, n, w, out + j);
    for (; j < n_rows; j++) mix_rows(1, x + j * stride, stride, n, w, out + j);
}

/* out[i] += sum over rows j of x[j][i] d[j] for some i. */
INLINE void adjoint_columns(int columns, int64_t n_rows, const real *x, int64_t stride, const V *d, V *out) {
    V sum[BLOCK];
#pragma GCC unroll 16
    for (int i = 0; i < columns; i++) sum[i] = (V){0};
    for (int64_t j = 0; j < n_rows; j++, x += stride) {
        V gradient = d[j];
#pragma GCC unroll 16
        for (int i = 0; i < columns; i++) sum[i] += all(x[i]) * gradient;
    }
#pragma GCC unroll 16
    for (int i = 0; i < columns; i++) out[i] += sum[i];
}

/* Adjoint of `mix` to w. */
static void mix_adjoint(int64_t n_rows, const real *x, int64_t stride, int64_t n, const V *d, V *out) {
    int64_t i = 0;
    for (; i + BLOCK <= n; i += BLOCK) adjoint_columns(BLOCK, n_rows, x + i, stride, d, out + i);
    for (; i + 4 <= n; i += 4) adjoint_columns(4, n_rows, x + i, stride, d, out + i);
    for (; i < n; i++) adjoint_columns(1, n_rows, x + i, stride, d, out + i);
}

/* Means and sums of squares about them of lanes, with those of n values of one more trial. */
static void add_moments(Norm *norm, int64_t v, const V *values, int64_t n, int64_t trial) {
    V sum = {0}, about = {0};
    for (int64_t t = 0; t < n; t++) sum += values[t];
    V mean = sum * ((real)1 / n);
    for (int64_t t = 0; t < n; t++) {
        V rest = values[t] - mean;
        about += rest * rest;
    }
    for (int i = 0; i < LANES; i++) {
        double *centre = norm->mean + v * LANES + i, delta = mean[i] - *centre;
        *centre += delta / (trial + 1);
        norm->squares[v * LANES + i] += about[i] + delta * delta * n * trial / (trial + 1);
    }
}

/* The norm of `factor` times the values (of themselves without factors), n values a lane. */
static void normalise(Norm *norm, int64_t n_signals, double n, const double *factor, const real *gain,
                      const real *bias, double epsilon) {
    for (int64_t o = 0; o < n_signals; o++) {
        double a = factor ? factor[o] : 1, variance = norm->squares[o] / n;
        ((real *)norm->centre)[o] = (real)norm->mean[o];
        ((real *)norm->scale)[o] = (real)(a * gain[o] / sqrt(a * a * variance + epsilon));
        ((real *)norm->shift)[o] = bias[o];
    }
}

/* Gradients by gain, bias and factor, and the norm's share of those by the values. */
static void normalise_adjoint(Norm *norm, int64_t n_signals, double n, const double *factor, const real *gain,
                              double epsilon, real *d_gain, real *d_bias, double *d_factor) {
    for (int64_t o = 0; o < n_signals; o++) {
        double a = factor ? factor[o] : 1, spread = a * a * norm->squares[o] / n + epsilon;
        double moment = norm->moment[o], total = norm->total[o];
        d_gain[o] = (real)(a * moment / sqrt(spread));
        d_bias[o] = (real)total;
        if (d_factor) d_factor[o] = moment * gain[o] * epsilon / (spread * sqrt(spread));
        ((real *)norm->alpha)[o] = (real)(total / n);
        ((real *)norm->beta)[o] = (real)(a * a * moment / (n * spread));
    }
}

/* Sums over stretches of a width of ELU, of its slope, and of the slope times values less their mean. */
static void pool(const Norm *norm, int64_t v, const V *values, int64_t n, int64_t width, V *sums, V *slopes,
                 V *moments) {
    V centre = norm->centre[v], scale = norm->scale[v], shift = norm->shift[v];
    for (int64_t j = 0; j < n; j++) {
        V sum = {0}, slope_sum = {0}, moment = {0};
        for (int64_t i = 0; i < width; i++) {
            V rest = *values++ - centre, slope;
            sum += elu(rest * scale + shift, &slope);
            slope_sum += slope;
            moment += slope * rest;
        }
        sums[j] = sum, slopes[j] = slope_sum, moments[j] = moment;
    }
}

/* Gradients by n_values values from those by the sums over n stretches. */
static void pool_adjoint(const Norm *norm, int64_t v, const V *values, int64_t n_values, int64_t n, int64_t width,
                         const V *gradients, V *out) {
    V centre = norm->centre[v], scale = norm->scale[v], shift = norm->shift[v];
    V alpha = norm->alpha[v], beta = norm->beta[v];
    int64_t t = 0;
    for (int64_t j = 0; j < n; j++)
        for (int64_t i = 0; i < width; i++, t++) {
            V rest = values[t] - centre, slope;
            elu(rest * scale + shift, &slope);
            out[t] = (gradients[j] * slope - (rest * beta + alpha)) * scale;
        }
    for (; t < n_values; t++) out[t] = -((values[t] - centre) * beta + alpha) * scale;
}

/* Sums of gradients by the norm's outputs, and of these times its values less their mean, from those of stretches. */
static void add_gradients(Norm *norm, int64_t v, const V *gradients, const V *slopes, const V *moments, int64_t n) {
    V total = {0}, moment = {0};
    for (int64_t j = 0; j < n; j++) {
        total += gradients[j] * slopes[j];
        moment += gradients[j] * moments[j];
    }
    for (int i = 0; i < LANES; i++) {
        norm->total[v * LANES + i] += total[i];
        norm->moment[v * LANES + i] += moment[i];
    }
}

typedef struct {
    int64_t n_vectors, n_condensed_vectors, n_outputs, n_pooled, n_depth_outputs, n_features;
    /* Times of a trial's signals in memory: mixed; filtered and their gradients with zeros on both sides; pooled with
     * zeros on both sides; filtered again, and their gradients with zeros on both sides. */
    int64_t mixed_size, size, d_size, pooled_size, depth_size, d_depth_size;
    V *mixed, *filtered, *pooled, *slopes, *moments, *depth, *condensed, *d_features; /* of all trials */
    V *gradient, *d_mixed, *d_depth, *d_condensed, *features, *feature_slopes, *feature_moments; /* of one */
    V *temporal, *temporal_reversed, *spatial, *depth_taps, *depth_reversed, *point, *point_transposed, *classifier;
    V *d_temporal, *d_spatial, *d_depth_taps, *d_point, *d_classifier, *taps;
    Norm norm, second;
    double *factor, *d_factor, *sums, *products;
    real *logits, *d_logits;
} Arrays;

static Norm take_norm(Space *space, int64_t n_vectors) {
    Norm norm;
    V **vectors[] = {&norm.centre, &norm.scale, &norm.shift, &norm.alpha, &norm.beta};
    double **numbers[] = {&norm.mean, &norm.squares, &norm.total, &norm.moment};
    for (int i = 0; i < 5; i++) *vectors[i] = take(space, n_vectors, sizeof(V));
    for (int i = 0; i < 4; i++) *numbers[i] = take(space, n_vectors * LANES, sizeof(double));
    return norm;
}

static void clear(Norm *norm, int64_t n_vectors) {
    V *vectors[] = {norm->centre, norm->scale, norm->shift, norm->alpha, norm->beta};
    double *numbers[] = {norm->mean, norm->squares, norm->total, norm->moment};
    for (int i = 0; i < 5; i++) memset(vectors[i], 0, n_vectors * sizeof(V));
    for (int i = 0; i < 4; i++) memset(numbers[i], 0, n_vectors * LANES * sizeof(double));
}

static Arrays arrays(const Shape *s, Space *space) {
    Arrays a;
    int64_t n = s->n_trials, beyond = BLOCK + STEP - 2, vector = sizeof(V);
    int64_t m = a.n_vectors = (s->n_mixed + LANES - 1) / LANES;
    int64_t f = a.n_condensed_vectors = (s->n_condensed + LANES - 1) / LANES;
    a.n_outputs = s->n_samples + 2 * s->margin - s->n_taps + 1;
    a.n_pooled = a.n_outputs / s->width;
    a.n_depth_outputs = a.n_pooled + 2 * s->depth_margin - s->n_depth_taps + 1;
    a.n_features = a.n_depth_outputs / s->second_width;
    a.mixed_size = s->n_samples + 2 * s->margin + beyond;
    a.size = a.n_outputs + beyond;
    a.d_size = a.n_outputs + 2 * (s->n_taps - 1) + beyond;
    a.pooled_size = a.n_pooled + 2 * s->depth_margin + beyond;
    a.depth_size = a.n_depth_outputs + beyond;
    a.d_depth_size = a.n_depth_outputs + 2 * (s->n_depth_taps - 1) + beyond;
    a.mixed = take(space, n * m * a.mixed_size, vector);
    a.filtered = take(space, n * m * a.size, vector);
    a.pooled = take(space, n * m * a.pooled_size, vector);
    a.slopes = take(space, n * m * a.n_pooled, vector);
    a.moments = take(space, n * m * a.n_pooled, vector);
    a.depth = take(space, n * m * a.depth_size, vector);
    a.condensed = take(space, n * f * a.depth_size, vector);
    a.d_features = take(space, n * f * a.n_features, vector);
    a.gradient = take(space, a.d_size, vector);
    a.d_mixed = take(space, s->n_samples + beyond, vector);
    a.d_depth = take(space, a.d_depth_size, vector);
    a.d_condensed = take(space, f * a.n_depth_outputs, vector);
    a.features = take(space, f * a.n_features, vector);
    a.feature_slopes = take(space, f * a.n_features, vector);
    a.feature_moments = take(space, f * a.n_features, vector);
    V **temporal[] = {&a.temporal, &a.temporal_reversed, &a.d_temporal};
    V **depth[] = {&a.depth_taps, &a.depth_reversed, &a.d_depth_taps};
    for (int i = 0; i < 3; i++) {
        *temporal[i] = take(space, m * (s->n_taps + STEP), vector);
        *depth[i] = take(space, m * (s->n_depth_taps + STEP), vector);
    }
    a.taps = take(space, MAX(s->n_taps, s->n_depth_taps) + beyond, vector);
    a.spatial = take(space, m * s->n_channels, vector);
    a.d_spatial = take(space, m * s->n_channels, vector);
    a.point = take(space, f * s->n_mixed, vector);
    a.d_point = take(space, f * s->n_mixed, vector);
    a.point_transposed = take(space, m * s->n_condensed, vector);
    a.classifier = take(space, s->n_classes * f * a.n_features, vector);
    a.d_classifier = take(space, s->n_classes * f * a.n_features, vector);
    a.norm = take_norm(space, m);
    a.second = take_norm(space, f);
    a.factor = take(space, s->n_mixed, sizeof(double));
    a.d_factor = take(space, s->n_mixed, sizeof(double));
    a.sums = take(space, s->n_taps, sizeof(double));
    a.products = take(space, s->n_taps * s->n_taps, sizeof(double));
    a.logits = take(space, s->n_classes, sizeof(real));
    a.d_logits = take(space, s->n_classes, sizeof(real));
    return a;
}

/* Rows of a matrix (whose numbers are at a stride from each other) to lanes, each row several times. */
static void to_lanes(const real *matrix, int64_t n_rows, int64_t n_columns, int64_t row_stride, int64_t stride,
                     int64_t times, int64_t size, V *out) {
    memset(out, 0, (n_rows + LANES - 1) / LANES * size * sizeof(V));
    for (int64_t o = 0; o < n_rows; o++)
        for (int64_t i = 0; i < n_columns; i++)
            ((real *)(out + o / LANES * size + i))[o % LANES] = matrix[o / times * row_stride + i * stride];
}

static void from_lanes(const V *values, int64_t n_rows, int64_t n_columns, int64_t size, real *out) {
    for (int64_t o = 0; o < n_rows; o++)
        for (int64_t i = 0; i < n_columns; i++)
            out[o * n_columns + i] = ((real *)(values + o / LANES * size + i))[o % LANES];
}

static void reversed(const V *taps, int64_t n, int64_t size, V *out) {
    memset(out, 0, size * sizeof(V));
    for (int64_t i = 0; i < n; i++) out[i] = taps[n - 1 - i];
}

/* Mean and variance of the temporal convolution from the lagged sums of trials, whose means are kept. */
static void temporal_statistics(const Shape *s, const Arrays *a, const double *sums, const double *products,
                                const int64_t *trials, const real *filters, real *mean, real *variance) {
    int64_t n_taps = s->n_taps, size = n_taps * n_taps;
    double n = (double)s->n_trials * s->n_channels * a->n_outputs;
    memset(a->sums, 0, n_taps * sizeof(double));
    memset(a->products, 0, size * sizeof(double));
    for (int64_t i = 0; i < s->n_trials; i++) {
        const double *of_sums = sums + trials[i] * n_taps, *of_products = products + trials[i] * size;
        for (int64_t k = 0; k < n_taps; k++) a->sums[k] += of_sums[k] / n;
        for (int64_t k = 0; k < size; k++) a->products[k] += of_products[k];
    }
    for (int64_t f = 0; f < s->n_filters; f++, filters += n_taps) {
        double first = 0, square = 0;
        for (int64_t l = 0; l < n_taps; l++) {
            double product = 0;
            for (int64_t k = 0; k < n_taps; k++) product += a->products[l * n_taps + k] * filters[k];
            first += a->sums[l] * filters[l];
            square += product / n * filters[l];
        }
        mean[f] = (real)first;
        variance[f] = (real)(square - first * first);
    }
}

/* Bytes of the workspace, whose address is a multiple of 128. */
int64_t eegnet_workspace(const Shape *shape) {
    Space space = {0, 0};
    arrays(shape, &space);
    return space.used;
}

/* Mean cross entropy over the trials, its gradients, and the inputs' mean and variance of each batch norm.
 *
 * windows (n_prepared, n_samples, n_channels), sums (n_prepared, n_taps) and products (n_prepared, n_taps, n_taps);
 * bits (n_trials, n_pooled, n_lanes) and second_bits (n_trials, n_features, n_lanes) of what is not dropped.
 * Returns 0, or 1 where a trial or a label does not exist.
 */
int eegnet_loss(const Shape *s, void *workspace, const real *windows, const double *sums, const double *products,
                const int64_t *trials, const int64_t *labels, const uint8_t *bits, const uint8_t *second_bits,
                const Parameters *p, const Parameters *d, const Statistics *statistics, double *loss) {
    int64_t n = s->n_trials, n_channels = s->n_channels, n_mixed = s->n_mixed, n_condensed = s->n_condensed;
    for (int64_t i = 0; i < n; i++)
        if (trials[i] < 0 || trials[i] >= s->n_prepared || labels[i] < 0 || labels[i] >= s->n_classes) return 1;
    Space space = {workspace, 0};
    Arrays a = arrays(s, &space);
    int64_t m = a.n_vectors, f = a.n_condensed_vectors, each = n_mixed / s->n_filters, features_size = f * a.n_features;
    int64_t taps_size = s->n_taps + STEP, depth_taps_size = s->n_depth_taps + STEP;
    real factor = (real)s->kept / s->width, second_factor = (real)s->second_kept / s->second_width;
    double n_values = (double)n * a.n_outputs, n_second = (double)n * a.n_depth_outputs;

    to_lanes(p->temporal, n_mixed, s->n_taps, s->n_taps, 1, each, taps_size, a.temporal);
    to_lanes(p->spatial, n_mixed, n_channels, n_channels, 1, 1, n_channels, a.spatial);
    to_lanes(p->depth, n_mixed, s->n_depth_taps, s->n_depth_taps, 1, 1, depth_taps_size, a.depth_taps);
    to_lanes(p->point, n_condensed, n_mixed, n_mixed, 1, 1, n_mixed, a.point);
    to_lanes(p->point, n_mixed, n_condensed, 1, n_mixed, 1, n_condensed, a.point_transposed);
    for (int64_t v = 0; v < m; v++) {
        reversed(a.temporal + v * taps_size, s->n_taps, taps_size, a.temporal_reversed + v * taps_size);
        reversed(a.depth_taps + v * depth_taps_size, s->n_depth_taps, depth_taps_size,
                 a.depth_reversed + v * depth_taps_size);
    }
    for (int64_t c = 0; c < s->n_classes; c++) {
        to_lanes(p->classifier + c * n_condensed * a.n_features, n_condensed, a.n_features, a.n_features, 1, 1,
                 a.n_features, a.classifier + c * features_size);
        d->classifier_bias[c] = 0;
    }
    memset(a.d_temporal, 0, m * taps_size * sizeof(V));
    memset(a.d_spatial, 0, m * n_channels * sizeof(V));
    memset(a.d_depth_taps, 0, m * depth_taps_size * sizeof(V));
    memset(a.d_point, 0, f * n_mixed * sizeof(V));
    memset(a.d_classifier, 0, s->n_classes * features_size * sizeof(V));
    memset(a.gradient, 0, a.d_size * sizeof(V));
    clear(&a.norm, m);
    clear(&a.second, f);

    /* Mixed sensors and their temporal convolution. */
    for (int64_t i = 0; i < n; i++) {
        const real *x = windows + trials[i] * s->n_samples * n_channels;
        for (int64_t v = 0; v < m; v++) {
            V *mixed = a.mixed + (i * m + v) * a.mixed_size, *filtered = a.filtered + (i * m + v) * a.size;
            memset(mixed, 0, a.mixed_size * sizeof(V));
            mix(s->n_samples, x, n_channels, n_channels, a.spatial + v * n_channels, mixed + s->margin);
            correlate(a.temporal + v * taps_size, s->n_taps, mixed, filtered, a.n_outputs);
            add_moments(&a.norm, v, filtered, a.n_outputs, i);
        }
    }
    temporal_statistics(s, &a, sums, products, trials, p->temporal, statistics->temporal_mean,
                        statistics->temporal_variance);
    for (int64_t o = 0; o < n_mixed; o++) {
        double spread = statistics->temporal_variance[o / each] + s->temporal_epsilon, spatial = 0;
        a.factor[o] = p->temporal_gain[o / each] / sqrt(spread);
        for (int64_t c = 0; c < n_channels; c++) spatial += p->spatial[o * n_channels + c];
        double shift = p->temporal_bias[o / each] - statistics->temporal_mean[o / each] * a.factor[o];
        statistics->mean[o] = (real)(a.factor[o] * a.norm.mean[o] + shift * spatial);
        statistics->variance[o] = (real)(a.factor[o] * a.factor[o] * a.norm.squares[o] / n_values);
    }
    normalise(&a.norm, n_mixed, n_values, a.factor, p->gain, p->bias, s->epsilon);
    for (int64_t o = 0; o < n_mixed; o++) /* 0 but for a bias that is NaN or infinite: it must reach the loss */
        ((real *)a.norm.shift)[o] += statistics->mean[o] - statistics->mean[o];

    /* Pooled, filtered again, and condensed. */
    for (int64_t i = 0; i < n; i++) {
        const uint8_t *of_trial = bits + i * a.n_pooled * (m * LANES / 8);
        V *depth = a.depth + i * m * a.depth_size, *condensed = a.condensed + i * f * a.depth_size;
        for (int64_t v = 0; v < m; v++) {
            int64_t at = (i * m + v) * a.n_pooled;
            V *padded = a.pooled + (i * m + v) * a.pooled_size, *pooled = padded + s->depth_margin;
            memset(padded, 0, a.pooled_size * sizeof(V));
            pool(&a.norm, v, a.filtered + (i * m + v) * a.size, a.n_pooled, s->width, pooled, a.slopes + at,
                 a.moments + at);
            for (int64_t j = 0; j < a.n_pooled; j++)
                pooled[j] *= where(lanes_set(of_trial + j * (m * LANES / 8), v), all(factor), (V){0});
            correlate(a.depth_taps + v * depth_taps_size, s->n_depth_taps, padded, depth + v * a.depth_size,
                      a.n_depth_outputs);
        }
        for (int64_t w = 0; w < f; w++) {
            V *out = condensed + w * a.depth_size;
            memset(out, 0, a.n_depth_outputs * sizeof(V));
            for (int64_t v = 0; v < m; v++)
                mix(a.n_depth_outputs, (real *)(depth + v * a.depth_size), LANES, MIN(LANES, n_mixed - v * LANES),
                    a.point + w * n_mixed + v * LANES, out);
            add_moments(&a.second, w, out, a.n_depth_outputs, i);
        }
    }
    for (int64_t o = 0; o < n_condensed; o++) {
        statistics->second_mean[o] = (real)a.second.mean[o];
        statistics->second_variance[o] = (real)(a.second.squares[o] / n_second);
    }
    normalise(&a.second, n_condensed, n_second, 0, p->second_gain, p->second_bias, s->second_epsilon);

    /* Features, loss, and gradients by features. */
    double sum_of_losses = 0;
    for (int64_t i = 0; i < n; i++) {
        V *d_features = a.d_features + i * features_size;
        const uint8_t *of_trial = second_bits + i * a.n_features * (f * LANES / 8);
        for (int64_t w = 0; w < f; w++) {
            int64_t at = w * a.n_features;
            pool(&a.second, w, a.condensed + (i * f + w) * a.depth_size, a.n_features, s->second_width,
                 a.features + at, a.feature_slopes + at, a.feature_moments + at);
            for (int64_t j = 0; j < a.n_features; j++) {
                d_features[at + j] =
                    where(lanes_set(of_trial + j * (f * LANES / 8), w), all(second_factor), (V){0});
                a.features[at + j] *= d_features[at + j];
            }
        }
        for (int64_t c = 0; c < s->n_classes; c++) {
            V sum = {0};
            for (int64_t j = 0; j < features_size; j++) sum += a.features[j] * a.classifier[c * features_size + j];
            real logit = p->classifier_bias[c];
            for (int k = 0; k < LANES; k++) logit += sum[k];
            a.logits[c] = logit;
        }
        sum_of_losses += cross_entropy(a.logits, s->n_classes, labels[i], n, a.d_logits);
        for (int64_t c = 0; c < s->n_classes; c++) {
            d->classifier_bias[c] += a.d_logits[c];
            for (int64_t j = 0; j < features_size; j++)
                a.d_classifier[c * features_size + j] += a.features[j] * a.d_logits[c];
        }
        for (int64_t j = 0; j < features_size; j++) {
            V gradient = {0};
            for (int64_t c = 0; c < s->n_classes; c++) gradient += a.classifier[c * features_size + j] * a.d_logits[c];
            d_features[j] *= gradient;
        }
        for (int64_t w = 0; w < f; w++) {
            int64_t at = w * a.n_features;
            add_gradients(&a.second, w, d_features + at, a.feature_slopes + at, a.feature_moments + at, a.n_features);
        }
    }
    *loss = sum_of_losses / n;
    normalise_adjoint(&a.second, n_condensed, n_second, 0, p->second_gain, s->second_epsilon, d->second_gain,
                      d->second_bias, 0);

    /* Back to the pooled signals, whose gradients take their place. */
    for (int64_t i = 0; i < n; i++) {
        const uint8_t *of_trial = bits + i * a.n_pooled * (m * LANES / 8);
        for (int64_t w = 0; w < f; w++) {
            V *d_condensed = a.d_condensed + w * a.n_depth_outputs;
            pool_adjoint(&a.second, w, a.condensed + (i * f + w) * a.depth_size, a.n_depth_outputs, a.n_features,
                         s->second_width, a.d_features + (i * f + w) * a.n_features, d_condensed);
            for (int64_t v = 0; v < m; v++)
                mix_adjoint(a.n_depth_outputs, (real *)(a.depth + (i * m + v) * a.depth_size), LANES,
                            MIN(LANES, n_mixed - v * LANES), d_condensed, a.d_point + w * n_mixed + v * LANES);
        }
        for (int64_t v = 0; v < m; v++) {
            int64_t at = (i * m + v) * a.n_pooled;
            V *pooled = a.pooled + (i * m + v) * a.pooled_size, *d_depth = a.d_depth + s->n_depth_taps - 1;
            memset(a.d_depth, 0, a.d_depth_size * sizeof(V));
            for (int64_t w = 0; w < f; w++)
                mix(a.n_depth_outputs, (real *)(a.d_condensed + w * a.n_depth_outputs), LANES,
                    MIN(LANES, n_condensed - w * LANES), a.point_transposed + v * n_condensed + w * LANES, d_depth);
            correlate(d_depth, a.n_depth_outputs, pooled, a.taps, s->n_depth_taps);
            for (int64_t k = 0; k < s->n_depth_taps; k++) a.d_depth_taps[v * depth_taps_size + k] += a.taps[k];
            correlate(a.depth_reversed + v * depth_taps_size, s->n_depth_taps, a.d_depth + s->depth_margin, pooled,
                      a.n_pooled);
            for (int64_t j = 0; j < a.n_pooled; j++)
                pooled[j] *= where(lanes_set(of_trial + j * (m * LANES / 8), v), all(factor), (V){0});
            add_gradients(&a.norm, v, pooled, a.slopes + at, a.moments + at, a.n_pooled);
        }
    }
    normalise_adjoint(&a.norm, n_mixed, n_values, a.factor, p->gain, s->epsilon, d->gain, d->bias, a.d_factor);

    /* Back to the temporal and the spatial filters. */
    for (int64_t i = 0; i < n; i++) {
        const real *x = windows + trials[i] * s->n_samples * n_channels;
        for (int64_t v = 0; v < m; v++) {
            V *gradient = a.gradient + s->n_taps - 1;
            pool_adjoint(&a.norm, v, a.filtered + (i * m + v) * a.size, a.n_outputs, a.n_pooled, s->width,
                         a.pooled + (i * m + v) * a.pooled_size, gradient);
            correlate(gradient, a.n_outputs, a.mixed + (i * m + v) * a.mixed_size, a.taps, s->n_taps);
            for (int64_t k = 0; k < s->n_taps; k++) a.d_temporal[v * taps_size + k] += a.taps[k];
            correlate(a.temporal_reversed + v * taps_size, s->n_taps, a.gradient + s->margin, a.d_mixed, s->n_samples);
            mix_adjoint(s->n_samples, x, n_channels, n_channels, a.d_mixed, a.d_spatial + v * n_channels);
        }
    }

    from_lanes(a.d_spatial, n_mixed, n_channels, n_channels, d->spatial);
    from_lanes(a.d_depth_taps, n_mixed, s->n_depth_taps, depth_taps_size, d->depth);
    from_lanes(a.d_point, n_condensed, n_mixed, n_mixed, d->point);
    for (int64_t c = 0; c < s->n_classes; c++)
        from_lanes(a.d_classifier + c * features_size, n_condensed, a.n_features, a.n_features,
                   d->classifier + c * n_condensed * a.n_features);
    double n_convolved = n_values * n_channels;
    for (int64_t filter = 0; filter < s->n_filters; filter++) {
        const real *taps = p->temporal + filter * s->n_taps;
        double by_factor = 0, spread = statistics->temporal_variance[filter] + s->temporal_epsilon;
        for (int64_t o = filter * each; o < (filter + 1) * each; o++) by_factor += a.d_factor[o];
        double by_variance = -0.5 * by_factor * p->temporal_gain[filter] / (spread * sqrt(spread));
        d->temporal_gain[filter] = (real)(by_factor / sqrt(spread));
        d->temporal_bias[filter] = 0; /* without effect before the next norm */
        for (int64_t l = 0; l < s->n_taps; l++) {
            double product = 0, sum = 0;
            for (int64_t k = 0; k < s->n_taps; k++) product += a.products[l * s->n_taps + k] * taps[k];
            for (int64_t o = filter * each; o < (filter + 1) * each; o++)
                sum += ((real *)(a.d_temporal + o / LANES * taps_size + l))[o % LANES];
            d->temporal[filter * s->n_taps + l] = (real)(
                sum + 2 * by_variance * (product / n_convolved - statistics->temporal_mean[filter] * a.sums[l]));
        }
    }
    return 0;
}
