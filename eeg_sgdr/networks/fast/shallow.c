/* ShallowFBCSPNet's mean cross entropy and its gradients, from spectra of tiles, in one function.
 *
 * The notation is that of fast/shallow.py and fast/tiles.py. Times differ from there in their order: between the
 * matrix products and the logits the numbers of a vector are filters of one crop, or of a few crops of a unit (lane
 * i = crop * n_filters + filter), so that all steps are the same for all numbers of a vector, and any number of
 * filters fills whole vectors as well as it can.
 *
 * Where the compiler may use them, the products of spectra and filters, and their adjoints, are of bfloat16 numbers
 * with float32 sums (numerics.precision: mixed): prepared spectra are bfloat16, filters and gradients are rounded here.
 */
#include "vectors.h"

/* Columns of a block of products that fit into the registers, in vectors, and rows. */
enum { COLUMNS = LANES == 16 ? 5 : 2, ROWS = 5, INPUTS = 4, CACHE = 1 << 20 };

/* What products multiply: numbers, or pairs of bfloat16 numbers, the first in the lower half. */
#ifdef __AVX512BF16__
#include <immintrin.h>
enum { PER_FACTOR = 2 };
typedef uint16_t prepared_number;
typedef uint32_t factor __attribute__((aligned(2), may_alias));
typedef uint32_t Factors __attribute__((vector_size(LANES * sizeof(uint32_t)), may_alias));
INLINE V multiply_add(V sum, Factors x, Factors w) {
    return (V)_mm512_dpbf16_ps((__m512)sum, (__m512bh)x, (__m512bh)w);
}
#else
enum { PER_FACTOR = 1 };
typedef real prepared_number, factor;
typedef V Factors;
INLINE V multiply_add(V sum, Factors x, Factors w) { return sum + x * w; }
#endif
INLINE Factors all_factors(factor x) { return x - (Factors){0}; }
INLINE Factors load_factors(const factor *p) { return (Factors)load((const real *)p); }

typedef struct {
    int64_t n_crops, n_prepared, n_channels, n_filters, n_filter_taps, n_classes, n_tiles, length, size, n_outputs;
    int64_t window, stride, n_windows, n_taps, dilation, n_positions;
    int64_t crops_per_unit, n_lanes, n_columns;
    double epsilon, norm_epsilon, kept;
} Shape;

/* Natural logarithm; of NaN and infinity they themselves. Numbers are positive and normal. */
INLINE V logarithm(V x) {
    if (!IS_FLOAT) {
        V y;
        for (int i = 0; i < LANES; i++) y[i] = (real)log((double)x[i]);
        return y;
    }
    /* x = 2^e (1 + f), sqrt(1/2) <= 1 + f < sqrt(2), and the polynomial of Cephes' logf. */
    I bits = (I)x, e = (bits - 0x3f3504f3) >> 23;
    V f = (V)(bits - (e << 23)) - 1, z = f * f;
    V p = all(7.0376836292e-2f);
    p = p * f - 1.1514610310e-1f;
    p = p * f + 1.1676998740e-1f;
    p = p * f - 1.2420140846e-1f;
    p = p * f + 1.4249322787e-1f;
    p = p * f - 1.6668057665e-1f;
    p = p * f + 2.0000714765e-1f;
    p = p * f - 2.4999993993e-1f;
    p = p * f + 3.3333331174e-1f;
    V exponent = __builtin_convertvector(e, V);
    V y = exponent * -2.12194440e-4f + p * f * z - z * (real)0.5 + f + exponent * 0.693359375f;
    return where((I)(x < (real)INFINITY), y, x);
}

/* Fourier transform of n complex vectors (re, im), n a power of 2, Stockham's; the result is x or y. */
INLINE V *transform(int64_t n_points, V *x, V *y, const real *cosine, const real *sine) {
    int64_t n = n_points, s = 1;
    for (; n >= 4; n /= 4, s *= 4) {
        int64_t m = n / 4, step = n_points / n;
        for (int64_t p = 0; p < m; p++) {
            V c1 = all(cosine[p * step]), s1 = all(sine[p * step]);
            V c2 = all(cosine[2 * p * step]), s2 = all(sine[2 * p * step]);
            V c3 = all(cosine[3 * p * step]), s3 = all(sine[3 * p * step]);
            for (int64_t q = 0; q < s; q++) {
                const V *a = x + 2 * (q + s * p), *b = a + 2 * s * m, *c = b + 2 * s * m, *d = c + 2 * s * m;
                V ac_re = a[0] + c[0], ac_im = a[1] + c[1], a_c_re = a[0] - c[0], a_c_im = a[1] - c[1];
                V bd_re = b[0] + d[0], bd_im = b[1] + d[1], b_d_re = b[0] - d[0], b_d_im = b[1] - d[1];
                V *o = y + 2 * (q + 4 * s * p);
                V re1 = a_c_re + b_d_im, im1 = a_c_im - b_d_re, re3 = a_c_re - b_d_im, im3 = a_c_im + b_d_re;
                V re2 = ac_re - bd_re, im2 = ac_im - bd_im;
                o[0] = ac_re + bd_re, o[1] = ac_im + bd_im;
                o[2 * s] = re1 * c1 - im1 * s1, o[2 * s + 1] = re1 * s1 + im1 * c1;
                o[4 * s] = re2 * c2 - im2 * s2, o[4 * s + 1] = re2 * s2 + im2 * c2;
                o[6 * s] = re3 * c3 - im3 * s3, o[6 * s + 1] = re3 * s3 + im3 * c3;
            }
        }
        V *t = x;
        x = y, y = t;
    }
    if (n == 1) return x;
    for (int64_t q = 0; q < s; q++) {
        const V *a = x + 2 * q, *b = a + 2 * s;
        V *o = y + 2 * q;
        o[0] = a[0] + b[0], o[1] = a[1] + b[1];
        o[2 * s] = a[0] - b[0], o[2 * s + 1] = a[1] - b[1];
    }
    return y;
}

INLINE V *transformed(int64_t n_points, V *x, V *y, const real *cosine, const real *sine) {
    switch (n_points) { /* lengths known to the compiler */
    case 32: return transform(32, x, y, cosine, sine);
    case 64: return transform(64, x, y, cosine, sine);
    case 128: return transform(128, x, y, cosine, sine);
    default: return transform(n_points, x, y, cosine, sine);
    }
}

