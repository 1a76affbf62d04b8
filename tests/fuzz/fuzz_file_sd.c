#include <stdlib.h>
#include "discovery/mechanism.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    for (int format = GROUPS_JSON; format <= GROUPS_YAML; format++) {
        struct target_group **groups;
        struct error err = { 0 };
        size_t nr;

        if (target_groups_parse((enum group_format)format, (struct str){ (const char *)data, n },
                                STR("file.yml"), STR("__meta_filepath"), &groups, &nr, &err)) {
            for (size_t i = 0; i < nr; i++)
                target_group_unref(groups[i]);
            free(groups);
        } else if (error_text(&err)[0] == 0) {
            abort(); /* every refusal says why */
        }
        error_clear(&err);
    }
    return 0;
}
