#include "conformance.h"

#include <stdio.h>
#include <stdlib.h>

struct str
conformance_str(json_t *text)
{
    return (struct str){ json_string_value(text), json_string_length(text) };
}

bool
conformance_each(const char *relative, conformance_fn fn)
{
    const char *dir = getenv("NARTHEX_CONFORMANCE");
    char path[4096], *line = NULL;
    size_t cap = 0, passed = 0, all = 0;

    snprintf(path, sizeof path, "%s/%s", dir == NULL ? SOURCE_DIR "/../shared/conformance" : dir,
             relative);
    FILE *f = fopen(path, "r");
    if (f == NULL) {
        fprintf(stderr, "conformance data '%s' is not here: its cases are skipped\n", relative);
        return true;
    }
    for (ssize_t n; (n = getline(&line, &cap, f)) > 0; all++) {
        json_t *json = json_loadb(line, (size_t)n, JSON_ALLOW_NUL, NULL);
        bool ok = json != NULL && fn(json);
        passed += ok;
        if (!ok)
            fprintf(stderr, "%s:%zu: failed: %.200s\n", relative, all + 1, line);
        json_decref(json);
    }
    fprintf(stderr, "%s: %zu of %zu passed\n", relative, passed, all);
    free(line);
    fclose(f);
    return passed == all;
}