INLINE void copy(real *to, const real *from, int64_t n) {
    for (; n >= LANES; n -= LANES, to += LANES, from += LANES) store(to, load(from));
    if (LANES == 16 && n >= 8) {
        memcpy(to, from, 8 * sizeof(real));
        n -= 8, to += 8, from += 8;
    }
    for (int64_t i = 0; i < n; i++) to[i] = from[i];
}

/* out[j][:] = sum over i of x[j][i] w[i][:] for rows j, of some columns. */
INLINE void rows_times(int rows, int columns, const factor *const *x, int64_t n, const factor *w, int64_t n_columns,
                       real *out) {
    V sum[ROWS][COLUMNS];
    for (int j = 0; j < rows; j++)
        for (int v = 0; v < columns; v++) sum[j][v] = (V){0};
    for (int64_t i = 0; i < n; i++, w += n_columns) {
        Factors weight[COLUMNS];
        for (int v = 0; v < columns; v++) weight[v] = load_factors(w + v * LANES);
        for (int j = 0; j < rows; j++) {
            Factors value = all_factors(x[j][i]);
            for (int v = 0; v < columns; v++) sum[j][v] = multiply_add(sum[j][v], value, weight[v]);
        }
    }
    for (int j = 0; j < rows; j++)
        for (int v = 0; v < columns; v++) store(out + j * n_columns + v * LANES, sum[j][v]);
}

/* out[j][:] += sum over rows of x[row][j] w[row][:] for some inputs j, of some columns. */
INLINE void inputs_times(int inputs, int columns, const factor *const *x, int64_t first, int64_t n, const factor *w,
                         int64_t n_columns, real *out) {
    V sum[INPUTS][COLUMNS];
    for (int j = 0; j < inputs; j++)
        for (int v = 0; v < columns; v++) sum[j][v] = load(out + j * n_columns + v * LANES);
    for (int64_t row = 0; row < n; row++, w += n_columns) {
        Factors weight[COLUMNS];
        for (int v = 0; v < columns; v++) weight[v] = load_factors(w + v * LANES);
        for (int j = 0; j < inputs; j++) {
            Factors value = all_factors(x[row][first + j]);
            for (int v = 0; v < columns; v++) sum[j][v] = multiply_add(sum[j][v], value, weight[v]);
        }
    }
    for (int j = 0; j < inputs; j++)
        for (int v = 0; v < columns; v++) store(out + j * n_columns + v * LANES, sum[j][v]);
}

/* A switch gives each number of rows (and of columns) code of its own, whose sums stay in registers. */
#define BY_COLUMNS(function, rows, columns, ...)                                                                   \
    switch (columns) {                                                                                             \
    case 1: function(rows, 1, __VA_ARGS__); break;                                                                 \
    case 2: function(rows, 2, __VA_ARGS__); break;                                                                 \
    case 3: function(rows, MIN(3, COLUMNS), __VA_ARGS__); break;                                                   \
    case 4: function(rows, MIN(4, COLUMNS), __VA_ARGS__); break;                                                   \
    default: function(rows, COLUMNS, __VA_ARGS__);                                                                 \
    }

static void multiply_rows(int64_t rows, const factor *const *x, int64_t n, const factor *w, int64_t n_columns,
                          real *out) {
    int64_t n_vectors = n_columns / LANES;
    for (int64_t v = 0; v < n_vectors; v += COLUMNS) {
        int64_t columns = MIN(COLUMNS, n_vectors - v);
        const factor *from = w + v * LANES;
        real *to = out + v * LANES;
        if (rows == ROWS) {
            BY_COLUMNS(rows_times, ROWS, columns, x, n, from, n_columns, to)
        } else {
            for (int64_t j = 0; j < rows; j++)
                BY_COLUMNS(rows_times, 1, columns, x + j, n, from, n_columns, to + j * n_columns)
        }
    }
}

static void multiply_inputs(int64_t inputs, const factor *const *x, int64_t first, int64_t n, const factor *w,
                            int64_t n_columns, real *out) {
    int64_t n_vectors = n_columns / LANES;
    for (int64_t v = 0; v < n_vectors; v += COLUMNS) {
        int64_t columns = MIN(COLUMNS, n_vectors - v);
        const factor *from = w + v * LANES;
        real *to = out + v * LANES;
        if (inputs == INPUTS) {
            BY_COLUMNS(inputs_times, INPUTS, columns, x, first, n, from, n_columns, to)
        } else {
            for (int64_t j = 0; j < inputs; j++)
                BY_COLUMNS(inputs_times, 1, columns, x, first + j, n, from, n_columns, to + j * n_columns)
        }
    }
}

typedef struct {
    real *cosine, *sine, *half_cosine, *half_sine; /* of length / 2 points, and of length */
    V *y;                                          /* (n_units, n_vectors, n_tiles * size) */
    V *means, *squares_about;                      /* of parts: (n_units, n_vectors, n_parts) */
    V *d_squares;                                  /* (n_units, n_vectors, values, or parts) */
    real *spectra;                                 /* (units of a group, n_frequencies, re or im, n_tiles, n_lanes) */
    V *points[2], *squares, *suffix, *slopes, *segments, *sums, *gradients;
    real *rows, *readout, *d_readout, *lanes, *logits, *d_logits;
    double *total, *moment;
    const factor **from, **paired;
    factor *paired_weight, *paired_rows, *paired_inputs; /* of bfloat16 products */
    real *weight, *d_weight; /* ((Re W, Im W), (-Im W, Re W)) transposed: (n_frequencies, 2 * n_channels, n_columns) */
    real *waves, *taps, *filters; /* (n_frequencies, re or im, n_filter_taps), filters at taps, and at frequencies */
    int64_t *to, *bounds, *first, *last, *chosen;
    int64_t *starts; /* of parts, and the end */
    int64_t n_units, group, n_frequencies, n_times, spectra_size, n_vectors;
    int64_t n_parts, n_pooled, per_window, step, n_gradients, n_wide;
} Arrays;

/* Parts of the outputs, for their means and variances: stretches that lie in the same windows, and a rest that lies in
 * none. A window is per_window of them, the next begins a step further. If windows begin at every value, these
 * are as short as that, and parts are tiles. */
