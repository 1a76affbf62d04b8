/* rules/state.h: the file in which a group's alerts are kept. The checksum is made right first, so
 * that what stands behind it is reached. */
#include <stdint.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/mem.h"
#include "rules/state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char key[] = "f;g";
    struct rule rule = { .is_alert = true, .name = STR("A") };
    struct rule *rules[] = { &rule };
    struct rule_group g = { .key = key, .rules = rules, .rules_nr = 1 };
    uint8_t *content = mem_alloc(size + 4);
    struct state_info info;
    struct error err = { 0 };
    struct alert *a;

    if (size != 0)
        memcpy(content, data, size);
    uint32_t crc = crc32c(0, content, size);
    for (unsigned i = 0; i < 4; i++)
        content[size + i] = (uint8_t)(crc >> (24 - 8 * i));
    error_ignored(state_decode(&g, (struct bytes){ content, size + 4 }, &info, &err));
    for (size_t at = 0; (a = table_next(&rule.active, &at)) != NULL;)
        alert_free(a);
    table_fini(&rule.active);
    error_clear(&err);
    mem_free(content);
    return 0;
}
