#ifndef NO_MAIN
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