static void count_parts(const Shape *s, Arrays *a) {
    int64_t whole = s->window / s->stride, more = s->window % s->stride > 0;
    int64_t n_covered = (s->n_windows - 1) * s->stride + s->window;
    a->step = 1 + more;
    a->per_window = a->step * whole + more;
    a->n_pooled = (s->n_windows - 1) * a->step + a->per_window;
    a->n_parts = s->stride == 1 ? s->n_tiles : a->n_pooled + (n_covered < s->n_outputs);
    a->n_gradients = s->stride == 1 ? s->n_outputs : a->n_parts;
}

static void start_parts(const Shape *s, const Arrays *a) {
    int64_t length = s->stride == 1 ? s->size : s->stride;
    for (int64_t i = 0; i < a->n_parts; i++)
        a->starts[i] = i / a->step * length + (i % a->step) * (s->window % s->stride);
    a->starts[a->n_parts] = s->n_outputs;
}

static Arrays arrays(const Shape *s, Space *space) {
    Arrays a;
    int64_t n = s->length, vector = sizeof(V);
    a.n_frequencies = n / 2 + 1;
    a.n_vectors = s->n_lanes / LANES;
    a.n_units = (s->n_crops + s->crops_per_unit - 1) / s->crops_per_unit;
    a.n_times = s->n_tiles * s->size;
    a.spectra_size = a.n_frequencies * 2 * s->n_tiles * s->n_lanes;
    a.group = MIN(a.n_units, MAX(1, CACHE / (a.spectra_size * (int64_t)sizeof(real))));
    int64_t n_rows = a.group * s->crops_per_unit * s->n_tiles;
    int64_t n_of_vectors = a.n_units * a.n_vectors;
    count_parts(s, &a);
    a.y = take(space, n_of_vectors * a.n_times, vector);
    a.means = take(space, n_of_vectors * a.n_parts, vector);
    a.squares_about = take(space, n_of_vectors * a.n_parts, vector);
    a.d_squares = take(space, n_of_vectors * a.n_gradients, vector);
    a.starts = take(space, a.n_parts + 1, sizeof(int64_t));
    a.spectra = take(space, a.group * a.spectra_size, sizeof(real));
    a.cosine = take(space, n, sizeof(real));
    a.sine = take(space, n, sizeof(real));
    a.half_cosine = take(space, n, sizeof(real));
    a.half_sine = take(space, n, sizeof(real));
    for (int i = 0; i < 2; i++) a.points[i] = take(space, n + 2, vector);
    a.squares = take(space, s->window + 1, vector);
    a.suffix = take(space, s->window + 1, vector);
    a.slopes = take(space, a.n_vectors * s->n_windows, vector);
    a.segments = take(space, 2 * s->n_taps, vector);
    a.sums = take(space, a.n_vectors * s->n_taps, vector);
    a.gradients = take(space, s->n_taps, vector);
    a.rows = take(space, MAX(n_rows, ROWS) * s->n_columns, sizeof(real));
    a.readout = take(space, s->n_classes * s->n_taps * s->n_lanes, sizeof(real));
    a.d_readout = take(space, s->n_classes * s->n_taps * s->n_lanes, sizeof(real));
    a.lanes = take(space, (s->n_classes + 6) * s->n_lanes, sizeof(real));
    a.logits = take(space, s->crops_per_unit * s->n_classes, sizeof(real));
    a.d_logits = take(space, s->n_classes, sizeof(real));
    a.total = take(space, s->n_lanes, sizeof(double));
    a.moment = take(space, s->n_lanes, sizeof(double));
    a.from = take(space, n_rows, sizeof(factor *));
    int64_t n_pairs = PER_FACTOR == 2 ? (n_rows + 1) / 2 : 0;
    a.paired = take(space, n_pairs, sizeof(factor *));
    a.paired_rows = take(space, n_pairs * s->n_columns, sizeof(factor));
    a.paired_inputs = take(space, n_pairs * 2 * s->n_channels, sizeof(factor));
    int64_t n_weights = a.n_frequencies * 2 * s->n_channels * s->n_columns;
    a.paired_weight = take(space, PER_FACTOR == 2 ? n_weights / 2 : 0, sizeof(factor));
    a.weight = take(space, n_weights, sizeof(real));
    a.d_weight = take(space, n_weights, sizeof(real));
    a.n_wide = (s->n_channels * s->n_filters + LANES - 1) / LANES * LANES;
    a.waves = take(space, 2 * a.n_frequencies * s->n_filter_taps, sizeof(real));
    a.taps = take(space, s->n_filter_taps * a.n_wide, sizeof(real));
    a.filters = take(space, 2 * a.n_frequencies * a.n_wide, sizeof(real));
    a.to = take(space, n_rows, sizeof(int64_t));
    a.bounds = take(space, 2 * s->n_taps + 1, sizeof(int64_t));
    a.first = take(space, s->n_taps, sizeof(int64_t));
    a.last = take(space, s->n_taps, sizeof(int64_t));
    a.chosen = take(space, a.n_units * s->crops_per_unit, sizeof(int64_t));
    return a;
}

static int64_t place(const int64_t *bounds, int64_t value) {
    int64_t i = 0;
    while (bounds[i] < value) i++;
    return i;
}

/* Windows between neighbouring beginnings and ends of taps; those of a tap are segments first ... last - 1. */
static int64_t cut(const Shape *s, Arrays *a) {
    int64_t n = 0;
    for (int64_t start = 0, end = 0, at = -1; end < s->n_taps;) {
        int64_t begin = start < s->n_taps ? start * s->dilation : INT64_MAX;
        int64_t finish = end * s->dilation + s->n_positions;
        int64_t next = MIN(begin, finish);
        start += begin == next, end += finish == next;
        if (next > at) a->bounds[n++] = at = next;
    }
    for (int64_t k = 0; k < s->n_taps; k++) {
        a->first[k] = place(a->bounds, k * s->dilation);
        a->last[k] = place(a->bounds, k * s->dilation + s->n_positions);
    }
    return n - 1;
}

/* Spectra of crops at frequency k into the cache; half a row a line, as it is laid out. */
static void fetch(const Shape *s, const prepared_number *prepared, int64_t k, int64_t crop) {
    int64_t size = s->n_tiles * 2 * s->n_channels * (int64_t)sizeof(prepared_number);
    const char *p = (const char *)prepared + (k * s->n_prepared + crop) * size;
    for (int64_t i = 0; i < size; i += 64) __builtin_prefetch(p + i, 0, 2);
}

