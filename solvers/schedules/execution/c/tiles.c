/* ---- Tiles: which box of a tensor a tile is, and where it lies in the buffer ------------------------------ */

struct kernel { /* a convolution; all of a nest share each ifmap tile */
    const char *name;
    const long *rounds; /* filters of each round; none if filters are cut into tiles */
    struct axis axis[3];
};

struct nest {
    const char *name;
    long images, channels, filters;                      /* extents, channels of a group */
    long image_tile, channel_tile, filter_tile, tile[3]; /* and tiles */
    long channel_trips;
    long slides, slice_axis, slices, slice_words, copies; /* slides: the axis, or -1 */
    long copy_words[3];
    long stride[3][DIMS]; /* of ifmap, ofmap and weights in DRAM; weights: filter, channel, taps */
    int transposed, kernels;
    const struct kernel *kernel;
    struct part part[3];
};

struct at { /* which tile: its place in each loop */
    long g, co, ci, n, axis[3];
};

struct interval {
    long start, stop;
};

struct copies { /* of a part: whose turn it is; the last computation and the last transfer of each */
    long turn, used[2], ready[2];
};

static const struct nest *nest;
static struct copies held[3];
static struct interval window; /* of the ifmap tile in use along the axis of slices */
static long anchor;            /* slice p lies at (anchor + p) % ring */
static int opened, waiting;    /* an ofmap tile was begun; one waits to be written */
static struct at written;
static long last; /* number of the last computation */

static long least(long a, long b) { return a < b ? a : b; }
static long most(long a, long b) { return a > b ? a : b; }
static long modulo(long a, long b) { return (a % b + b) % b; }
static long copy_of(enum tensor tensor) { return held[tensor].turn % nest->copies; }

static struct interval tile(long index, long size, long extent) {
    struct interval cut = {least(index * size, extent), least((index + 1) * size, extent)};
    return cut;
}

static struct interval filters(const struct kernel *kernel, long co) {
    if (!kernel->rounds)
        return tile(co, nest->filter_tile, nest->filters);
    struct interval cut = {0, 0};
    for (long r = 0; r <= co; r++) {
        cut.start = cut.stop;
        cut.stop += kernel->rounds[r];
    }
    return cut;
}

static struct interval outputs(const struct kernel *kernel, int a, const struct at *at) {
    return tile(at->axis[a], nest->tile[a], kernel->axis[a].out).start < kernel->axis[a].out
               ? tile(at->axis[a], nest->tile[a], kernel->axis[a].out)
               : (struct interval){kernel->axis[a].out, kernel->axis[a].out};
}

/* The ifmap elements from the first to the last that any kernel reads. */
static struct interval hull(int a, const struct at *at) {
    struct interval all = {0, 0};
    for (int k = 0; k < nest->kernels; k++) {
        const struct axis *axis = &nest->kernel[k].axis[a];
        struct interval out = outputs(&nest->kernel[k], a, at);
        long reach = (axis->taps - 1) * axis->tap_step;
        long start = most(0, out.start * axis->stride + axis->origin + least(0, reach));
        long stop = least(axis->ifmap, (out.stop - 1) * axis->stride + axis->origin + most(0, reach) + 1);
        if (out.start < out.stop && start < stop) {
            all.start = all.start < all.stop ? least(all.start, start) : start;
            all.stop = most(all.stop, stop);
        }
    }
    return all;
}

static long words(const long *shape) { return shape[0] * shape[1] * shape[2] * shape[3] * shape[4]; }

static void dense(const long *shape, long *stride) {
    stride[DIMS - 1] = 1;
    for (int d = DIMS - 2; d >= 0; d--)
        stride[d] = stride[d + 1] * shape[d + 1];
}

/* Strides of an ifmap tile in its part. */
static void ifmap_strides(const struct at *at, long *stride) {
    struct interval n = tile(at->n, nest->image_tile, nest->images);
    struct interval ci = tile(at->ci, nest->channel_tile, nest->channels);
    long shape[DIMS] = {n.stop - n.start, ci.stop - ci.start, 1, 1, 1};
    for (int a = 0; a < 3; a++)
        if (a != nest->slice_axis)
            shape[2 + a] = hull(a, at).stop - hull(a, at).start;
    dense(shape, stride);
    stride[2 + nest->slice_axis] = nest->slice_words;
}

