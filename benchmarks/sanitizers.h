/* Random arrays of exactly their size, and random shapes for the kernel before this file; see sanitizers.py. */
#include <stdio.h>

static int64_t between(int64_t low, int64_t high) { return low + rand() % (high - low + 1); }

static real *numbers(int64_t n) {
    real *x = malloc(n * sizeof(real));
    for (int64_t i = 0; i < n; i++) x[i] = (real)rand() / RAND_MAX - (real)0.5;
    return x;
}

static int64_t *integers(int64_t n, int64_t end) {
    int64_t *x = malloc(n * sizeof(int64_t));
    for (int64_t i = 0; i < n; i++) x[i] = between(0, end - 1);
    return x;
}

static uint8_t *bytes(int64_t n) {
    uint8_t *x = malloc(n);
    for (int64_t i = 0; i < n; i++) x[i] = rand();
    return x;
}

/* Whether the kernel is right to refuse a shape's crops and labels, or gives a loss. */
static int check(void);

int main(int argc, char **argv) {
    int n_shapes = atoi(argv[argc - 1]);
    for (int seed = 0; seed < n_shapes; seed++) {
        srand(seed);
        if (!check()) {
            printf("seed %d\n", seed);
            return 1;
        }
    }
    printf("%d shapes\n", n_shapes);
    return 0;
}