/* Where the rows of a group's units are read, and where their products are kept (at frequency 0). */
static int64_t list_rows(const Shape *s, Arrays *a, const prepared_number *prepared, int64_t first, int64_t n_units) {
    int64_t n = 0;
    for (int64_t unit = 0; unit < n_units; unit++)
        for (int64_t i = 0; i < s->crops_per_unit; i++)
            for (int64_t tile = 0; tile < s->n_tiles; tile++, n++) {
                int64_t crop = a->chosen[(first + unit) * s->crops_per_unit + i];
                a->from[n] = (const factor *)(prepared + (crop * s->n_tiles + tile) * 2 * s->n_channels);
                a->to[n] = unit * a->spectra_size + tile * s->n_lanes + i * s->n_filters;
            }
    return n;
}

/* out[i][:] = sum over j < n of x[i * row + j * next] w[j][:], of n_wide columns. */
static void combine(const Arrays *a, int64_t n_rows, int64_t n, const real *x, int64_t row, int64_t next,
                    const real *w, real *out) {
    enum { AT_ONCE = 8 };
    for (int64_t v = 0; v < a->n_wide; v += LANES)
        for (int64_t i = 0; i < n_rows; i += AT_ONCE) {
            int64_t rows[AT_ONCE]; /* the last one repeatedly */
            for (int k = 0; k < AT_ONCE; k++) rows[k] = MIN(i + k, n_rows - 1);
            V sum[AT_ONCE] = {{0}};
            for (int64_t j = 0; j < n; j++) {
                V value = load(w + j * a->n_wide + v);
                for (int k = 0; k < AT_ONCE; k++) sum[k] += x[rows[k] * row + j * next] * value;
            }
            for (int k = 0; k < AT_ONCE; k++) store(out + rows[k] * a->n_wide + v, sum[k]);
        }
}

/* Matrices of products from filters (n_filter_taps, n_channels, n_filters). */
static void transform_filters(const Shape *s, const Arrays *a, const real *filters) {
    int64_t n_taps = s->n_filter_taps, n_rows = 2 * a->n_frequencies, n_f = s->n_filters, n = s->n_channels * n_f;
    for (int64_t k = 0; k < a->n_frequencies; k++)
        for (int64_t l = 0; l < n_taps; l++) {
            a->waves[2 * k * n_taps + l] = a->cosine[k * l % s->length];
            a->waves[(2 * k + 1) * n_taps + l] = a->sine[k * l % s->length];
        }
    memset(a->taps, 0, n_taps * a->n_wide * sizeof(real));
    for (int64_t l = 0; l < n_taps; l++) memcpy(a->taps + l * a->n_wide, filters + l * n, n * sizeof(real));
    combine(a, n_rows, n_taps, a->waves, n_taps, 1, a->taps, a->filters);
    for (int64_t k = 0; k < a->n_frequencies; k++) {
        const real *re = a->filters + 2 * k * a->n_wide, *im = re + a->n_wide;
        real *upper = a->weight + k * 2 * s->n_channels * s->n_columns, *lower = upper + s->n_channels * s->n_columns;
        for (int64_t c = 0; c < s->n_channels; c++, re += n_f, im += n_f) {
            copy(upper, re, n_f), copy(upper + n_f, im, n_f), copy(lower + n_f, re, n_f);
            for (int64_t f = 0; f < n_f; f++) lower[f] = -im[f];
            for (int64_t f = 2 * n_f; f < s->n_columns; f++) upper[f] = lower[f] = 0;
            upper += s->n_columns, lower += s->n_columns;
        }
    }
}

/* Adjoint of `transform_filters`. */
static void transform_filters_adjoint(const Shape *s, const Arrays *a, real *d_filters) {
    int64_t n_taps = s->n_filter_taps, n_rows = 2 * a->n_frequencies, n_f = s->n_filters, n = s->n_channels * n_f;
    for (int64_t k = 0; k < a->n_frequencies; k++) {
        real *re = a->filters + 2 * k * a->n_wide, *im = re + a->n_wide;
        const real *upper = a->d_weight + k * 2 * s->n_channels * s->n_columns;
        const real *lower = upper + s->n_channels * s->n_columns;
        for (int64_t c = 0; c < s->n_channels; c++, re += n_f, im += n_f) {
            for (int64_t f = 0; f < n_f; f++) {
                re[f] = upper[f] + lower[n_f + f];
                im[f] = upper[n_f + f] - lower[f];
            }
            upper += s->n_columns, lower += s->n_columns;
        }
    }
    combine(a, n_taps, n_rows, a->waves, 1, n_taps, a->filters, a->taps);
    for (int64_t l = 0; l < n_taps; l++) memcpy(d_filters + l * n, a->taps + l * a->n_wide, n * sizeof(real));
}

/* What is multiplied and summed over rows: inputs of each row, or pair of rows, and numbers of its columns. */
typedef struct {
    const factor *const *inputs, *columns;
    int64_t n;
} Rows;

#ifdef __AVX512BF16__
/* Bits of bfloat16 numbers, rounded to the nearest even, in the upper halves; infinity and NaN stay what they are. */
INLINE Factors rounded(V x) {
    Factors bits = (Factors)x, up = bits + 0x7fff + ((bits >> 16) & 1), known = (Factors)(x == x);
    return (known & up) | (~known & (bits | 1 << 22));
}

/* Rows 0 and 1, 2 and 3 ... as pairs; a last row without another is paired with zeros. */
static void pair_rows(int64_t n_rows, int64_t n_columns, const real *rows, factor *out) {
    for (int64_t row = 0; row < n_rows; row += 2, rows += 2 * n_columns, out += n_columns)
        for (int64_t i = 0; i < n_columns; i += LANES) {
            V second = row + 1 < n_rows ? load(rows + n_columns + i) : (V){0};
            Factors pairs = (rounded(load(rows + i)) >> 16) | (rounded(second) & 0xffff0000);
            store((real *)(out + i), (V)pairs);
        }
}

static const factor *weight_factors(const Shape *s, const Arrays *a) {
    pair_rows(a->n_frequencies * 2 * s->n_channels, s->n_columns, a->weight, a->paired_weight);
    return a->paired_weight;
}