/* Fetch slices of an ifmap tile, in two pieces where the ring ends. */
static void fetch_slices(const struct at *at, struct interval new) {
    struct interval n = tile(at->n, nest->image_tile, nest->images);
    struct interval ci = tile(at->ci, nest->channel_tile, nest->channels);
    struct copies *copies = &held[IFMAP];
    long ring = nest->copies * nest->slices, copy = copy_of(IFMAP);
    while (new.start < new.stop) {
        long slice = modulo(anchor + new.start, ring);
        struct interval piece = {new.start, least(new.stop, new.start + ring - slice)};
        long start[DIMS] = {n.start, at->g * nest->channels + ci.start};
        struct box box = {0, {n.stop - n.start, ci.stop - ci.start}, {0}};
        struct place place = {slice * nest->slice_words, {0}};
        for (int a = 0; a < 3; a++) {
            struct interval cut = a == nest->slice_axis ? piece : hull(a, at);
            start[2 + a] = cut.start;
            box.shape[2 + a] = cut.stop - cut.start;
        }
        for (int d = 0; d < DIMS; d++) {
            box.stride[d] = nest->stride[IFMAP][d];
            box.offset += start[d] * box.stride[d];
        }
        ifmap_strides(at, place.stride);
        if (words(box.shape))
            copies->ready[copy] = dma_in(IFMAP, &box, &place, copies->used[copy]);
        new.start = piece.stop;
    }
}

/* The next ifmap tile comes in; goes_on: it is the next along the axis that slides. */
static void fetch_ifmap(const struct at *at, int goes_on) {
    struct copies *copies = &held[IFMAP];
    struct interval before = window, new = hull((int)nest->slice_axis, at);
    copies->turn++;
    window = new;
    if (nest->slides < 0) {
        anchor = copy_of(IFMAP) * nest->slices - new.start;
        fetch_slices(at, new);
        return;
    }
    copies->ready[copy_of(IFMAP)] = most(copies->ready[0], copies->ready[1]); /* of slices that are there */
    struct interval shared = {most(new.start, before.start), least(new.stop, before.stop)};
    if (!goes_on || shared.start >= shared.stop) {
        anchor += before.stop - new.start;
        fetch_slices(at, new);
        return;
    }
    fetch_slices(at, (struct interval){new.start, shared.start});
    fetch_slices(at, (struct interval){shared.stop, new.stop});
}

/* The shape of a kernel's weights in a tile: filters, channels, taps. Strides in the part are in DRAM's order. */
static void weights_shape(const struct kernel *kernel, const struct at *at, long *shape, long *stride) {
    struct interval ci = tile(at->ci, nest->channel_tile, nest->channels), co = filters(kernel, at->co);
    shape[0] = co.stop - co.start, shape[1] = ci.stop - ci.start;
    for (int a = 0; a < 3; a++)
        shape[2 + a] = kernel->axis[a].taps;
    dense(shape, stride);
    if (nest->transposed) {
        stride[0] = stride[1];
        stride[1] = shape[0] * stride[0];
    }
}

static void fetch_weights(const struct at *at) {
    struct copies *copies = &held[WEIGHTS];
    copies->turn++;
    long copy = copy_of(WEIGHTS), word = copy * nest->copy_words[WEIGHTS];
    const long *stride = nest->stride[WEIGHTS];
    for (int k = 0; k < nest->kernels; k++) {
        const struct kernel *kernel = &nest->kernel[k];
        struct box box = {0, {0}, {0}};
        struct place place = {word, {0}};
        weights_shape(kernel, at, box.shape, place.stride);
        long filter = filters(kernel, at->co).start, channel = at->ci * nest->channel_tile;
        *(nest->transposed ? &channel : &filter) +=
            at->g * (nest->transposed ? nest->channels : nest->filters);
        box.offset = filter * stride[0] + channel * stride[1];
        box.stride[0] = stride[0], box.stride[1] = stride[1];
        for (int a = 0; a < 3; a++) {
            box.offset += kernel->axis[a].first_tap * stride[2 + a];
            box.stride[2 + a] = kernel->axis[a].tap_stride * stride[2 + a];
        }
        if (words(box.shape))
            copies->ready[copy] = dma_in(WEIGHTS, &box, &place, copies->used[copy]);
        word += words(box.shape);
    }
}

