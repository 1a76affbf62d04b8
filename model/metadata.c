#include "model/metadata.h"

static const char *const type_texts[] = {
    [METADATA_UNKNOWN] = "unknown",
    [METADATA_COUNTER] = "counter",
    [METADATA_GAUGE] = "gauge",
    [METADATA_HISTOGRAM] = "histogram",
    [METADATA_GAUGEHISTOGRAM] = "gaugehistogram",
    [METADATA_SUMMARY] = "summary",
    [METADATA_INFO] = "info",
    [METADATA_STATESET] = "stateset",
};

const char *
metadata_type_text(enum metadata_type type)
{
    /* The type may come from a WAL record. */
    return (size_t)type < ARRAY_LEN(type_texts) ? type_texts[type] : "unknown";
}