static Rows row_factors(const Shape *s, const Arrays *a, int64_t n_rows) {
    int64_t n_inputs = 2 * s->n_channels, n = 0;
    pair_rows(n_rows, s->n_columns, a->rows, a->paired_rows);
    for (int64_t row = 0; row < n_rows; row += 2, n++) {
        const prepared_number *x = (const prepared_number *)a->from[row];
        factor *pairs = a->paired_inputs + n * n_inputs;
        a->paired[n] = pairs;
        for (int64_t i = 0; i < n_inputs; i++) pairs[i] = x[i];
        if (row + 1 == n_rows) break;
        x = (const prepared_number *)a->from[row + 1];
        for (int64_t i = 0; i < n_inputs; i++) pairs[i] |= (factor)x[i] << 16;
    }
    return (Rows){a->paired, a->paired_rows, (n_rows + 1) / 2};
}
#else
static const factor *weight_factors(const Shape *s, const Arrays *a) {
    (void)s;
    return a->weight;
}

static Rows row_factors(const Shape *s, const Arrays *a, int64_t n_rows) {
    (void)s;
    return (Rows){a->from, a->rows, n_rows};
}
#endif

/* Products of spectra and filters of a group of units. */
static void multiply(const Shape *s, Arrays *a, const prepared_number *prepared, const factor *weight, int64_t n_rows,
                     const int64_t *chosen, int64_t n_crops) {
    int64_t n_factors = 2 * s->n_channels / PER_FACTOR, next = s->n_prepared * s->n_tiles * n_factors;
    for (int64_t k = 0; k < a->n_frequencies; k++, weight += n_factors * s->n_columns) {
        int64_t fetched = 0;
        for (int64_t row = 0; row < n_rows; row += ROWS) {
            int64_t rows = MIN(ROWS, n_rows - row);
            if (k + 1 < a->n_frequencies)
                for (; fetched < n_crops && fetched * n_rows <= row * n_crops; fetched++)
                    fetch(s, prepared, k + 1, chosen[fetched]);
            multiply_rows(rows, a->from + row, n_factors, weight, s->n_columns, a->rows);
            for (int64_t j = 0; j < rows; j++) {
                real *re = a->spectra + k * 2 * s->n_tiles * s->n_lanes + a->to[row + j];
                copy(re, a->rows + j * s->n_columns, s->n_filters);
                copy(re + s->n_tiles * s->n_lanes, a->rows + j * s->n_columns + s->n_filters, s->n_filters);
            }
        }
        for (int64_t row = 0; row < n_rows; row++) a->from[row] += next;
    }
}

/* Adjoint of `multiply` to the filters; spectra are gradients. */
static void multiply_adjoint(const Shape *s, Arrays *a, const prepared_number *prepared, int64_t n_rows,
                             const int64_t *chosen, int64_t n_crops) {
    real *d_weight = a->d_weight;
    int64_t n_inputs = 2 * s->n_channels, next = s->n_prepared * s->n_tiles * n_inputs / PER_FACTOR;
    for (int64_t k = 0; k < a->n_frequencies; k++, d_weight += n_inputs * s->n_columns) {
        for (int64_t row = 0; row < n_rows; row++) {
            const real *re = a->spectra + k * 2 * s->n_tiles * s->n_lanes + a->to[row];
            copy(a->rows + row * s->n_columns, re, s->n_filters);
            copy(a->rows + row * s->n_columns + s->n_filters, re + s->n_tiles * s->n_lanes, s->n_filters);
        }
        Rows rows = row_factors(s, a, n_rows);
        int64_t fetched = 0;
        for (int64_t i = 0; i < n_inputs; i += INPUTS) {
            if (k + 1 < a->n_frequencies)
                for (; fetched < n_crops && fetched * n_inputs <= i * n_crops; fetched++)
                    fetch(s, prepared, k + 1, chosen[fetched]);
            multiply_inputs(MIN(INPUTS, n_inputs - i), rows.inputs, i, rows.n, rows.columns, s->n_columns,
                            d_weight + i * s->n_columns);
        }
        for (int64_t row = 0; row < n_rows; row++) a->from[row] += next;
    }
}

/* One vector of filters' outputs of one tile from their spectra; two real points are one complex one. */
static V *to_times(const Shape *s, const Arrays *a, const V *spectra) {
    int64_t half = s->length / 2, im = s->n_tiles * a->n_vectors, next = 2 * im;
    V *z = a->points[0];
    for (int64_t k = 0; k <= half / 2; k++) {
        const V *p = spectra + k * next, *q = spectra + (half - k) * next;
        V p_im = k ? p[im] : (V){0}, q_im = k ? -q[im] : (V){0};
        V e_re = p[0] + q[0], e_im = p_im + q_im, d_re = p[0] - q[0], d_im = p_im - q_im;
        V c = all(a->cosine[k]), w = all(a->sine[k]);
        V o_re = d_re * c - d_im * w, o_im = d_re * w + d_im * c;
        /* Imaginary parts before real ones: so the transform is the inverse one. */
        z[2 * k] = e_im + o_re, z[2 * k + 1] = e_re - o_im;
        if (k && 2 * k != half) z[2 * (half - k)] = o_re - e_im, z[2 * (half - k) + 1] = e_re + o_im;
    }
    return transformed(half, z, a->points[1], a->half_cosine, a->half_sine);
}

/* Adjoint of `to_times`, of the points in a->points[0]. */
static void to_spectra(const Shape *s, const Arrays *a, V *spectra) {
    int64_t half = s->length / 2, im = s->n_tiles * a->n_vectors, next = 2 * im;
    const V *z = transformed(half, a->points[0], a->points[1], a->half_cosine, a->half_sine);
    real scale = (real)1 / s->length;
    for (int64_t k = 0; k <= half / 2; k++) {
        V *p = spectra + k * next, *q = spectra + (half - k) * next;
        const V *f = z + 2 * k, *g = z + 2 * ((half - k) % half);
        V e_re = f[0] + g[0], e_im = f[1] - g[1], d_re = f[0] - g[0], d_im = f[1] + g[1];
        V c = all(a->cosine[k]), w = all(a->sine[k]);
        V o_re = d_im * c - d_re * w, o_im = -d_im * w - d_re * c;
        if (k == 0) {
            p[0] = (e_re + o_re) * (scale / 2), q[0] = (e_re - o_re) * (scale / 2);
            p[im] = q[im] = (V){0};
        } else {
            p[0] = (e_re + o_re) * scale, p[im] = (e_im + o_im) * scale;
            if (2 * k != half) q[0] = (e_re - o_re) * scale, q[im] = (o_im - e_im) * scale;
        }
    }
}

/* A vector of a unit: its outputs, what is known of its parts, and u = (y - mean) * scale + shift. */
typedef struct {
    V *y, *means, *squares_about, *d_squares, mean, scale, shift;
} Vector;