/* The box of a kernel's outputs in a tile, in DRAM. */
static struct box ofmap_box(const struct kernel *kernel, const struct at *at) {
    struct interval n = tile(at->n, nest->image_tile, nest->images), co = filters(kernel, at->co);
    const long *stride = nest->stride[OFMAP];
    struct box box = {0, {n.stop - n.start, co.stop - co.start}, {stride[0], stride[1]}};
    box.offset = n.start * stride[0] + (at->g * nest->filters + co.start) * stride[1];
    for (int a = 0; a < 3; a++) {
        const struct axis *axis = &kernel->axis[a];
        struct interval out = outputs(kernel, a, at);
        box.shape[2 + a] = out.stop - out.start;
        box.stride[2 + a] = stride[2 + a] * axis->output_step;
        box.offset += stride[2 + a] * (axis->first_output + axis->output_step * out.start);
    }
    return box;
}

static void move_ofmap(const struct at *at, long copy, int in) {
    struct copies *copies = &held[OFMAP];
    long word = copy * nest->copy_words[OFMAP];
    for (int k = 0; k < nest->kernels; k++) {
        struct box box = ofmap_box(&nest->kernel[k], at);
        struct place place = {word, {0}};
        dense(box.shape, place.stride);
        if (words(box.shape) && in)
            copies->ready[copy] = dma_in(OFMAP, &box, &place, copies->used[copy]);
        else if (words(box.shape))
            copies->ready[copy] =
                dma_out(OFMAP, &place, &box, at->ci < nest->channel_trips - 1, copies->used[copy]);
        word += words(box.shape);
    }
}

/* The next ofmap tile takes the next copy; partial sums come back with its first computation. */
static void begin_ofmap(void) {
    held[OFMAP].turn++;
    opened = 1;
}

/* An ofmap tile goes to DRAM: at once if there is but one copy, otherwise behind what the next tile needs. */
static void write_ofmap(const struct at *at) {
    if (nest->copies == 1) {
        move_ofmap(at, 0, 0);
        return;
    }
    written = *at;
    waiting = 1;
}

static void compute_tile(const struct at *at) {
    long *turn = &held[OFMAP].turn, after = 0;
    if (opened && at->ci > 0)
        move_ofmap(at, copy_of(OFMAP), 1);
    if (opened && waiting)
        move_ofmap(&written, (*turn - 1) % nest->copies, 0);
    waiting = opened ? 0 : waiting;
    opened = 0;
    struct job job = {.slice_axis = nest->slice_axis, .ring = nest->copies * nest->slices, .accumulate = at->ci > 0};
    struct interval n = tile(at->n, nest->image_tile, nest->images);
    struct interval ci = tile(at->ci, nest->channel_tile, nest->channels);
    job.images = n.stop - n.start, job.channels = ci.stop - ci.start;
    job.first_slice = job.ring ? modulo(anchor + window.start, job.ring) : 0;
    ifmap_strides(at, job.ifmap_stride);
    for (int a = 0; a < 3; a++)
        job.window[a] = hull(a, at).start, job.size[a] = hull(a, at).stop - job.window[a];
    for (int t = 0; t < 3; t++)
        after = most(after, held[t].ready[copy_of((enum tensor)t)]);
    job.weights_word = copy_of(WEIGHTS) * nest->copy_words[WEIGHTS];
    job.ofmap_word = copy_of(OFMAP) * nest->copy_words[OFMAP];
    for (int k = 0; k < nest->kernels; k++) {
        const struct kernel *kernel = &nest->kernel[k];
        struct box box = ofmap_box(kernel, at);
        long weights[DIMS];
        dense(box.shape, job.ofmap_stride);
        weights_shape(kernel, at, weights, job.weights_stride);
        job.axis = kernel->axis, job.filters = box.shape[1];
        for (int a = 0; a < 3; a++)
            job.first[a] = outputs(kernel, a, at).start, job.outputs[a] = box.shape[2 + a];
        if (words(box.shape))
            last = compute(&job, after);
        job.weights_word += words(weights);
        job.ofmap_word += words(box.shape);
    }
    for (int t = 0; t < 3; t++)
        held[t].used[copy_of((enum tensor)t)] = last;
}

static void begin(const struct nest *of) {
    nest = of;
    memset(held, 0, sizeof held);
    start(of->part);
    for (int t = 0; t < 3; t++)
        held[t].turn = -1;
    window = (struct interval){0, 0};
    anchor = last = 0;
    opened = waiting = 0;
}

static void end(void) {
    if (waiting)
        move_ofmap(&written, copy_of(OFMAP), 0);
}

