/* ---- The machine: replace the bodies of dma_in, dma_out, dma_zeros and compute ---------------------------
 *
 * Both kinds of calls may return at once and work in the order in which they were called, transfers in one
 * queue and computations in another. A call must not begin before what it is `after` has ended: a transfer
 * waits for that computation, a computation for that transfer (0: for nothing). Each returns its number, from 1
 * in each nest; a nest begins when all calls before it have ended.
 * Here they work at once, on words of the host, and check that nothing lies outside the buffer.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DIMS 5 /* image, channel, three axes; weights: two kinds of channels, three axes of taps */

typedef int word_t; /* a word of any tensor, here */
enum tensor { IFMAP, OFMAP, WEIGHTS };

struct box { /* of a tensor in DRAM [elements] */
    long offset, shape[DIMS], stride[DIMS];
};

struct place { /* of a box in its part of the buffer [words] */
    long word, stride[DIMS];
};

struct part { /* of the buffer; word w lies at bit address_bits + w * word_bits */
    long address_bits, word_bits, words;
};

struct axis { /* output y with tap t reads ifmap element y * stride + origin + t * tap_step */
    long ifmap, out, taps, stride, origin, tap_step;
    long first_output, output_step, first_tap, tap_stride; /* where they lie in DRAM */
};

struct job { /* one convolution of what lies in the buffer */
    const struct axis *axis;                /* three */
    long images, filters, channels;         /* how many */
    long first[3], outputs[3];              /* outputs along each axis: the first, and how many */
    long window[3], size[3];                /* ifmap elements of the tile: the first, and how many */
    long ifmap_stride[DIMS];                /* [words]; along slice_axis slices lie in a ring: */
    long slice_axis, first_slice, ring;     /* slice i of the tile is slice (first_slice + i) % ring */
    long weights_word, weights_stride[DIMS]; /* filter, channel, taps */
    long ofmap_word, ofmap_stride[DIMS];
    int accumulate; /* add to what is there; otherwise outputs begin at 0 */
};

long dma_in(enum tensor tensor, const struct box *from, const struct place *to, long after);
long dma_out(enum tensor tensor, const struct place *from, const struct box *to, int partial, long after);
long dma_zeros(const struct box *to);
long compute(const struct job *job, long after);

static struct part part[3];
static word_t *dram[3], *buffer[3];
static long transfers, computations, words_in[3], words_out[3];

/* A nest begins, all before it having ended: the buffer is empty, calls are numbered from 1 again. */
static void start(const struct part *parts) {
    memcpy(part, parts, sizeof part);
    transfers = computations = 0;
    for (int t = 0; t < 3; t++) {
        size_t bytes = sizeof(word_t) * (size_t)(parts[t].words + 1);
        free(buffer[t]);
        buffer[t] = malloc(bytes);
        if (!buffer[t]) {
            fprintf(stderr, "no memory for a part of %ld words\n", parts[t].words);
            exit(1);
        }
        memset(buffer[t], 0x5a, bytes);
    }
}

static long inside(enum tensor tensor, long word) {
    if (word < 0 || word >= part[tensor].words) {
        fprintf(stderr, "word %ld is outside part %d\n", word, tensor);
        exit(1);
    }
    return word;
}

static void trace(enum tensor tensor, const char *way, const struct box *box, const struct place *place, long after) {
#ifdef TRACE
    printf("%s %d %ld %ld", way, tensor, box->offset, after);
    printf(" %ld", place ? place->word : -1);
    for (int d = 0; d < DIMS; d++)
        if (box->shape[d] > 1)
            printf(" %ld:%ld:%ld", box->shape[d], box->stride[d], place ? place->stride[d] : 0);
    printf("\n");
#else
    (void)tensor, (void)way, (void)box, (void)place, (void)after;
#endif
}

static long move(enum tensor tensor, int in, const struct box *box, const struct place *place) {
    long i[DIMS];
#define EACH(d) for (i[d] = 0; i[d] < box->shape[d]; i[d]++)
    EACH(0) EACH(1) EACH(2) EACH(3) EACH(4) {
        long from = box->offset, to = place ? place->word : 0;
        for (int d = 0; d < DIMS; d++) {
            from += i[d] * box->stride[d];
            to += place ? i[d] * place->stride[d] : 0;
        }
        if (!place)
            dram[tensor][from] = 0;
        else if (in)
            buffer[tensor][inside(tensor, to)] = dram[tensor][from];
        else
            dram[tensor][from] = buffer[tensor][inside(tensor, to)];
        (in ? words_in : words_out)[tensor]++;
    }
    return ++transfers;
}

/* A box of a tensor comes from DRAM into its part of the buffer. Of the ofmap these are partial sums. */
long dma_in(enum tensor tensor, const struct box *from, const struct place *to, long after) {
    trace(tensor, "in", from, to, after);
    return move(tensor, 1, from, to);
}

/* A box of the ofmap goes to DRAM: partial sums, or outputs that are complete. */
long dma_out(enum tensor tensor, const struct place *from, const struct box *to, int partial, long after) {
    trace(tensor, partial ? "partial" : "out", to, from, after);
    return move(tensor, 0, to, from);
}

/* Zeros go to a box of the ofmap. */
long dma_zeros(const struct box *to) {
    trace(OFMAP, "zeros", to, NULL, 0);
    return move(OFMAP, 0, to, NULL);
}

/* The array adds up, for each output, the products of all channels and taps that read no padding. */
long compute(const struct job *job, long after) {
    long n, f, c, y[3], t[3];
#ifdef TRACE
    printf("compute %ld %ld %ld %ld %d\n", after, job->first_slice, job->weights_word, job->ofmap_word, job->accumulate);
#else
    (void)after;
#endif
#define UP_TO(i, count) for (i = 0; i < (count); i++)
    UP_TO(n, job->images) UP_TO(f, job->filters)
    UP_TO(y[0], job->outputs[0]) UP_TO(y[1], job->outputs[1]) UP_TO(y[2], job->outputs[2]) {
        const long *o = job->ofmap_stride, *w = job->weights_stride, *i = job->ifmap_stride;
        long out = job->ofmap_word + n * o[0] + f * o[1] + y[0] * o[2] + y[1] * o[3] + y[2] * o[4];
        word_t sum = job->accumulate ? buffer[OFMAP][inside(OFMAP, out)] : 0;
        UP_TO(t[0], job->axis[0].taps) UP_TO(t[1], job->axis[1].taps) UP_TO(t[2], job->axis[2].taps) {
            long in = n * i[0], by = job->weights_word + f * w[0] + t[0] * w[2] + t[1] * w[3] + t[2] * w[4];
            int padding = 0;
            for (int a = 0; a < 3; a++) {
                const struct axis *axis = &job->axis[a];
                long x = (job->first[a] + y[a]) * axis->stride + axis->origin + t[a] * axis->tap_step;
                padding |= x < 0 || x >= axis->ifmap;
                x -= job->window[a];
                in += i[2 + a] * (a == job->slice_axis && job->ring ? (job->first_slice + x) % job->ring : x);
            }
            if (!padding)
                UP_TO(c, job->channels)
                    sum += buffer[IFMAP][inside(IFMAP, in + c * i[1])] * buffer[WEIGHTS][inside(WEIGHTS, by + c * w[1])];
        }
        buffer[OFMAP][inside(OFMAP, out)] = sum;
    }
    return ++computations;
}