static Vector vector(const Arrays *a, int64_t unit, int64_t v, V mean, V scale, V shift) {
    int64_t i = unit * a->n_vectors + v;
    return (Vector){a->y + i * a->n_times, a->means + i * a->n_parts, a->squares_about + i * a->n_parts,
                    a->d_squares + i * a->n_gradients, mean, scale, shift};
}

/* Means of parts and sums of squares about them, and those of all values so far. */
static void summarise(const int64_t *starts, int64_t first, int64_t last, const Vector *x, V *mean, V *squares) {
    for (int64_t part = first; part < last; part++) {
        int64_t start = starts[part], n = starts[part + 1] - start;
        const V *y = x->y + start;
        V sum = {0}, about = {0};
        for (int64_t i = 0; i < n; i++) sum += y[i];
        V of_part = sum * ((real)1 / n), delta = of_part - *mean;
        for (int64_t i = 0; i < n; i++) {
            V rest = y[i] - of_part;
            about += rest * rest;
        }
        x->means[part] = of_part, x->squares_about[part] = about;
        *mean += delta * ((real)n / (start + n));
        *squares += about + delta * delta * ((real)n * start / (start + n));
    }
}

/* Outputs of a unit from the spectra of its tiles, and the lanes' means and sums of squares about them. */
static void convolve(const Shape *s, const Arrays *a, const V *spectra, int64_t unit, V *means, V *squares) {
    real scale = (real)1 / s->length;
    for (int64_t v = 0; v < a->n_vectors; v++) means[v] = squares[v] = (V){0};
    for (int64_t tile = 0, part = 0, done = 0; tile < s->n_tiles; tile++, part = done) {
        int64_t before = tile * s->size, valid = MIN(s->size, s->n_outputs - before);
        while (done < a->n_parts && a->starts[done + 1] <= before + valid) done++;
        for (int64_t v = 0; v < a->n_vectors; v++) {
            const V *z = to_times(s, a, spectra + tile * a->n_vectors + v);
            Vector x = vector(a, unit, v, (V){0}, (V){0}, (V){0});
            for (int64_t i = 0; i < valid; i++) x.y[before + i] = z[i ^ 1] * scale;
            summarise(a->starts, part, done, &x, means + v, squares + v);
        }
    }
}

/* Sum of u^2 over a stretch: a value, or a part. Nothing is subtracted. */
INLINE V power_of(int values, const Arrays *a, const Vector *x, int64_t i) {
    if (values) {
        V u = (x->y[i] - x->mean) * x->scale + x->shift;
        return u * u;
    }
    V u = (x->means[i] - x->mean) * x->scale + x->shift;
    return u * u * (real)(a->starts[i + 1] - a->starts[i]) + x->squares_about[i] * x->scale * x->scale;
}

/* Features' sums over the taps' windows and slopes of one vector. */
INLINE void pool_stretches(int values, const Shape *s, const Arrays *a, const Vector *x, const uint8_t *bits,
                           int64_t v) {
    int64_t w = a->per_window, n_starts = (s->n_windows - 1) * a->step + 1;
    V *squares = a->squares, *suffix = a->suffix, *slopes = a->slopes + v * s->n_windows;
    V epsilon = all((real)s->epsilon), features = {0};
    real kept = (real)s->kept;
    int64_t segment = 0, left = a->bounds[1], until_start = 0, window = 0;
    for (int64_t i = 0; i < w; i++) squares[i] = power_of(values, a, x, i);
    /* A window is the end of w stretches and the beginning of the next w: nothing is subtracted. */
    for (int64_t block = 0; block < n_starts; block += w) {
        V sum = {0}, prefix = {0};
        for (int64_t i = w - 1; i >= 0; i--) suffix[i] = sum += squares[i];
        int64_t n = MIN(w, n_starts - block);
        for (int64_t i = 0; i < n; i++) {
            if (until_start == 0) {
                V power = suffix[i] + prefix;
                I set = lanes_set(bits + window * (s->n_lanes / 8), v), low = (I)(power <= epsilon);
                power = where(low, epsilon, power);
                slopes[window] = where(set & ~low, kept / power, (V){0});
                features += where(set, logarithm(power) * kept, (V){0});
                if (++window == left) {
                    a->segments[segment++] = features;
                    features = (V){0};
                    left = window < s->n_windows ? a->bounds[segment + 1] : 0;
                }
                until_start = a->step;
            }
            until_start--;
            if (block + i + w < a->n_pooled) prefix += squares[i] = power_of(values, a, x, block + i + w);
        }
    }
    for (int64_t k = 0; k < s->n_taps; k++) {
        V sum = {0};
        for (int64_t i = a->first[k]; i < a->last[k]; i++) sum += a->segments[i];
        a->sums[v * s->n_taps + k] = sum;
    }
}

static void pool(const Shape *s, const Arrays *a, const Vector *x, const uint8_t *bits, int64_t v) {
    if (s->stride == 1)
        pool_stretches(1, s, a, x, bits, v);
    else
        pool_stretches(0, s, a, x, bits, v);
}

/* Gradients by the squares of one vector from those by sums over taps; sums of u times them, also times y - mean. */
INLINE void pool_stretches_adjoint(int values, const Shape *s, const Arrays *a, const Vector *x, int64_t n_segments,
                                   int64_t v, V *total, V *moment) {
    int64_t w = a->per_window, segment = -1, next = 0, window = 0, until_start = 0;
    V *squares = a->squares, *suffix = a->suffix, *slopes = a->slopes + v * s->n_windows, gradient = {0};
    for (int64_t i = 0; i < n_segments; i++) a->segments[i] = (V){0};
    for (int64_t k = 0; k < s->n_taps; k++)
        for (int64_t i = a->first[k]; i < a->last[k]; i++) a->segments[i] += a->gradients[k];
    for (int64_t i = 0; i <= w; i++) suffix[i] = (V){0};
    *total = *moment = (V){0};
    for (int64_t block = 0; block < a->n_pooled; block += w) {
        int64_t n = MIN(w, a->n_pooled - block);
        V prefix = {0};
        for (int64_t i = 0; i < n; i++) {
            squares[i] = (V){0};
            if (until_start == 0 && window < s->n_windows) {
                if (window == next) gradient = a->segments[++segment], next = a->bounds[segment + 1];
                squares[i] = gradient * slopes[window++];
                until_start = a->step;
            }
            until_start--;
            prefix += squares[i];
            int64_t at = block + i;
            V d_square = prefix + suffix[i + 1], rest = (values ? x->y : x->means)[at] - x->mean;
            V value = (rest * x->scale + x->shift) * d_square;
            if (values) {
                *moment += value * rest;
            } else {
                value *= (real)(a->starts[at + 1] - a->starts[at]);
                *moment += value * rest + x->squares_about[at] * x->scale * d_square;
            }
            *total += value;
            x->d_squares[at] = d_square;
        }
        for (int64_t i = n; i < w; i++) squares[i] = (V){0};
        V sum = {0};
        for (int64_t i = w - 1; i >= 0; i--) suffix[i] = sum += squares[i];
    }
    for (int64_t i = a->n_pooled; i < a->n_gradients; i++) x->d_squares[i] = (V){0};
}

