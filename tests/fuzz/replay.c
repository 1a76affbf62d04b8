/* Replays files (or whole directories of them) through a fuzz target, so that gcc builds run the corpus as a test. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static unsigned replayed_nr;

static int
replay_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    uint8_t *data = NULL;
    size_t n = 0, cap = 0;

    if (f == NULL) {
        perror(path);
        return 1;
    }
    do {
        cap = cap == 0 ? 65536 : cap * 2;
        data = realloc(data, cap);
        if (data == NULL)
            abort();
        n += fread(data + n, 1, cap - n, f);
    } while (n == cap);
    fclose(f);
    /* An exact copy, so that the address sanitizer sees a read one byte past the input. */
    uint8_t *exact = malloc(n != 0 ? n : 1);
    if (exact == NULL)
        abort();
    memcpy(exact, data, n);
    free(data);
    LLVMFuzzerTestOneInput(exact, n);
    free(exact);
    replayed_nr++;
    return 0;
}

static int
replay(const char *path)
{
    struct stat st;
    int bad = 0;

    if (stat(path, &st) != 0) {
        perror(path);
        return 1;
    }
    if (!S_ISDIR(st.st_mode))
        return replay_file(path);
    DIR *dir = opendir(path);
    for (struct dirent *e = dir == NULL ? NULL : readdir(dir); e != NULL; e = readdir(dir)) {
        char name[4096];
        if (e->d_name[0] == '.')
            continue;
        snprintf(name, sizeof name, "%s/%s", path, e->d_name);
        bad |= replay(name);
    }
    if (dir != NULL)
        closedir(dir);
    return bad;
}

int
main(int argc, char **argv)
{
    int bad = 0;

    for (int i = 1; i < argc; i++)
        bad |= replay(argv[i]);
    printf("%u inputs replayed\n", replayed_nr);
    return bad || replayed_nr == 0;
}
