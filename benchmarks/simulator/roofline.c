/* How fast this machine adds rows of int8 weights into accumulators.

   cc -O3 -march=native -o roofline roofline.c -lpthread && ./roofline

   Each kernel adds, for a list of sources, the source's contiguous row of weights to a row of
   accumulators, as an event-driven simulator does for the spikes of one step. A tile of the
   accumulators stays in registers while all sources of the list pass; the weights come from L1 or
   L2. Prints one line of JSON: synaptic operations a second by kernel and number of threads. */

#ifdef __AVX512BW__
#include <immintrin.h>
#endif
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Compilers differ in how well they widen vectors, so AVX-512 is spelt out. */
typedef int32_t i32x16 __attribute__((vector_size(64)));
typedef int16_t i16x32 __attribute__((vector_size(64)));
typedef int16_t i16x16 __attribute__((vector_size(32)));
typedef int8_t i8x16 __attribute__((vector_size(16)));
typedef int8_t i8x32 __attribute__((vector_size(32)));

#ifdef __AVX512BW__
static inline i32x16 widened_i32x16(i8x16 v) { return (i32x16)_mm512_cvtepi8_epi32((__m128i)v); }
static inline i16x32 widened_i16x32(i8x32 v) { return (i16x32)_mm512_cvtepi8_epi16((__m256i)v); }
static inline i16x16 widened_i16x16(i8x16 v) { return (i16x16)_mm256_cvtepi8_epi16((__m128i)v); }
#else
static inline i32x16 widened_i32x16(i8x16 v) { return __builtin_convertvector(v, i32x16); }
static inline i16x32 widened_i16x32(i8x32 v) { return __builtin_convertvector(v, i16x32); }
static inline i16x16 widened_i16x16(i8x16 v) { return __builtin_convertvector(v, i16x16); }
#endif

enum { WIDTH = 512, SPIKES = 64, MOST_ROWS = 3072 };

/* One tile is 8 registers of accumulators. */
#define DENSE(NAME, ACC, WIDE, NARROW, LANES)                                                      \
    static void NAME(const int8_t *weight, const int32_t *source, int spikes, void *into)          \
    {                                                                                              \
        enum { TILE = 8 * (LANES) };                                                               \
        for (int tile = 0; tile < WIDTH; tile += TILE) {                                           \
            WIDE sum[8];                                                                           \
            memcpy(sum, (ACC *)into + tile, sizeof sum);                                           \
            for (int s = 0; s < spikes; s++) {                                                     \
                const int8_t *row = weight + (size_t)source[s] * WIDTH + tile;                     \
                for (int k = 0; k < 8; k++) {                                                      \
                    NARROW some;                                                                   \
                    memcpy(&some, row + k * (LANES), sizeof some);                                 \
                    sum[k] += widened_##WIDE(some);                                 \
                }                                                                                  \
            }                                                                                      \
            memcpy((ACC *)into + tile, sum, sizeof sum);                                           \
        }                                                                                          \
    }

DENSE(dense_int32, int32_t, i32x16, i8x16, 16)
DENSE(dense_int16, int16_t, i16x32, i8x32, 32)

/* A convolution of 5x5 with 16 channels, channels last: an event adds 5 rows of 5x16 contiguous
   weights to 5 places of a map of 32 x 32 x 16 accumulators. */
enum { SIDE = 32, CHANNELS = 16, KERNEL = 5, RUN = KERNEL * CHANNELS };

#define SHORT(NAME, ACC, WIDE)                                                                     \
    static void NAME(const int8_t *weight, const int32_t *source, int spikes, void *into)          \
    {                                                                                              \
        for (int s = 0; s < spikes; s++) {                                                         \
            int place = source[s];                                                                 \
            int y = place / 28 % 28, x = place % 28, channel = place % 16;                         \
            const int8_t *kernel = weight + (size_t)channel * KERNEL * RUN;                        \
            for (int row = 0; row < KERNEL; row++) {                                               \
                ACC *at = (ACC *)into + ((y + row) * SIDE + x) * CHANNELS;                         \
                for (int k = 0; k < KERNEL; k++) {                                                 \
                    i8x16 some;                                                                    \
                    WIDE sum;                                                                      \
                    memcpy(&some, kernel + row * RUN + k * 16, sizeof some);                       \
                    memcpy(&sum, at + k * 16, sizeof sum);                                         \
                    sum += widened_##WIDE(some);                                    \
                    memcpy(at + k * 16, &sum, sizeof sum);                                         \
                }                                                                                  \
            }                                                                                      \
        }                                                                                          \
    }

SHORT(short_int32, int32_t, i32x16)
SHORT(short_int16, int16_t, i16x16)

