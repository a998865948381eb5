/* What the kernels share: vectors of numbers, the caller's workspace, and the cross entropy.
 *
 * REAL is float or double, INTEGER as wide, LANES 16 (AVX-512) or 8 (AVX2). There is no global state and no
 * allocation: the caller brings the workspace. Each sum has one order, so that results are the same bit for bit at
 * every call.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define MIN(a, b) ((a) < (b) ? (a) : (b))

typedef REAL real;
typedef real V __attribute__((vector_size(LANES * sizeof(real)), may_alias));
typedef real Unaligned __attribute__((vector_size(LANES * sizeof(real)), aligned(sizeof(real)), may_alias));
#define IS_FLOAT (sizeof(real) == 4)
/* As comparisons give them: all bits of a lane, or none. */
typedef INTEGER I __attribute__((vector_size(LANES * sizeof(INTEGER)), may_alias));

INLINE V all(real x) { return x - (V){0}; }
INLINE V load(const real *p) { return *(const Unaligned *)p; }
INLINE void store(real *p, V x) { *(Unaligned *)p = x; }
INLINE V where(I mask, V a, V b) { return (V)((mask & (I)a) | (~mask & (I)b)); }

/* Lanes whose bit is set, from the bits of the vectors of a window. */
INLINE I lanes_set(const uint8_t *bits, int64_t v) {
    uint32_t word = bits[v * LANES / 8];
    if (LANES == 16) word |= (uint32_t)bits[v * 2 + 1] << 8;
    I bit;
    for (int i = 0; i < LANES; i++) bit[i] = 1 << i;
    return (I)((((I){0} + (INTEGER)word) & bit) != 0);
}

/* The workspace, piece by piece; without a workspace the pieces are only counted. */
typedef struct {
    char *base;
    int64_t used;
} Space;

static void *take(Space *space, int64_t n, int64_t size) {
    void *piece = space->base ? space->base + space->used : 0;
    space->used += (n * size + 127) / 128 * 128;
#ifdef PIECES_APART /* so that a sanitizer sees where one ends */
    if (piece) piece = aligned_alloc(128, (n * size + 127) / 128 * 128);
#endif
    return piece;
}

/* Cross entropy of a crop, and the gradient by its logits of the mean over n crops. */
INLINE double cross_entropy(const real *logits, int64_t n_classes, int64_t label, int64_t n, real *gradient) {
    double largest = -INFINITY, exponentials = 0;
    for (int64_t c = 0; c < n_classes; c++) largest = MAX(logits[c], largest);
    for (int64_t c = 0; c < n_classes; c++) exponentials += exp(logits[c] - largest);
    for (int64_t c = 0; c < n_classes; c++) {
        double probability = exp(logits[c] - largest) / exponentials;
        gradient[c] = (real)((probability - (c == label)) / n);
    }
    return log(exponentials) + largest - logits[label];
}

/* The digest of the source, and its compiler. */
const char *const built_from = BUILT_FROM;