static void pool_adjoint(const Shape *s, const Arrays *a, const Vector *x, int64_t n_segments, int64_t v, V *total,
                         V *moment) {
    if (s->stride == 1)
        pool_stretches_adjoint(1, s, a, x, n_segments, v, total, moment);
    else
        pool_stretches_adjoint(0, s, a, x, n_segments, v, total, moment);
}

/* Gradients by outputs start ... end - 1, through the squares and, by slope and offset, the statistics. */
static void outputs_adjoint(const Shape *s, const Arrays *a, const Vector *x, int64_t start, int64_t end, V slope,
                            V offset, V *out) {
    if (s->stride == 1) {
        for (int64_t i = start; i < end; i++) {
            V of_square = x->d_squares[i];
            *out++ = (x->y[i] - x->mean) * (x->scale * of_square + slope) + (x->shift * of_square + offset);
        }
        return;
    }
    int64_t part = 0;
    while (a->starts[part + 1] <= start) part++;
    for (int64_t i = start; i < end; part++) {
        V of_square = x->d_squares[part];
        V by_rest = x->scale * of_square + slope, constant = x->shift * of_square + offset;
        for (; i < MIN(end, a->starts[part + 1]); i++) *out++ = (x->y[i] - x->mean) * by_rest + constant;
    }
}

/* Bytes of the workspace, whose address is a multiple of 128. */
int64_t shallow_workspace(const Shape *shape) {
    Space space = {0, 0};
    arrays(shape, &space);
    return space.used;
}

/* Mean cross entropy over the crops, its gradients, the logits, and mean and variance of the convolution.
 *
 * filters (n_filter_taps, n_channels, n_filters) are the convolution's, readout (n_classes, n_taps, n_filters) is the
 * classifier divided by n_positions, and bits (n_units, n_windows, n_lanes) are those features that are not dropped.
 * d_filters is of the convolution's outputs divided by 2 * scale, as it is returned.
 * Returns 0, or 1 where a crop or a label does not exist.
 */