typedef void kernel(const int8_t *, const int32_t *, int, void *);

typedef struct {
    const char *name;
    kernel *run;
    int rows;      /* sources to choose from: rows * bytes of a row are what the cache must hold */
    int row_bytes; /* synaptic operations of one source */
} bench;

static const bench BENCHES[] = {
    {"dense int32 L1", dense_int32, 48, WIDTH},   {"dense int16 L1", dense_int16, 48, WIDTH},
    {"dense int32 L2", dense_int32, 1536, WIDTH}, {"dense int16 L2", dense_int16, 1536, WIDTH},
    {"short int32", short_int32, 784, KERNEL *RUN}, {"short int16", short_int16, 784, KERNEL *RUN},
};
enum { COUNT = sizeof BENCHES / sizeof BENCHES[0] };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + 1e-9 * t.tv_nsec;
}

typedef struct {
    const bench *what;
    double seconds; /* to run for */
    double rate;    /* best of the slices */
} job;

typedef struct {
    int8_t *weight;
    int32_t *source;
    void *into;
} arrays;

static arrays filled(const bench *what)
{
    arrays a = {aligned_alloc(64, MOST_ROWS * WIDTH),
                aligned_alloc(64, sizeof(int32_t) * SPIKES * 64),
                aligned_alloc(64, SIDE * SIDE * CHANNELS * 4)};
    uint64_t random = 88172645463325252ull;
    for (int i = 0; i < MOST_ROWS * WIDTH; i++) a.weight[i] = (int8_t)(i * 37 % 255 - 127);
    for (int i = 0; i < SPIKES * 64; i++) {
        random ^= random << 13, random ^= random >> 7, random ^= random << 17;
        a.source[i] = (int32_t)(random % what->rows);
    }
    memset(a.into, 0, SIDE * SIDE * CHANNELS * 4);
    return a;
}

/* Whether a kernel adds up what a plain loop adds up. */
static int right(const bench *what)
{
    static int32_t plain[SIDE * SIDE * CHANNELS];
    int narrow = strstr(what->name, "int16") != NULL, equal = 1;
    arrays a = filled(what);
    memset(plain, 0, sizeof plain);
    for (int s = 0; s < SPIKES; s++) {
        int place = a.source[s], y = place / 28 % 28, x = place % 28;
        for (int i = 0; i < what->row_bytes; i++)
            if (what->row_bytes == WIDTH)
                plain[i] += a.weight[(size_t)place * WIDTH + i];
            else
                plain[((y + i / RUN) * SIDE + x) * CHANNELS + i % RUN] +=
                    a.weight[(size_t)(place % 16) * KERNEL * RUN + i];
    }
    what->run(a.weight, a.source, SPIKES, a.into);
    for (int i = 0; i < SIDE * SIDE * CHANNELS; i++)
        equal &= plain[i] == (narrow ? ((int16_t *)a.into)[i] : ((int32_t *)a.into)[i]);
    free(a.weight), free(a.source), free(a.into);
    return equal;
}

static void *work(void *given)
{
    job *mine = given;
    const bench *what = mine->what;
    arrays a = filled(what);
    double end = now() + mine->seconds, best = 0;
    while (now() < end) {
        double start = now();
        for (int again = 0; again < 16; again++)
            for (int step = 0; step < 64; step++)
                what->run(a.weight, a.source + step * SPIKES, SPIKES, a.into);
        double rate = 16.0 * 64 * SPIKES * what->row_bytes / (now() - start);
        if (rate > best) best = rate;
    }
    volatile int kept = ((int32_t *)a.into)[3];
    (void)kept;
    mine->rate = best;
    free(a.weight), free(a.source), free(a.into);
    return NULL;
}

int main(int argc, char **argv)
{
    double seconds = argc > 1 ? atof(argv[1]) : 0.5;
    for (int b = 0; b < COUNT; b++)
        if (!right(&BENCHES[b])) {
            fprintf(stderr, "%s adds up wrongly\n", BENCHES[b].name);
            return 1;
        }
    printf("{");
    for (int b = 0; b < COUNT; b++)
        for (int threads = 1; threads <= 2; threads++) {
            pthread_t id[2];
            job jobs[2];
            double sum = 0;
            for (int t = 0; t < threads; t++) {
                jobs[t] = (job){&BENCHES[b], seconds, 0};
                pthread_create(&id[t], NULL, work, &jobs[t]);
            }
            for (int t = 0; t < threads; t++) {
                pthread_join(id[t], NULL);
                sum += jobs[t].rate;
            }
            printf("%s\"%s x%d\": %.4g", b + threads > 1 ? ", " : "", BENCHES[b].name, threads, sum);
        }
    printf("}\n");
    return 0;
}
