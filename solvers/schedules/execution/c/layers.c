/* ---- Layers ----------------------------------------------------------------------------------------------- */

struct layer {
    const char *name;
    void (*run)(void);
    int transposed;
    long groups, images, filters, channels; /* of a group */
    long ifmap[3], ofmap[3], kernel[3], stride[3], dilation[3], pad[3];
    long apart[3]; /* of the ifmap's elements that are not zeros inserted */
};