int shallow_loss(const Shape *s, void *workspace, const prepared_number *prepared, const real *filters,
                 const int64_t *crops, const int64_t *labels, const real *norm_weight, const real *norm_bias,
                 const real *readout, const real *bias, const uint8_t *bits, real *d_filters, real *d_norm_weight,
                 real *d_norm_bias, real *d_readout, real *d_bias, real *mean, real *variance, real *twice_scale,
                 real *logits, double *loss) {
    int64_t n_filters = s->n_filters, n_lanes = s->n_lanes, n_classes = s->n_classes, n_taps = s->n_taps;
    int64_t per_unit = s->crops_per_unit;
    for (int64_t i = 0; i < s->n_crops; i++)
        if (crops[i] < 0 || crops[i] >= s->n_prepared || labels[i] < 0 || labels[i] >= n_classes) return 1;
    Space space = {workspace, 0};
    Arrays a = arrays(s, &space);
    int64_t n_vectors = a.n_vectors, n_segments = cut(s, &a);
    start_parts(s, &a);
    for (int64_t i = 0; i < s->length; i++) {
        double angle = 2 * 3.14159265358979323846 * i / s->length;
        a.cosine[i] = (real)cos(angle), a.sine[i] = (real)sin(angle);
        a.half_cosine[i] = (real)cos(2 * angle), a.half_sine[i] = (real)-sin(2 * angle);
    }
    /* A last unit that is not full repeats a crop, which counts nowhere. */
    for (int64_t i = 0; i < a.n_units * per_unit; i++) a.chosen[i] = crops[MIN(i, s->n_crops - 1)];
    memset(a.spectra, 0, a.group * a.spectra_size * sizeof(real));
    memset(a.lanes, 0, (n_classes + 6) * n_lanes * sizeof(real));

    /* Convolutions, their means and variances. */
    transform_filters(s, &a, filters);
    const factor *weight = weight_factors(s, &a);
    real *lane_mean = a.lanes + n_classes * n_lanes, *scale = lane_mean + n_lanes, *shift = scale + n_lanes;
    real *alpha = shift + n_lanes, *beta = alpha + n_lanes, *lane_squares = beta + n_lanes;
    double *centre = a.total, *squares = a.moment, n = (double)s->n_crops * s->n_outputs;
    for (int64_t f = 0; f < n_lanes; f++) centre[f] = squares[f] = 0;
    for (int64_t first = 0; first < a.n_units; first += a.group) {
        int64_t n_units = MIN(a.group, a.n_units - first);
        int64_t n_rows = list_rows(s, &a, prepared, first, n_units);
        multiply(s, &a, prepared, weight, n_rows, a.chosen + first * per_unit, n_units * per_unit);
        for (int64_t unit = 0; unit < n_units; unit++) {
            convolve(s, &a, (V *)(a.spectra + unit * a.spectra_size), first + unit, (V *)lane_mean, (V *)lane_squares);
            for (int64_t i = 0, crop = (first + unit) * per_unit; i < per_unit && crop < s->n_crops; i++, crop++)
                for (int64_t f = 0; f < n_filters; f++) {
                    double delta = lane_mean[i * n_filters + f] - centre[f];
                    centre[f] += delta / (crop + 1);
                    squares[f] += lane_squares[i * n_filters + f] + delta * delta * s->n_outputs * crop / (crop + 1);
                }
        }
    }
    double root = 1 / sqrt((double)s->window);
    for (int64_t f = 0; f < n_filters; f++) {
        mean[f] = (real)centre[f];
        variance[f] = (real)(squares[f] / n);
        double factor = norm_weight[f] * root / sqrt(squares[f] / n + s->norm_epsilon);
        for (int64_t lane = f; lane < per_unit * n_filters; lane += n_filters) {
            lane_mean[lane] = mean[f];
            scale[lane] = (real)factor;
            shift[lane] = (real)(norm_bias[f] * root);
        }
    }
    for (int64_t lane = per_unit * n_filters; lane < n_lanes; lane++) lane_mean[lane] = 0;

    /* Features, logits and loss, and back to the convolutions' gradients, unit by unit. */
    memset(a.readout, 0, n_classes * n_taps * n_lanes * sizeof(real));
    memset(a.d_readout, 0, n_classes * n_taps * n_lanes * sizeof(real));
    for (int64_t i = 0; i < n_classes * n_taps; i++)
        for (int64_t lane = 0; lane < per_unit * n_filters; lane++)
            a.readout[i * n_lanes + lane] = readout[i * n_filters + lane % n_filters];
    double *total = a.total, *moment = a.moment, sum_of_losses = 0;
    for (int64_t lane = 0; lane < n_lanes; lane++) total[lane] = moment[lane] = 0;
    for (int64_t c = 0; c < n_classes; c++) d_bias[c] = 0;
    for (int64_t unit = 0; unit < a.n_units; unit++) {
        for (int64_t v = 0; v < n_vectors; v++) {
            Vector x = vector(&a, unit, v, ((V *)lane_mean)[v], ((V *)scale)[v], ((V *)shift)[v]);
            pool(s, &a, &x, bits + unit * s->n_windows * (n_lanes / 8), v);
        }
        for (int64_t c = 0; c < n_classes; c++) {
            for (int64_t v = 0; v < n_vectors; v++) {
                V sum = {0};
                for (int64_t k = 0; k < n_taps; k++)
                    sum += a.sums[v * n_taps + k] * ((V *)(a.readout + (c * n_taps + k) * n_lanes))[v];
                ((V *)a.lanes)[v] = sum;
            }
            for (int64_t i = 0; i < per_unit; i++) {
                real sum = bias[c];
                for (int64_t f = 0; f < n_filters; f++) sum += a.lanes[i * n_filters + f];
                a.logits[i * n_classes + c] = sum;
            }
        }
        memset(a.lanes, 0, n_classes * n_lanes * sizeof(real));
        for (int64_t i = 0, crop = unit * per_unit; i < per_unit && crop < s->n_crops; i++, crop++) {
            const real *of_crop = a.logits + i * n_classes;
            sum_of_losses += cross_entropy(of_crop, n_classes, labels[crop], s->n_crops, a.d_logits);
            for (int64_t c = 0; c < n_classes; c++) {
                d_bias[c] += a.d_logits[c];
                logits[crop * n_classes + c] = of_crop[c];
                for (int64_t f = 0; f < n_filters; f++) a.lanes[c * n_lanes + i * n_filters + f] = a.d_logits[c];
            }
        }
        for (int64_t v = 0; v < n_vectors; v++) {
            for (int64_t k = 0; k < n_taps; k++) {
                V gradient = {0};
                for (int64_t c = 0; c < n_classes; c++) {
                    int64_t at = (c * n_taps + k) * n_vectors + v;
                    V of_class = ((V *)a.lanes)[c * n_vectors + v];
                    gradient += of_class * ((V *)a.readout)[at];
                    ((V *)a.d_readout)[at] += of_class * a.sums[v * n_taps + k];
                }
                a.gradients[k] = gradient;
            }
            V of_unit, by_mean;
            Vector x = vector(&a, unit, v, ((V *)lane_mean)[v], ((V *)scale)[v], ((V *)shift)[v]);
            pool_adjoint(s, &a, &x, n_segments, v, &of_unit, &by_mean);
            for (int i = 0; i < LANES; i++) total[v * LANES + i] += of_unit[i], moment[v * LANES + i] += by_mean[i];
        }
    }
    *loss = sum_of_losses / s->n_crops;

    for (int64_t i = 0; i < n_classes * n_taps; i++)
        for (int64_t f = 0; f < n_filters; f++) {
            real sum = 0;
            for (int64_t j = 0; j < per_unit; j++) sum += a.d_readout[i * n_lanes + j * n_filters + f];
            d_readout[i * n_filters + f] = sum;
        }
    for (int64_t f = 0; f < n_filters; f++) {
        double sum = 0, by_rest = 0, spread = variance[f] + s->norm_epsilon;
        for (int64_t j = 0; j < per_unit; j++) sum += total[j * n_filters + f], by_rest += moment[j * n_filters + f];
        d_norm_bias[f] = (real)(2 * root * sum);
        d_norm_weight[f] = (real)(2 * root * by_rest / sqrt(spread));
        twice_scale[f] = 2 * scale[f];
        for (int64_t lane = f; lane < per_unit * n_filters; lane += n_filters) {
            alpha[lane] = (real)(-sum / n);
            beta[lane] = (real)(-by_rest / (n * spread));
        }
    }

    /* Gradients by the convolutions, and by the filters. */
    memset(a.d_weight, 0, a.n_frequencies * 2 * s->n_channels * s->n_columns * sizeof(real));
    for (int64_t first = 0; first < a.n_units; first += a.group) {
        int64_t n_units = MIN(a.group, a.n_units - first);
        for (int64_t unit = first; unit < first + n_units; unit++) {
            for (int64_t lane = (s->n_crops - unit * per_unit) * n_filters; lane < n_lanes; lane++)
                alpha[lane] = beta[lane] = 0;
            for (int64_t tile = 0; tile < s->n_tiles; tile++) {
                int64_t start = tile * s->size, valid = MIN(s->size, s->n_outputs - start);
                for (int64_t v = 0; v < n_vectors; v++) {
                    Vector x = vector(&a, unit, v, ((V *)lane_mean)[v], ((V *)scale)[v], ((V *)shift)[v]);
                    outputs_adjoint(s, &a, &x, start, start + valid, ((V *)beta)[v], ((V *)alpha)[v], a.points[0]);
                    for (int64_t i = valid; i < s->length; i++) a.points[0][i] = (V){0};
                    to_spectra(s, &a, (V *)(a.spectra + (unit - first) * a.spectra_size) + tile * n_vectors + v);
                }
            }
        }
        int64_t n_rows = list_rows(s, &a, prepared, first, n_units);
        multiply_adjoint(s, &a, prepared, n_rows, a.chosen + first * per_unit, n_units * per_unit);
    }
    transform_filters_adjoint(s, &a, d_filters);
    return 0;
}
