/* ---- Self-check: every layer on small random integers, against a direct convolution ----------------------- */
#ifndef NO_MAIN

static long volume(const long *sizes) { return sizes[0] * sizes[1] * sizes[2]; }
static word_t *random_words(long count) {
    static unsigned long state = 1;
    word_t *made = malloc(sizeof *made * (size_t)count);
    if (!made) {
        fprintf(stderr, "no memory for %ld words\n", count);
        exit(1);
    }
    for (long i = 0; i < count; i++) {
        state = (state * 1103515245UL + 12345UL) & 0x7fffffffUL;
        made[i] = (word_t)((state >> 16) % 9) - 4;
    }
    return made;
}

static long element(const long *sizes, const long *at) { return (at[0] * sizes[1] + at[1]) * sizes[2] + at[2]; }

/* What one input adds to the outputs that it reaches: a deconvolution's definition. */
static void scatter(const struct layer *l, long n, long g, long f, long c, word_t *ofmap) {
    const word_t *in = dram[IFMAP] + (n * l->groups * l->channels + g * l->channels + c) * volume(l->ifmap);
    const word_t *by = dram[WEIGHTS] + ((g * l->channels + c) * l->filters + f) * volume(l->kernel);
    word_t *out = ofmap + (n * l->groups * l->filters + g * l->filters + f) * volume(l->ofmap);
    long x[3], t[3], y[3];
    UP_TO(x[0], l->ifmap[0]) UP_TO(x[1], l->ifmap[1]) UP_TO(x[2], l->ifmap[2])
    UP_TO(t[0], l->kernel[0]) UP_TO(t[1], l->kernel[1]) UP_TO(t[2], l->kernel[2]) {
        int cut = 0;
        for (int a = 0; a < 3; a++) {
            y[a] = x[a] * l->stride[a] - l->pad[a] + l->dilation[a] * t[a];
            cut |= y[a] < 0 || y[a] >= l->ofmap[a];
        }
        if (!cut)
            out[element(l->ofmap, y)] += in[element(l->ifmap, x)] * by[element(l->kernel, t)];
    }
}

/* What one input channel adds to the outputs of a filter: a convolution's definition. */
static void gather(const struct layer *l, long n, long g, long f, long c, word_t *ofmap) {
    const word_t *in = dram[IFMAP] + (n * l->groups * l->channels + g * l->channels + c) * volume(l->ifmap);
    const word_t *by = dram[WEIGHTS] + ((g * l->filters + f) * l->channels + c) * volume(l->kernel);
    word_t *out = ofmap + (n * l->groups * l->filters + g * l->filters + f) * volume(l->ofmap);
    long x[3], t[3], y[3];
    UP_TO(y[0], l->ofmap[0]) UP_TO(y[1], l->ofmap[1]) UP_TO(y[2], l->ofmap[2])
    UP_TO(t[0], l->kernel[0]) UP_TO(t[1], l->kernel[1]) UP_TO(t[2], l->kernel[2]) {
        int padding = 0;
        for (int a = 0; a < 3; a++) {
            x[a] = y[a] * l->stride[a] - l->pad[a] + l->dilation[a] * t[a];
            padding |= x[a] < 0 || x[a] >= l->ifmap[a];
        }
        if (!padding)
            out[element(l->ofmap, y)] += in[element(l->ifmap, x)] * by[element(l->kernel, t)];
    }
}

static long differing(const struct layer *l) {
    long n, g, f, c, i, wrong = 0, count = l->images * l->groups * l->filters * volume(l->ofmap);
    word_t *expected = random_words(count);
    memset(expected, 0, sizeof *expected * (size_t)count);
    UP_TO(n, l->images) UP_TO(g, l->groups) UP_TO(f, l->filters) UP_TO(c, l->channels)
        (l->transposed ? scatter : gather)(l, n, g, f, c, expected);
    UP_TO(i, count) wrong += expected[i] != dram[OFMAP][i];
    free(expected);
    return wrong;
}

static void insert_zeros(const struct layer *l) {
    long i[4];
    UP_TO(i[0], l->images * l->groups * l->channels)
    UP_TO(i[1], l->ifmap[0]) UP_TO(i[2], l->ifmap[1]) UP_TO(i[3], l->ifmap[2])
        if (i[1] % l->apart[0] || i[2] % l->apart[1] || i[3] % l->apart[2])
            dram[IFMAP][i[0] * volume(l->ifmap) + element(l->ifmap, i + 1)] = 0;
}

static int check(const struct layer *l) {
    long channels = l->groups * l->channels;
    dram[IFMAP] = random_words(l->images * channels * volume(l->ifmap));
    dram[WEIGHTS] = random_words(channels * l->filters * volume(l->kernel));
    dram[OFMAP] = random_words(l->images * l->groups * l->filters * volume(l->ofmap));
    insert_zeros(l);
    memset(words_in, 0, sizeof words_in);
    memset(words_out, 0, sizeof words_out);
    l->run();
    long wrong = differing(l);
    printf("%s: ifmap %ld, weights %ld, ofmap_write %ld, ofmap_read %ld words; ", l->name, words_in[IFMAP],
           words_in[WEIGHTS], words_out[OFMAP], words_in[OFMAP]);
    printf(wrong ? "%ld outputs differ\n" : "equals the direct convolution\n", wrong);
    for (int t = 0; t < 3; t++)
        free(dram[t]);
    return wrong != 0;
}

int main(int argc, char **argv) {
    int wrong = 0, found = 0;
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++)
        if (argc < 2 || !strcmp(argv[1], layers[i].name)) {
            wrong |= check(&layers[i]);
            found = 1;
        }
    if (!found)
        fprintf(stderr, "no layer %s here\n", argv[1]);
    return wrong || !found;
}
#endif
